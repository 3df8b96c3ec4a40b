"""Filters that the catalog page and the API share."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from apps.common.charting import PSI_ACT, PSI_WATCH
from apps.common.filters import AnyOfFilter, StableOrderingFilter
from apps.features.facts import facts_of
from apps.features.models import Feature, FeatureSet
from apps.features.search import search

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

FRESHNESS = [
    ("on_schedule", _("on schedule")),
    ("late", _("late")),
    ("not_scheduled", _("not scheduled")),
]

STATUS = [
    ("PUBLISHED", _("published")),
    ("DEPRECATED", _("deprecated")),
    ("DRAFT", _("draft")),
]

DTYPES = [
    (Feature.Dtype.NUMERIC.value, _("number")),
    (Feature.Dtype.CATEGORY.value, _("category")),
]

#: lists of the catalog that stand ready under a tab
TABS = [
    ("mine", _("Mine")),
    ("drifting", _("Drifting")),
    ("late", _("Late")),
    ("unused", _("Unused by any model")),
]


class FeatureFilter(django_filters.FilterSet):
    q = django_filters.CharFilter(method="search", label=_("Name, column, description, SQL, tag or owner"))
    tab = django_filters.ChoiceFilter(choices=TABS, method="by_tab")
    domain = AnyOfFilter(field_name="feature_set__domain")
    tag = AnyOfFilter(method="by_tag")
    entity = AnyOfFilter(field_name="feature_set__entity")
    owner = AnyOfFilter(field_name="feature_set__owner__username")
    feature_set = django_filters.CharFilter(field_name="feature_set__name")
    dtype = django_filters.MultipleChoiceFilter(choices=DTYPES)
    drift = django_filters.MultipleChoiceFilter(choices=DRIFT, method="by_drift")
    freshness = django_filters.MultipleChoiceFilter(choices=FRESHNESS, method="by_freshness")
    status = django_filters.MultipleChoiceFilter(choices=STATUS, field_name="feature_set__status")
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
        fields = [
            "q",
            "tab",
            "domain",
            "tag",
            "entity",
            "owner",
            "feature_set",
            "dtype",
            "drift",
            "freshness",
            "status",
        ]

    def search(self, queryset: QuerySet[Feature], name: str, value: str) -> QuerySet[Feature]:
        return search(queryset, value)

    def by_tab(self, queryset: QuerySet[Feature], name: str, value: str) -> QuerySet[Feature]:
        facts = facts_of(self.request)
        if value == "mine":
            return queryset.filter(feature_set__owner=getattr(self.request, "user", None))
        if value == "drifting":
            return queryset.filter(latest_psi__gte=PSI_WATCH)
        if value == "late":
            return queryset.filter(feature_set__in=list(facts.freshness.late))
        return queryset.exclude(pk__in=facts.used_ids)

    def by_tag(self, queryset: QuerySet[Feature], name: str, value: list[str]) -> QuerySet[Feature]:
        if not value:
            return queryset
        through = FeatureSet.tags.through.objects.filter(tag__name__in=value)
        return queryset.filter(feature_set__in=through.values("featureset_id"))

    def by_drift(self, queryset: QuerySet[Feature], name: str, value: list[str]) -> QuerySet[Feature]:
        condition = Q()
        for band in value:
            condition |= DRIFT_CONDITIONS[band]
        return queryset.filter(condition)

    def by_freshness(self, queryset: QuerySet[Feature], name: str, value: list[str]) -> QuerySet[Feature]:
        known = facts_of(self.request).freshness
        condition = Q()
        if "late" in value:
            condition |= Q(feature_set__in=list(known.late))
        if "on_schedule" in value:
            condition |= Q(feature_set__in=[pk for pk in known.scheduled if pk not in known.late])
        if "not_scheduled" in value:
            condition |= ~Q(feature_set__in=list(known.scheduled))
        return queryset.filter(condition)


class FeatureSetFilter(django_filters.FilterSet):
    q = django_filters.CharFilter(method="search", label=_("Name, title, description or owner"))
    name = django_filters.CharFilter(field_name="name")
    domain = django_filters.CharFilter(field_name="domain")
    entity = django_filters.CharFilter(field_name="entity")
    owner = django_filters.CharFilter(field_name="owner__username")
    is_current = django_filters.BooleanFilter(field_name="is_current")
    status = django_filters.ChoiceFilter(
        choices=[choice for choice in FeatureSet.Status.choices if choice[0] != FeatureSet.Status.DELETED]
    )
    proof = django_filters.ChoiceFilter(choices=FeatureSet.Proof.choices)
    tag = django_filters.CharFilter(field_name="tags__name")

    class Meta:
        model = FeatureSet
        fields = ["q", "name", "domain", "entity", "owner", "is_current", "status", "proof", "tag"]

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
