"""Filters that the run list and the API share."""

from __future__ import annotations

import django_filters
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from apps.common.filters import AnyOfFilter, StableOrderingFilter
from apps.pipelines.models import PipelineRun, Template


class RunFilter(django_filters.FilterSet):
    q = django_filters.CharFilter(method="search", label=_("Pipeline, model, person or run number"))
    status = django_filters.MultipleChoiceFilter(choices=PipelineRun.Status.choices)
    template = django_filters.MultipleChoiceFilter(choices=Template.choices)
    trigger = django_filters.MultipleChoiceFilter(choices=PipelineRun.Trigger.choices)
    pipeline = django_filters.CharFilter(field_name="pipeline__name")
    model = AnyOfFilter(field_name="pipeline__registered_model__name")
    base_ym = django_filters.CharFilter(field_name="base_ym")
    sort = StableOrderingFilter(
        fields=[
            ("id", "run"),
            ("pipeline__name", "pipeline"),
            ("base_ym", "month"),
            ("started_at", "started"),
        ]
    )

    class Meta:
        model = PipelineRun
        fields = ["q", "status", "template", "trigger", "pipeline", "model", "base_ym"]

    def search(self, queryset: QuerySet[PipelineRun], name: str, value: str) -> QuerySet[PipelineRun]:
        condition = (
            Q(pipeline__name__icontains=value)
            | Q(pipeline__registered_model__name__icontains=value)
            | Q(requested_by__username__icontains=value)
        )
        if value.isdecimal() and len(value) < 19:
            condition |= Q(pk=int(value))
        return queryset.filter(condition)
