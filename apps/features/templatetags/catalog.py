"""Tags of the catalog's pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django import template
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _

from apps.features.models import FeatureSet

register = template.Library()

#: (tab, name of its address, whether the address takes the set's name in its path, label)
_TABS: tuple[tuple[str, str, bool, Any], ...] = (
    ("overview", "features:set", True, _("Overview")),
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
