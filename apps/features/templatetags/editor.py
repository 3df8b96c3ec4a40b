"""Tags of the editor and of the leak proof."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from django import template
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from apps.features.models import FeatureSet
from apps.features.services import Preview, uses_of
from apps.features.timeline import Timeline, timeline_of

register = template.Library()

_SHOWN_CHARACTERS = 60


@register.simple_tag
def timeline(sources: Iterable[Any], base_ym: str) -> Timeline:
    return timeline_of(sources, base_ym)


@register.filter
def grouped(value: Any) -> str:
    """A whole number with its thousands grouped."""
    return str(number_format(value, 0, use_l10n=True, force_grouping=True)) if isinstance(value, int) else ""


@register.filter
def item(values: Mapping[str, Any] | None, key: str) -> Any:
    return (values or {}).get(key, "")


@register.filter
def undeclared(sources: Iterable[Any], timeless: Mapping[str, str] | None) -> list[Any]:
    """Sources that a person may declare timeless, each table once: those without an end or a date."""
    found: dict[str, Any] = {}
    for source in sources:
        if source.status in ("open", "no_date_column", "timeless") or source.table in (timeless or {}):
            found.setdefault(source.table, source)
    return list(found.values())


@register.filter
def headed(preview: Preview) -> list[tuple[str, bool]]:
    return list(zip(preview.columns, preview.numeric, strict=True))


@register.filter
def cells(preview: Preview, row: list[Any]) -> list[tuple[Any, bool]]:
    return list(zip(row, preview.numeric, strict=True))


@register.simple_tag
def value(given: Any) -> SafeString | str:
    """A value of a feature as it was before or after the poison."""
    if given is None or given == "" or (isinstance(given, float) and not math.isfinite(given)):
        return format_html('<span class="none">{}</span>', _("missing"))
    text = f"{given:.10g}" if isinstance(given, float) else str(given)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


@register.inclusion_tag("features/editor/_lifecycle.html", takes_context=True)
def lifecycle(context: template.Context, feature_set: FeatureSet) -> dict[str, Any]:
    """Edit, publish, deprecate and delete, as far as the version and the person allow."""
    whole = feature_set.is_current
    return {
        "feature_set": feature_set,
        "user": context["user"],
        "csrf_token": context.get("csrf_token"),
        "uses": uses_of(feature_set.name, version=None if whole else feature_set.version),
        "draft": FeatureSet.objects.filter(name=feature_set.name, status=FeatureSet.Status.DRAFT).first(),
    }
