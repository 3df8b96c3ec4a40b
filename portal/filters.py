"""Filters that the audit page and the API share."""

from __future__ import annotations

import django_filters
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from apps.common.filters import AnyOfFilter
from portal.models import AuditEvent


class AuditFilter(django_filters.FilterSet):
    q = django_filters.CharFilter(method="search", label=_("Person, object or number"))
    action = AnyOfFilter(field_name="action")
    object_type = django_filters.CharFilter(field_name="object_type")
    object_id = django_filters.CharFilter(field_name="object_id")
    actor = django_filters.CharFilter(field_name="actor_name")
    since = django_filters.DateFilter(field_name="at", lookup_expr="date__gte", label=_("From"))
    until = django_filters.DateFilter(field_name="at", lookup_expr="date__lte", label=_("To"))

    class Meta:
        model = AuditEvent
        fields = ["q", "action", "object_type", "object_id", "actor", "since", "until"]

    def search(self, queryset: QuerySet[AuditEvent], name: str, value: str) -> QuerySet[AuditEvent]:
        return queryset.filter(
            Q(actor_name__icontains=value) | Q(object_label__icontains=value) | Q(object_id=value)
        )
