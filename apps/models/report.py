"""A comparison's report (`mlopslib.comparison.ComparisonReport.to_dict`), read for people."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.common.charting import month_label

Report = Mapping[str, Any]

#: a month inside of a sentence of the library
_MONTH = re.compile(r"\b(20\d\d)(0[1-9]|1[0-2])\b")


def signed(value: float, digits: int = 3) -> str:
    """A change with its sign; the minus is the real one, so that columns line up."""
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0:
        return f"±{text}"
    return f"+{text}" if value > 0 else f"−{text}"


def plain(value: float | None, digits: int = 3, unit: str = "") -> str:
    return "–" if value is None else f"{value:.{digits}f}{unit}"


def figure_of(value: Any) -> float | None:
    """A figure of a report is a number, or a mapping with `value`, `low` and `high`."""
    if isinstance(value, Mapping):
        value = value.get("value")
    return None if value is None else float(value)


def months_of(report: Mapping[str, Any]) -> list[str]:
    return [month["base_ym"] for month in report.get("months") or []]


def psi_series(report: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """Score PSI by month, for both models."""
    series: dict[str, dict[str, float | None]] = {"champion": {}, "challenger": {}}
    for side, months in (report.get("score_psi") or {}).items():
        if side in series:
            series[side] = dict(months)
    return series


def months_text(months: Sequence[str]) -> str:
    return ", ".join(month_label(month) for month in months)


def worse_months_sentence(report: Mapping[str, Any]) -> str:
    """Where the challenger was behind, in words; empty where there are no months at all."""
    months = report.get("months") or []
    worse = report.get("worse_months") or []
    if not months:
        return ""
    if not worse:
        return ngettext(
            "The challenger was not worse in the one month compared.",
            "The challenger was worse in none of the %(n)d months compared.",
            len(months),
        ) % {"n": len(months)}
    return _("The challenger was worse in %(worse)d of %(n)d months: %(names)s.") % {
        "worse": len(worse),
        "n": len(months),
        "names": months_text(worse),
    }


@dataclass(frozen=True)
class Interval:
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class MonthRow:
    """One line of the table of a comparison; `base_ym` is empty where months are pooled."""

    base_ym: str
    rows: int | None
    positives: int | None
    champion: Interval
    challenger: Interval
    difference: Interval
    p: float | None
    lift_champion: float | None
    lift_challenger: float | None
    ks_champion: float | None
    ks_challenger: float | None
    ks_difference: Interval
    lift_difference: Interval
    verdict: str
    #: why the month has no figures, where it has none
    reason: str = ""
    is_worse: bool = False


def month_rows(report: Mapping[str, Any]) -> list[MonthRow]:
    worse = set(report.get("worse_months") or [])
    return [_month_row(month, is_worse=month["base_ym"] in worse) for month in report.get("months") or []]


def pooled_row(report: Mapping[str, Any]) -> MonthRow | None:
    pooled = report.get("pooled")
    if not pooled:
        return None
    return _month_row({"verdict": report.get("verdict"), **pooled, "base_ym": ""})


def _month_row(month: Mapping[str, Any], *, is_worse: bool = False) -> MonthRow:
    difference = month.get("auc_difference") or {}
    return MonthRow(
        base_ym=month.get("base_ym", ""),
        rows=month.get("n"),
        positives=month.get("positives"),
        champion=_interval(month.get("auc_champion")),
        challenger=_interval(month.get("auc_challenger")),
        difference=_interval(difference),
        p=difference.get("p") if isinstance(difference, Mapping) else None,
        lift_champion=figure_of(month.get("lift10_champion")),
        lift_challenger=figure_of(month.get("lift10_challenger")),
        ks_champion=figure_of(month.get("ks_champion")),
        ks_challenger=figure_of(month.get("ks_challenger")),
        ks_difference=_interval(month.get("ks_difference")),
        lift_difference=_interval(month.get("lift10_difference")),
        verdict=month.get("verdict") or "",
        reason=month.get("reason") or "",
        is_worse=is_worse,
    )


def _interval(value: Any) -> Interval:
    if isinstance(value, Mapping):
        return Interval(value.get("value"), value.get("low"), value.get("high"))
    return Interval(figure_of(value))


def excluded_rows(report: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Reasons with the months that they keep out, in the order of the months."""
    reasons: dict[str, list[str]] = {}
    for month, reason in sorted((report.get("excluded") or {}).items()):
        reasons.setdefault(_MONTH.sub(r"\1-\2", reason), []).append(month)
    return list(reasons.items())


@dataclass(frozen=True)
class SwapSet:
    """Customers who enter and leave the top decile when the challenger takes over."""

    in_n: float
    out_n: float
    in_responders: float
    out_responders: float

    @property
    def in_rate(self) -> float | None:
        return self.in_responders / self.in_n if self.in_n else None

    @property
    def out_rate(self) -> float | None:
        return self.out_responders / self.out_n if self.out_n else None

    @property
    def gain(self) -> float:
        return self.in_responders - self.out_responders

    @property
    def gain_text(self) -> str:
        return signed(self.gain, 0)


def swap_set(report: Mapping[str, Any]) -> SwapSet | None:
    found = report.get("swap_set")
    if not found:
        return None
    return SwapSet(*(float(found[key]) for key in ("in_n", "out_n", "in_responders", "out_responders")))
