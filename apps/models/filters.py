"""Filters that the pages and the API share."""

from __future__ import annotations

import django_filters
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from apps.models.models import Comparison, ModelVersion, RegisteredModel, Review


class RegisteredModelFilter(django_filters.FilterSet):
    q = django_filters.CharFilter(method="search", label=_("Name, title, description or owner"))
    entity = django_filters.CharFilter(field_name="entity")
    owner = django_filters.CharFilter(field_name="owner__username")

    class Meta:
        model = RegisteredModel
        fields = ["q", "entity", "owner"]

    def search(self, queryset: QuerySet[RegisteredModel], name: str, value: str) -> QuerySet[RegisteredModel]:
        return queryset.filter(
            Q(name__icontains=value)
            | Q(title__icontains=value)
            | Q(description__icontains=value)
            | Q(owner__username__icontains=value)
        )


class ModelVersionFilter(django_filters.FilterSet):
    model = django_filters.CharFilter(field_name="registered_model__name")
    stage = django_filters.MultipleChoiceFilter(choices=ModelVersion.Stage.choices)
    base_ym = django_filters.CharFilter(field_name="base_ym")

    class Meta:
        model = ModelVersion
        fields = ["model", "stage", "base_ym"]


class ComparisonFilter(django_filters.FilterSet):
    model = django_filters.CharFilter(field_name="registered_model__name")
    verdict = django_filters.MultipleChoiceFilter(choices=Comparison.Verdict.choices)
    base_ym = django_filters.CharFilter(field_name="base_ym")

    class Meta:
        model = Comparison
        fields = ["model", "verdict", "base_ym"]


class ReviewFilter(django_filters.FilterSet):
    model = django_filters.CharFilter(field_name="version__registered_model__name")
    status = django_filters.MultipleChoiceFilter(choices=Review.Status.choices)
    requested_by = django_filters.CharFilter(field_name="requested_by__username")

    class Meta:
        model = Review
        fields = ["model", "status", "requested_by"]
