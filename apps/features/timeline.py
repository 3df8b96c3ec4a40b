"""The dates that each source of a query reads, placed on one line with the base date."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from datetime import date
from typing import Any

from django.utils.translation import gettext as _

from apps.common.charting import month_label
from mlopslib.dates import add_months, date_params, last_day

#: the drawing is as wide as its place: every position is a share of it, in percent
WIDTH = 100
#: months drawn to the left and right of what is read, at least
_LEFT, _RIGHT = 1, 2
#: room at an end for the arrow of a range that has none
_ARROW = 0.8
#: as much of an end is too narrow for the name of a month
_MARGIN = 4


@dataclass(frozen=True)
class Tick:
    x: float
    label: str


@dataclass(frozen=True)
class Line:
    """One source: its bar in the drawing's units (percent), and the same in words."""

    table: str
    column: str
    #: bounded, open, after_base, timeless, no_date_column
    status: str
    words: str
    where: str
    reason: str
    #: None where there is nothing to draw
    x: float | None = None
    width: float = 0.0
    #: part of the bar that lies after the base date
    after_x: float | None = None
    after_width: float = 0.0
    open_left: bool = False
    open_right: bool = False

    @property
    def right(self) -> float:
        return (self.x or 0.0) + self.width

    @property
    def is_bad(self) -> bool:
        return self.status in ("after_base", "open")


@dataclass(frozen=True)
class Timeline:
    base_ym: str
    #: the base date, on every line
    base_x: float
    base_dt: str
    ticks: list[Tick]
    lines: list[Line]


def timeline_of(bounds: Iterable[Any], base_ym: str) -> Timeline:
    """Place the date bounds of sources (`mlopslib.sql.leaks.SourceBounds`, or their dictionaries)."""
    items = [_plain(item) for item in bounds]
    base = date_params(base_ym)["base_dt"]
    days = [base] + [day for item in items for day in (item["low"], item["high"]) if day]
    first, last = add_months(min(days)[:6], -_LEFT), add_months(max(days)[:6], _RIGHT)
    low, high = _ordinal(f"{first}01"), _ordinal(last_day(last)) + 1
    scale = WIDTH / (high - low)

    def at(day: str, *, end: bool = False) -> float:
        """Where a day begins, or ends."""
        return round((_ordinal(day) + end - low) * scale, 2)

    base_x = at(base, end=True)
    return Timeline(
        base_ym=base_ym,
        base_x=base_x,
        base_dt=_day(base),
        ticks=_ticks(first, last, at),
        lines=[_line(item, base_x, at) for item in items],
    )


def _line(item: Mapping[str, Any], base_x: float, at: Any) -> Line:
    status, low, high = item["status"], item["low"], item["high"]
    common = {
        "table": item["table"],
        "column": item["column"] or "",
        "status": status,
        "where": item["where"] or "",
        "reason": item["reason"] or "",
        "words": _words(status, low, high),
    }
    if status in ("timeless", "no_date_column"):
        return Line(**common)
    x = at(low) if low else float(_ARROW)
    right = at(high, end=True) if high else float(WIDTH - _ARROW)
    right = max(right, x + 0.4)
    after = max(x, base_x)
    return Line(
        **common,
        x=x,
        width=round(right - x, 2),
        after_x=after if right > base_x + 0.05 else None,
        after_width=round(max(right - after, 0.0), 2),
        open_left=not low,
        open_right=not high,
    )


def _words(status: str, low: str | None, high: str | None) -> str:
    """The bar, for who cannot see it."""
    if status == "timeless":
        return _("declared timeless")
    if status == "no_date_column":
        return _("has no date column")
    if low and high:
        return _("%(low)s to %(high)s") % {"low": _day(low), "high": _day(high)}
    if high:
        return _("everything up to %(high)s") % {"high": _day(high)}
    if low:
        return _("%(low)s and everything after it") % {"low": _day(low)}
    return _("every date, past and future")


def _ticks(first: str, last: str, at: Any) -> list[Tick]:
    """A mark at the first of each month; names at no more than six of them."""
    months = []
    ym = first
    while ym <= last:
        months.append(ym)
        ym = add_months(ym, 1)
    step = max(1, -(-len(months) // 6))
    ticks = []
    for index, ym in enumerate(months):
        x = at(f"{ym}01")
        # a name at an end would hang out of the drawing
        is_named = index % step == 1 % step and _MARGIN <= x <= WIDTH - _MARGIN
        ticks.append(Tick(x, month_label(ym) if is_named else ""))
    return ticks


def _plain(item: Any) -> dict[str, Any]:
    values = asdict(item) if is_dataclass(item) and not isinstance(item, type) else dict(item)
    names = ("table", "column", "low", "high", "status", "reason", "where")
    return {name: values.get(name) for name in names} | {"status": values.get("status") or "open"}


def _ordinal(day: str) -> int:
    return date(int(day[:4]), int(day[4:6]), int(day[6:8])).toordinal()


def _day(day: str) -> str:
    return f"{day[:4]}-{day[4:6]}-{day[6:8]}"
