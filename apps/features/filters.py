"""Filters that the catalog page and the API share."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from apps.common.charting import PSI_ACT, PSI_WATCH
from apps.common.filters import AnyOfFilter, StableOrderingFilter
from apps.features.models import Feature, FeatureSet

DRIFT = [
    ("stable", _("stable < 0.10")),
    ("watch", _("watch 0.10–0.25")),
    ("act", _("act ≥ 0.25")),
    ("none", _("no figure yet")),
]

DRIFT_CONDITIONS: dict[str, Q] = {
    "stable": Q(latest_psi__lt=PSI_WATCH),
    "watch": Q(latest_psi__gte=PSI_WATCH, latest_psi__lt=PSI_ACT),
    "act": Q(latest_psi__gte=PSI_ACT),
    "none": Q(latest_psi__isnull=True),
}


class FeatureFilter(django_filters.FilterSet):
    q = django_filters.CharFilter(method="search", label=_("Name, description, set or owner"))
    domain = AnyOfFilter(field_name="feature_set__domain")
    entity = AnyOfFilter(field_name="feature_set__entity")
    feature_set = django_filters.CharFilter(field_name="feature_set__name")
    dtype = django_filters.MultipleChoiceFilter(choices=Feature.Dtype.choices)
    drift = django_filters.MultipleChoiceFilter(choices=DRIFT, method="by_drift")
    sort = StableOrderingFilter(
        fields=[
            ("name", "name"),
            ("feature_set__entity", "entity"),
            ("feature_set__domain", "domain"),
            ("feature_set__owner__username", "owner"),
            ("latest_psi", "psi"),
            ("latest_ym", "month"),
        ]
    )

    class Meta:
        model = Feature
        fields = ["q", "domain", "entity", "feature_set", "dtype", "drift"]

    def search(self, queryset: QuerySet[Feature], name: str, value: str) -> QuerySet[Feature]:
        return queryset.filter(
            Q(name__icontains=value)
            | Q(description__icontains=value)
            | Q(feature_set__name__icontains=value)
            | Q(feature_set__owner__username__icontains=value)
        )

    def by_drift(self, queryset: QuerySet[Feature], name: str, value: list[str]) -> QuerySet[Feature]:
        condition = Q()
        for band in value:
            condition |= DRIFT_CONDITIONS[band]
        return queryset.filter(condition)


class FeatureSetFilter(django_filters.FilterSet):
    q = django_filters.CharFilter(method="search", label=_("Name, title, description or owner"))
    name = django_filters.CharFilter(field_name="name")
    domain = django_filters.CharFilter(field_name="domain")
    entity = django_filters.CharFilter(field_name="entity")
    owner = django_filters.CharFilter(field_name="owner__username")
    is_current = django_filters.BooleanFilter(field_name="is_current")

    class Meta:
        model = FeatureSet
        fields = ["q", "name", "domain", "entity", "owner", "is_current"]

    def search(self, queryset: QuerySet[FeatureSet], name: str, value: str) -> QuerySet[FeatureSet]:
        words: dict[str, Any] = {
            "name": value,
            "title": value,
            "description": value,
            "owner__username": value,
        }
        condition = Q()
        for field, word in words.items():
            condition |= Q(**{f"{field}__icontains": word})
        return queryset.filter(condition)
