"""Filters that every list may use."""

from __future__ import annotations

from typing import Any

import django_filters
from django import forms
from django.db.models import F, QuerySet


class _AnyWord(forms.MultipleChoiceField):
    def valid_value(self, value: str) -> bool:
        return True


class AnyOfFilter(django_filters.MultipleChoiceFilter):
    """`?domain=cards&domain=deposits`: any of these words. A word that no row has finds nothing.

    Unlike `AllValuesMultipleFilter` it does not read the table to learn which words there are.
    """

    field_class = _AnyWord


class StableOrderingFilter(django_filters.OrderingFilter):
    """Sorting that gives every database the same answer.

    Rows without a value come last in either direction; equal rows are ordered by their key.
    """

    def filter(self, qs: QuerySet[Any], value: list[str] | None) -> QuerySet[Any]:
        if not value:
            return qs
        terms = []
        for parameter in value:
            field = F(self.get_ordering_value(parameter).lstrip("-"))
            is_descending = parameter.startswith("-")
            terms.append(field.desc(nulls_last=True) if is_descending else field.asc(nulls_last=True))
        return qs.order_by(*terms, "pk")
