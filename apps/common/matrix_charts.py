"""Charts of many columns at once: a matrix of figures, and a ranking with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _

from apps.common.charting import Chart, base_layout

#: a cell shows its number while there are so few that it can be read
_MOST_WITH_NUMBERS = 14
#: ends of a scale that has a middle: orange below, blue above, the card's own colour at nothing
_DIVERGING = [[0.0, "var(--act)"], [0.5, "var(--card)"], [1.0, "var(--challenger)"]]
_RISING = [[0.0, "var(--card)"], [1.0, "var(--challenger)"]]


def heatmap_chart(
    id: str,
    title: str,
    subtitle: str,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    *,
    row_head: str,
    signed: bool,
    note: str = "",
) -> Chart:
    """A matrix as coloured cells; `signed` figures lie in -1..1, others in 0..1. None is an empty cell.

    The first row stands at the top, as in the table.
    """
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": list(columns),
        "y": list(rows),
        "z": [list(line) for line in values],
        "zmin": -1 if signed else 0,
        "zmax": 1,
        "colorscale": _DIVERGING if signed else _RISING,
        "xgap": 1,
        "ygap": 1,
        "hoverongaps": False,
        "hovertemplate": "%{y}<br>%{x}<br>%{z:.3f}<extra></extra>",
        # Plotly sets a colour bar, and cells without gaps, by style attributes: the CSP forbids them
        "showscale": False,
    }
    if max(len(rows), len(columns)) <= _MOST_WITH_NUMBERS:
        trace |= {"texttemplate": "%{z:.2f}", "textfont": {"size": 11}}
    layout = base_layout(
        xaxis={"type": "category", "tickangle": -45, "tickfont": {"size": 11}},
        yaxis={"type": "category", "autorange": "reversed", "tickfont": {"size": 11}, "nticks": 0},
        shapes=[],
        annotations=[],
    )
    layout["hovermode"] = "closest"
    head = [row_head, *columns]
    table = [[name, *line] for name, line in zip(rows, values, strict=True)]
    return Chart(id, title, subtitle, {"data": [trace], "layout": layout}, head, table, note)


def ranking_chart(
    id: str,
    title: str,
    subtitle: str,
    labels: Sequence[str],
    values: Sequence[float | None],
    *,
    label_head: str,
    value_head: str,
    low: Sequence[float | None] | None = None,
    high: Sequence[float | None] | None = None,
    baseline: float | None = None,
    digits: int = 3,
    note: str = "",
) -> Chart:
    """Lying bars from the largest down; with `low` and `high` points with their intervals instead."""
    trace: dict[str, Any] = {
        "x": list(values),
        "y": list(labels),
        "name": value_head,
        "hovertemplate": "%{y}: %{x:." + str(digits) + "f}<extra></extra>",
    }
    if low is None or high is None:
        trace |= {"type": "bar", "orientation": "h", "marker": {"color": "var(--series)"}}
    else:
        trace |= {
            "type": "scatter",
            "mode": "markers",
            "marker": {"color": "var(--series)", "size": 8, "symbol": "circle"},
            "error_x": {
                "type": "data",
                "symmetric": False,
                "array": [_gap(end, value) for end, value in zip(high, values, strict=True)],
                "arrayminus": [_gap(value, end) for end, value in zip(low, values, strict=True)],
                "color": "var(--series)",
                "thickness": 1.5,
                "width": 3,
            },
        }
    shapes = [] if baseline is None else [_upright(baseline)]
    layout = base_layout(
        xaxis={"showgrid": True, "rangemode": "normal" if baseline is not None else "tozero"},
        yaxis={"type": "category", "autorange": "reversed", "tickfont": {"size": 11}, "nticks": 0},
        shapes=shapes,
        annotations=[],
    )
    layout |= {"bargap": 0.3, "hovermode": "closest"}
    head: list[str] = [label_head, value_head]
    columns: list[Sequence[Any]] = [labels, values]
    if low is not None and high is not None:
        head += [_("%(name)s, low") % {"name": value_head}, _("%(name)s, high") % {"name": value_head}]
        columns += [low, high]
    table = [list(row) for row in zip(*columns, strict=True)]
    return Chart(id, title, subtitle, {"data": [trace], "layout": layout}, head, table, note)


def _gap(larger: float | None, smaller: float | None) -> float:
    return 0.0 if larger is None or smaller is None else larger - smaller


def _upright(value: float) -> dict[str, Any]:
    return {
        "type": "line",
        "layer": "below",
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "x0": value,
        "x1": value,
        "line": {"color": "var(--champion)", "width": 1.5, "dash": "dash"},
    }
