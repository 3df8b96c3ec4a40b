"""Charts as plain values: a Plotly figure and the table of the same numbers, made by one function.

Colours are written as CSS variables (``var(--challenger)``); `static/js/charts.js` puts in what the
theme of the moment says, so one figure serves light and dark. Only cartesian traces are used.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

from django.utils.translation import gettext as _

from apps.common.chart_parts import (
    PSI_ACT,
    PSI_WATCH,
    Limit,
    limit_line,
    limit_word,
    month_axis,
    month_label,
    psi_band,
    shade,
    tick_format,
)

__all__ = [
    "PSI_ACT",
    "PSI_WATCH",
    "Chart",
    "Limit",
    "Series",
    "bar_chart",
    "base_layout",
    "csv_cell",
    "histogram_chart",
    "month_chart",
    "month_label",
    "psi_band",
]

Role = Literal["challenger", "champion", "plain", "quiet"]

#: colour, dash and marker of each role: never told apart by colour alone
_LOOK: dict[Role, tuple[str, str, str]] = {
    "challenger": ("challenger", "solid", "circle"),
    "champion": ("champion", "dot", "square"),
    "plain": ("series", "solid", "circle"),
    "quiet": ("champion", "dash", "diamond"),
}


@dataclass(frozen=True)
class Chart:
    """What `{% chart %}` draws. `head` and `rows` are the figure's numbers as a table."""

    id: str
    title: str
    subtitle: str
    figure: dict[str, Any]
    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    #: one sentence under the plot, where the figure needs a caveat
    note: str = ""

    @property
    def csv(self) -> str:
        """The table as CSV. Text that a spreadsheet would run as a formula is quoted first."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\r\n")
        for row in [self.head, *self.rows]:
            writer.writerow([csv_cell(value) for value in row])
        return buffer.getvalue()

    @property
    def csv_href(self) -> str:
        """A data: address with a byte-order mark, so that Excel reads Korean."""
        return "data:text/csv;charset=utf-8,%EF%BB%BF" + quote(self.csv)


@dataclass(frozen=True)
class Series:
    """One line or one set of bars; None is a month without a figure. `low`/`high` give its interval."""

    name: str
    values: Sequence[float | None]
    role: Role = "plain"
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None


def csv_cell(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        return f"'{value}"
    return "" if value is None else value


def month_chart(
    id: str,
    title: str,
    subtitle: str,
    months: Sequence[str],
    series: Sequence[Series],
    *,
    psi_bands: bool = False,
    limits: Sequence[Limit] = (),
    digits: int = 3,
    percent: bool = False,
    from_zero: bool = False,
    note: str = "",
) -> Chart:
    """Lines over base months, each with its interval; `psi_bands` shades 0.10 and 0.25."""
    labels = [month_label(ym) for ym in months]
    traces: list[dict[str, Any]] = []
    for item in series:
        traces.extend(_interval(labels, item))
    traces.extend(_line(labels, item, digits=digits, percent=percent) for item in series)
    shapes: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    top = max((abs(v) for v in _numbers(series)), default=0.0)
    yaxis: dict[str, Any] = {"tickformat": tick_format(top, digits=digits, percent=percent)}
    if psi_bands:
        ceiling = max(top * 1.12, 0.28)
        yaxis["range"] = [0, ceiling]
        shade(shapes, annotations, ceiling)
    elif from_zero:
        yaxis["rangemode"] = "tozero"
    for limit in limits:
        shapes.append(limit_line(limit))
        annotations.append(limit_word(limit))
    layout = base_layout(xaxis=month_axis(months), yaxis=yaxis, shapes=shapes, annotations=annotations)
    head, rows = _table(_("Month"), labels, series)
    return Chart(id, title, subtitle, {"data": traces, "layout": layout}, head, rows, note)


def bar_chart(
    id: str,
    title: str,
    subtitle: str,
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    label_head: str,
    baseline: float | None = None,
    digits: int = 2,
    percent: bool = False,
    note: str = "",
) -> Chart:
    """Bars side by side, one group for each label; the champion's are hatched."""
    traces = [_bars(labels, item, digits=digits, percent=percent) for item in series]
    shapes = [] if baseline is None else [limit_line(Limit(baseline, "", "quiet"))]
    top = max((abs(v) for v in _numbers(series)), default=0.0)
    yaxis = {"rangemode": "tozero", "tickformat": tick_format(top, digits=0, percent=percent)}
    xaxis: dict[str, Any] = {"type": "category"}
    if max((len(label) for label in labels), default=0) > 4:
        xaxis["tickangle"] = -35 if len(labels) > 4 else 0
    layout = base_layout(xaxis=xaxis, yaxis=yaxis, shapes=shapes, annotations=[])
    layout |= {"barmode": "group", "bargap": 0.25, "bargroupgap": 0.04}
    head, rows = _table(label_head, labels, series)
    return Chart(id, title, subtitle, {"data": traces, "layout": layout}, head, rows, note)


