"""Tags of the catalog's pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django import template
from django.urls import NoReverseMatch, reverse
from django.utils.formats import number_format
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from apps.features.models import Feature, FeatureSet
from apps.features.search import words_of

register = template.Library()

#: (tab, name of its address, whether the address takes the set's name in its path, label)
_TABS: tuple[tuple[str, str, bool, Any], ...] = (
    ("overview", "features:set", True, pgettext_lazy("feature set", "Overview")),
    ("months", "pipelines:months", False, _("Months")),
    ("eda", "features:eda", True, _("EDA")),
    ("proof", "features:proof", True, _("Leak proof")),
    ("online", "features:online", True, _("Online")),
    ("lineage", "features:lineage", True, _("Lineage")),
)


@dataclass(frozen=True)
class Tab:
    label: str
    href: str
    is_here: bool


@register.inclusion_tag("features/_set_tabs.html")
def set_tabs(feature_set: FeatureSet, here: str) -> dict[str, Any]:
    """The pages of one feature set; an older version stays the one that is looked at."""
    tabs = []
    for name, address, in_path, label in _TABS:
        query = {} if in_path else {"set": feature_set.name}
        if not feature_set.is_current:
            query["version"] = str(feature_set.version)
        try:
            href = reverse(address, args=[feature_set.name] if in_path else [])
        except NoReverseMatch:
            continue
        tabs.append(Tab(str(label), f"{href}?{urlencode(query)}" if query else href, name == here))
    return {"tabs": tabs}


@register.filter
def grouped(value: int) -> str:
    """A count with its thousands grouped: ``10,074``."""
    return number_format(value, use_l10n=True, force_grouping=True)


@register.simple_tag
def feature_url(feature: Feature) -> str:
    """The page of a feature in its own version: a draft's or an older one's address names it."""
    held = feature.feature_set
    return f"{feature.get_absolute_url()}{'' if held.is_current else f'?version={held.version}'}"


@register.simple_tag
def set_url(feature_set: FeatureSet) -> str:
    """The page of exactly this version."""
    address = feature_set.get_absolute_url()
    return address if feature_set.is_current else f"{address}?version={feature_set.version}"


@register.simple_tag
def marked(text: str, words: str) -> SafeString:
    """`text` with the words of a search marked in it."""
    found = words_of(words)
    if not found:
        return escape(text)
    pattern = re.compile(
        "|".join(re.escape(word) for word in sorted(found, key=len, reverse=True)), re.IGNORECASE
    )
    parts, end = [], 0
    for match in pattern.finditer(text):
        parts.append(format_html("{}<mark>{}</mark>", text[end : match.start()], match.group()))
        end = match.end()
    return format_html("{}{}", format_html_join("", "{}", ((part,) for part in parts)), text[end:])
