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

from django.utils.formats import date_format
from django.utils.translation import gettext as _

#: habit of the trade, not tests (Siddiqi): below 0.10 stable, to 0.25 watch, from there act
PSI_WATCH, PSI_ACT = 0.10, 0.25

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


@dataclass(frozen=True)
class Limit:
    """A horizontal dashed line with a word on it: a floor, a gate."""

    value: float
    label: str
    tone: Literal["watch", "act", "quiet"] = "watch"


def csv_cell(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        return f"'{value}"
    return "" if value is None else value


def month_label(ym: str) -> str:
    """``"202610"`` as ``"2026-10"``; anything else as it is."""
    return f"{ym[:4]}-{ym[4:]}" if len(ym) == 6 and ym.isdigit() else ym


def psi_band(value: float | None) -> Literal["", "stable", "watch", "act"]:
    if value is None:
        return ""
    if value >= PSI_ACT:
        return "act"
    return "watch" if value >= PSI_WATCH else "stable"


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
    yaxis: dict[str, Any] = {"tickformat": _tick_format(top, digits=digits, percent=percent)}
    if psi_bands:
        ceiling = max(top * 1.12, 0.28)
        yaxis["range"] = [0, ceiling]
        _shade(shapes, annotations, ceiling)
    elif from_zero:
        yaxis["rangemode"] = "tozero"
    for limit in limits:
        shapes.append(_limit_line(limit))
        annotations.append(_limit_word(limit))
    layout = base_layout(xaxis=_month_axis(months), yaxis=yaxis, shapes=shapes, annotations=annotations)
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
    shapes = [] if baseline is None else [_limit_line(Limit(baseline, "", "quiet"))]
    top = max((abs(v) for v in _numbers(series)), default=0.0)
    yaxis = {"rangemode": "tozero", "tickformat": _tick_format(top, digits=0, percent=percent)}
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


def _tick_format(top: float, *, digits: int, percent: bool) -> str:
    """As many decimals as tell the ticks of such figures apart; big numbers are left to Plotly."""
    if percent:
        return ".0%" if top >= 0.05 else ".1%" if top >= 0.005 else ".2%"
    return f".{min(digits, 2)}f" if digits and top <= 1 else ","


def _month_axis(months: Sequence[str]) -> dict[str, Any]:
    """At most six month names; the year stands below the first and wherever it changes."""
    step = max(1, -(-len(months) // 6))
    ticks: list[str] = []
    texts: list[str] = []
    year = ""
    for ym in months[::step]:
        ticks.append(month_label(ym))
        text = _month_name(ym)
        if ym[:4] != year:
            year = ym[:4]
            text += f"<br>{year}"
        texts.append(text)
    return {"type": "category", "tickmode": "array", "tickvals": ticks, "ticktext": texts, "tickangle": 0}


def _month_name(ym: str) -> str:
    from datetime import date

    if len(ym) != 6 or not ym.isdigit():
        return ym
    return str(date_format(date(int(ym[:4]), int(ym[4:]), 1), "M"))


def _shade(shapes: list[dict[str, Any]], annotations: list[dict[str, Any]], ceiling: float) -> None:
    bands: list[tuple[Literal["watch", "act"], str, float, float]] = [
        ("watch", _("watch"), PSI_WATCH, PSI_ACT),
        ("act", _("act"), PSI_ACT, ceiling),
    ]
    for tone, word, low, high in bands:
        shapes.append(
            {
                "type": "rect",
                "layer": "below",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": low,
                "y1": high,
                "line": {"width": 0},
                "fillcolor": f"var(--band-{tone})",
            }
        )
        annotations.append(_word(f"{word} {low:.2f}", low, f"var(--{tone}-text)", anchor="left"))


def _limit_line(limit: Limit) -> dict[str, Any]:
    colour = "champion" if limit.tone == "quiet" else limit.tone
    return {
        "type": "line",
        "layer": "below",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": limit.value,
        "y1": limit.value,
        "line": {"color": f"var(--{colour})", "width": 1.5, "dash": "dash"},
    }


def _limit_word(limit: Limit) -> dict[str, Any]:
    colour = "chart-text" if limit.tone == "quiet" else f"{limit.tone}-text"
    return _word(limit.label, limit.value, f"var(--{colour})", anchor="right")


def _word(text: str, y: float, colour: str, *, anchor: Literal["left", "right"]) -> dict[str, Any]:
    return {
        "text": text,
        "xref": "paper",
        "x": 0 if anchor == "left" else 1,
        "xanchor": anchor,
        "y": y,
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 11, "color": colour},
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
