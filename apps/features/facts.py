"""What the catalog's lists know beside the rows: freshness, use by models. Read once for a request."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from apps.features.freshness import Freshness, freshness
from apps.features.models import Feature
from apps.features.usage import columns_in_use


class Facts:
    """Lazy: a list that asks for none of it pays for none of it."""

    @cached_property
    def freshness(self) -> Freshness:
        return freshness()

    @cached_property
    def in_use(self) -> dict[tuple[str, str], list[str]]:
        """(feature set, column) -> the models that take it."""
        return columns_in_use()

    @cached_property
    def used_ids(self) -> frozenset[int]:
        """Features of the catalog that a model takes, whichever version of the set it pins."""
        if not self.in_use:
            return frozenset()
        names = {name for name, _column in self.in_use}
        rows = Feature.objects.in_catalog().filter(feature_set__name__in=names)
        found = rows.order_by().values_list("pk", "feature_set__name", "name")
        return frozenset(pk for pk, feature_set, name in found if (feature_set, name) in self.in_use)

    def models_of(self, feature: Feature, feature_set: str) -> list[str]:
        return self.in_use.get((feature_set, feature.name), [])


def facts_of(request: Any) -> Facts:
    """The facts of one request, so that filter, facets and rows share them."""
    if request is None:
        return Facts()
    kept = getattr(request, "_catalog_facts", None)
    if kept is None:
        kept = request._catalog_facts = Facts()
    return kept
