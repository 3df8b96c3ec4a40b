"""Reads of the feature catalog that chain."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from apps.features.models import FeatureSet


class FeatureSetQuerySet(models.QuerySet):
    def current(self) -> FeatureSetQuerySet:
        """The newest version of each feature set."""
        return self.filter(is_current=True)

    def pinned(self, pins: Collection[tuple[str, int]]) -> FeatureSetQuerySet:
        """Exactly these (name, version) pairs; those that do not exist are left out."""
        condition = Q(pk__in=[])
        for name, version in pins:
            condition |= Q(name=name, version=version)
        return self.filter(condition)

    def visible(self) -> FeatureSetQuerySet:
        """Everything but what was deleted."""
        return self.exclude(status="DELETED")

    def in_catalog(self) -> FeatureSetQuerySet:
        """What the catalog lists: the current version of each set, and every draft."""
        return self.filter(Q(is_current=True) | Q(status="DRAFT"))

    def with_owner(self) -> FeatureSetQuerySet:
        return self.select_related("owner")


class FeatureQuerySet(models.QuerySet):
    def current(self) -> FeatureQuerySet:
        """Columns of the newest version of each feature set."""
        return self.filter(feature_set__is_current=True)

    def in_catalog(self) -> FeatureQuerySet:
        """Columns of the current version of each set, and of every draft."""
        from apps.features.models import FeatureSet

        # a set of keys, not a join: the sets are few and the condition on them is an OR
        return self.filter(feature_set__in=FeatureSet.objects.in_catalog().order_by().values("pk"))

    def with_set(self) -> FeatureQuerySet:
        return self.select_related("feature_set", "feature_set__owner")


class MaterialisationQuerySet(models.QuerySet):
    def of(self, feature_set: FeatureSet) -> MaterialisationQuerySet:
        return self.filter(feature_set=feature_set)

    def months(self) -> list[str]:
        """Base months that stand in the store, first to last."""
        return sorted(set(self.values_list("base_ym", flat=True)))


class SavedViewQuerySet(models.QuerySet):
    def visible_to(self, user: Any) -> SavedViewQuerySet:
        """A person's own views and those that others share."""
        return self.filter(Q(owner=user) | Q(is_shared=True))
