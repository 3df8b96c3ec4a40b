"""What the EDA page draws inside its tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import template
from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.features.eda import PsiCell

register = template.Library()

_WIDTH, _HEIGHT = 96, 26
_BANDS: dict[str, Any] = {
    "stable": gettext_lazy("stable"),
    "watch": gettext_lazy("watch"),
    "act": gettext_lazy("act"),
}
#: what measured a pair of features
_KINDS: dict[str, Any] = {
    "pearson": "Pearson",
    "spearman": "Spearman",
    "cramers_v": gettext_lazy("Cramér's V"),
    "ratio": gettext_lazy("correlation ratio"),
    "correlation_ratio": gettext_lazy("correlation ratio"),
}


@register.simple_tag
def small_bars(counts: Sequence[int], dtype: str) -> SafeString:
    """A small histogram. Its figures stand in the feature's own chart, so it is decoration."""
    if not counts or max(counts) <= 0:
        return SafeString()
    top, step = max(counts), _WIDTH / len(counts)
    bars = format_html_join(
        "",
        '<rect x="{}" y="{}" width="{}" height="{}"/>',
        (
            (f"{i * step:.1f}", f"{_HEIGHT - height:.1f}", f"{max(step - 1, 1):.1f}", f"{height:.1f}")
            for i, height in ((i, _HEIGHT * count / top) for i, count in enumerate(counts))
        ),
    )
    return format_html(
        '<svg class="small-bars {}" viewBox="0 0 {} {}" width="{}" height="{}" aria-hidden="true">{}</svg>',
        dtype,
        *(_WIDTH, _HEIGHT, _WIDTH, _HEIGHT),
        bars,
    )


@register.filter
def at(values: Any, key: str) -> Any:
    """A value of a dict by its key, where the key is no word: ``quantiles|at:"0.5"``."""
    return values.get(key) if isinstance(values, dict) else None


@register.filter
def has(names: Any, name: str) -> bool:
    return name in names


@register.filter
def names_of(pair: dict[str, Any]) -> tuple[str, str]:
    return pair["a"], pair["b"]


@register.filter
def kind_word(kind: str) -> str:
    """What measured a pair."""
    return str(_KINDS.get(kind, kind))


@register.simple_tag
def share(part: float | None, whole: float | None) -> SafeString:
    """A part of the rows in percent; what is there but rounds to nothing says so."""
    if not whole or part is None:
        return format_html('<span class="none">{}</span>', "–")
    percent = 100 * part / whole
    text = "<0.01" if 0 < percent < 0.01 else number_format(round(percent, 2), decimal_pos=2)
    return format_html('<span class="figure">{}%</span>', text)


@register.simple_tag
def psi_cell(cell: PsiCell | None) -> SafeString:
    """A PSI with its band's word and the mark of more than chance; the rest is in the title."""
    if cell is None or (cell.value is None and not cell.is_reference):
        return format_html('<span class="psi-heat none">{}</span>', "–")
    if cell.is_reference:
        return format_html('<span class="psi-heat none" title="{}">{}</span>', _("the reference"), _("ref."))
    words = [f"PSI {cell.value:.4f}", str(_BANDS[cell.band])]
    if cell.high is not None:
        words.append(_("chance alone gives up to %(high)s") % {"high": f"{cell.high:.4f}"})
    if cell.q is not None:
        words.append(f"q {cell.q:.3g}")
    if cell.unseen:
        words.append(_("%(n)s rows with a category that the reference did not have") % {"n": cell.unseen})
    mark: SafeString | str = ""
    if cell.is_more_than_chance:
        mark = format_html(
            '<b class="chance" aria-hidden="true">▲</b><span class="visually-hidden">{}</span>',
            _("more than chance"),
        )
        words.append(_("more than chance"))
    band: SafeString | str = ""
    if cell.band != "stable":
        band = format_html("<small>{}</small>", _BANDS[cell.band])
    return format_html(
        '<span class="psi-heat {}" title="{}">{}{}{}</span>',
        cell.band,
        ", ".join(words),
        f"{cell.value:.2f}",
        mark,
        band,
    )
