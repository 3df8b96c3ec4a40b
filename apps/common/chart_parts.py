"""Parts of a figure's layout: axes of months, bands, limits, and the words on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from django.utils.formats import date_format
from django.utils.translation import gettext as _

#: habit of the trade, not tests (Siddiqi): below 0.10 stable, to 0.25 watch, from there act
PSI_WATCH, PSI_ACT = 0.10, 0.25


@dataclass(frozen=True)
class Limit:
    """A horizontal dashed line with a word on it: a floor, a gate."""

    value: float
    label: str
    tone: Literal["watch", "act", "quiet"] = "watch"


def month_label(ym: str) -> str:
    """``"202610"`` as ``"2026-10"``; anything else as it is."""
    return f"{ym[:4]}-{ym[4:]}" if len(ym) == 6 and ym.isdigit() else ym


def psi_band(value: float | None) -> Literal["", "stable", "watch", "act"]:
    if value is None:
        return ""
    if value >= PSI_ACT:
        return "act"
    return "watch" if value >= PSI_WATCH else "stable"


def tick_format(top: float, *, digits: int, percent: bool) -> str:
    """As many decimals as tell the ticks of such figures apart; big numbers are left to Plotly."""
    if percent:
        return ".0%" if top >= 0.05 else ".1%" if top >= 0.005 else ".2%"
    return f".{min(digits, 2)}f" if digits and top <= 1 else ","


def month_axis(months: Sequence[str]) -> dict[str, Any]:
    """At most six month names; the year stands below the first and wherever it changes."""
    step = max(1, -(-len(months) // 6))
    ticks: list[str] = []
    texts: list[str] = []
    year = ""
    for ym in months[::step]:
        ticks.append(month_label(ym))
        text = month_name(ym)
        if ym[:4] != year:
            year = ym[:4]
            text += f"<br>{year}"
        texts.append(text)
    return {
        "type": "category",
        # without it the months would stand in the order in which the traces name them
        "categoryorder": "array",
        "categoryarray": [month_label(ym) for ym in months],
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": texts,
        "tickangle": 0,
    }


def month_name(ym: str) -> str:
    if len(ym) != 6 or not ym.isdigit():
        return ym
    return str(date_format(date(int(ym[:4]), int(ym[4:]), 1), "M"))


def shade(shapes: list[dict[str, Any]], annotations: list[dict[str, Any]], ceiling: float) -> None:
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


def limit_line(limit: Limit) -> dict[str, Any]:
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


def limit_word(limit: Limit) -> dict[str, Any]:
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