def histogram_chart(
    id: str,
    title: str,
    subtitle: str,
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    label_head: str,
    note: str = "",
) -> Chart:
    """Shares of rows for each bin, the reference beside the month."""
    return bar_chart(
        id, title, subtitle, labels, series, label_head=label_head, percent=True, digits=1, note=note
    )


def base_layout(
    *,
    xaxis: dict[str, Any],
    yaxis: dict[str, Any],
    shapes: Sequence[dict[str, Any]],
    annotations: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """The one small template of every figure, with the axes of this one."""
    axis = {
        "gridcolor": "var(--chart-grid)",
        "linecolor": "var(--chart-grid)",
        "tickcolor": "var(--chart-grid)",
        "zeroline": False,
        "fixedrange": False,
        "automargin": True,
    }
    return {
        "font": {"family": "var(--font)", "size": 12, "color": "var(--chart-text)"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "showlegend": False,
        "hovermode": "x unified",
        "dragmode": False,
        "modebar": {
            "bgcolor": "rgba(0,0,0,0)",
            "color": "var(--champion)",
            "activecolor": "var(--challenger)",
        },
        "hoverlabel": {
            "bgcolor": "var(--card)",
            "bordercolor": "var(--border)",
            "font": {"color": "var(--text)", "size": 12},
        },
        "xaxis": {
            **axis,
            "showgrid": False,
            "spikecolor": "var(--champion)",
            "spikethickness": 1,
            "spikedash": "dot",
            **xaxis,
        },
        "yaxis": {**axis, "nticks": 5, **yaxis},
        "shapes": list(shapes),
        "annotations": list(annotations),
    }


@dataclass
class _Segment:
    x: list[str] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)


def _interval(labels: Sequence[str], item: Series) -> Iterator[dict[str, Any]]:
    """One closed shape for each stretch of months that has an interval, so gaps stay gaps."""
    if item.low is None or item.high is None:
        return
    colour = _LOOK[item.role][0]
    segments = [_Segment()]
    for label, low, high in zip(labels, item.low, item.high, strict=True):
        if low is None or high is None:
            segments.append(_Segment())
            continue
        segments[-1].x.append(label)
        segments[-1].low.append(low)
        segments[-1].high.append(high)
    for segment in segments:
        if not segment.x:
            continue
        shape: dict[str, Any] = {
            "type": "scatter",
            "x": segment.x + segment.x[::-1],
            "y": segment.high + segment.low[::-1],
            "mode": "lines",
            "hoverinfo": "skip",
            "line": {"width": 0},
        }
        if len(segment.x) == 1:
            shape["line"] = {"width": 8, "color": f"var(--{colour}-fill)"}
        else:
            shape |= {"fill": "toself", "fillcolor": f"var(--{colour}-fill)"}
        yield shape


def _line(labels: Sequence[str], item: Series, *, digits: int, percent: bool) -> dict[str, Any]:
    colour, dash, symbol = _LOOK[item.role]
    number = f".{max(digits - 2, 0)}%" if percent else f".{digits}f"
    trace: dict[str, Any] = {
        "type": "scatter",
        "name": item.name,
        "x": list(labels),
        "y": list(item.values),
        "mode": "lines+markers",
        "line": {"color": f"var(--{colour})", "width": 2, "dash": dash},
        "marker": {"color": f"var(--{colour})", "size": 6, "symbol": symbol},
        "hovertemplate": "%{y:" + number + "}",
    }
    if item.low is not None and item.high is not None:
        trace["customdata"] = [list(pair) for pair in zip(item.low, item.high, strict=True)]
        trace["hovertemplate"] += " (%{customdata[0]:" + number + "}–%{customdata[1]:" + number + "})"
    return trace


def _bars(labels: Sequence[str], item: Series, *, digits: int, percent: bool) -> dict[str, Any]:
    colour = _LOOK[item.role][0]
    marker: dict[str, Any] = {"color": f"var(--{colour})", "line": {"width": 0}}
    if item.role == "champion":
        marker["pattern"] = {
            "shape": "/",
            "size": 5,
            "solidity": 0.35,
            "bgcolor": "var(--champion)",
            "fgcolor": "var(--card)",
            "fillmode": "replace",
        }
    return {
        "type": "bar",
        "name": item.name,
        "x": list(labels),
        "y": list(item.values),
        "marker": marker,
        "hovertemplate": "%{y:" + (f".{digits}%" if percent else f".{digits}f") + "}",
    }


def _numbers(series: Sequence[Series]) -> Iterator[float]:
    for item in series:
        yield from (value for value in item.values if value is not None)


def _table(
    label_head: str, labels: Sequence[str], series: Sequence[Series]
) -> tuple[list[str], list[list[Any]]]:
    head = [label_head]
    columns: list[Sequence[Any]] = [labels]
    for item in series:
        head.append(item.name)
        columns.append(item.values)
        if item.low is not None and item.high is not None:
            head += [_("%(name)s, low") % {"name": item.name}, _("%(name)s, high") % {"name": item.name}]
            columns += [item.low, item.high]
    return head, [list(row) for row in zip(*columns, strict=True)]
