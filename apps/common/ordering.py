"""Sorting that gives every database the same answer."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import F, QuerySet


class StableOrderingFilter(django_filters.OrderingFilter):
    """Rows without a value come last in either direction; equal rows are ordered by their key."""

    def filter(self, qs: QuerySet[Any], value: list[str] | None) -> QuerySet[Any]:
        if not value:
            return qs
        terms = []
        for parameter in value:
            field = F(self.get_ordering_value(parameter).lstrip("-"))
            is_descending = parameter.startswith("-")
            terms.append(field.desc(nulls_last=True) if is_descending else field.asc(nulls_last=True))
        return qs.order_by(*terms, "pk")
