"""Reads of the feature catalog that chain."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import OuterRef, Q, Subquery

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

    def with_owner(self) -> FeatureSetQuerySet:
        return self.select_related("owner")


class FeatureQuerySet(models.QuerySet):
    def current(self) -> FeatureQuerySet:
        """Columns of the newest version of each feature set."""
        return self.filter(feature_set__is_current=True)

    def with_set(self) -> FeatureQuerySet:
        return self.select_related("feature_set", "feature_set__owner")

    def with_newest_profile(self) -> FeatureQuerySet:
        """`latest_psi` and `latest_ym`: of the newest base month that has been profiled."""
        from apps.features.models import FeatureProfile

        newest = FeatureProfile.objects.filter(feature=OuterRef("pk")).order_by("-base_ym")
        return self.annotate(
            latest_psi=Subquery(newest.values("psi")[:1]), latest_ym=Subquery(newest.values("base_ym")[:1])
        )


class MaterialisationQuerySet(models.QuerySet):
    def of(self, feature_set: FeatureSet) -> MaterialisationQuerySet:
        return self.filter(feature_set=feature_set)

    def months(self) -> list[str]:
        """Base months that stand in the store, first to last."""
        return sorted(set(self.values_list("base_ym", flat=True)))
