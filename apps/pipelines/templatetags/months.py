"""A cell of the grid of months: a link where there is something to see, a button where one can act."""

from __future__ import annotations

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from apps.common.charting import month_label
from apps.features.models import FeatureSet
from apps.pipelines.grid import Cell, CellState
from apps.pipelines.words import CELL_WORDS

register = template.Library()


@register.simple_tag
def month_cell(feature_set: FeatureSet, cell: Cell, may_fill: bool) -> SafeString:
    """The glyph is drawn by the state's class; the words are in the title and for who cannot see it."""
    words = _words(feature_set, cell)
    key = f"cell-{feature_set.name}-{cell.ym}"
    if cell.run_id is not None:
        return _link(reverse("pipelines:detail", args=[cell.run_id]), key, cell, words)
    if cell.state == CellState.DONE:
        return _link(feature_set.get_absolute_url(), key, cell, words)
    if cell.state == CellState.MISSING and may_fill and feature_set.status == "PUBLISHED":
        return format_html(
            '<button class="cell {}" id="{}" name="cell" value="{}/{}" title="{}" aria-label="{}"></button>',
            cell.state,
            key,
            feature_set.name,
            cell.ym,
            _("%(words)s: make it") % {"words": words},
            _("%(words)s: make it") % {"words": words},
        )
    return format_html(
        '<span class="cell {}" title="{}" role="img" aria-label="{}"></span>', cell.state, words, words
    )


def _link(href: str, key: str, cell: Cell, words: str) -> SafeString:
    return format_html(
        '<a class="cell {}" id="{}" href="{}" title="{}" aria-label="{}"></a>',
        cell.state,
        key,
        href,
        words,
        words,
    )


def _words(feature_set: FeatureSet, cell: Cell) -> str:
    text = f"{feature_set.name} {month_label(cell.ym)}: {CELL_WORDS[cell.state]}"
    if cell.rows is not None:
        text += ", " + _("%(rows)s rows") % {"rows": f"{cell.rows:,}"}
    if cell.run_id is not None:
        text += ", " + _("run %(pk)s") % {"pk": cell.run_id}
    return text
