"""Counts beside the check boxes of the catalog: each facet counts under all filters but its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Case, CharField, Count, QuerySet, Value, When
from django.http import QueryDict
from django.utils.translation import gettext as _

from apps.features.filters import DRIFT, DRIFT_CONDITIONS, FeatureFilter
from apps.features.models import Feature


@dataclass(frozen=True)
class Choice:
    value: str
    label: str
    count: int
    is_on: bool


@dataclass(frozen=True)
class Facet:
    name: str
    title: str
    choices: list[Choice]


@dataclass(frozen=True)
class Chip:
    """A filter that is on, with the address of the list without it."""

    label: str
    href: str


def facets(query: QueryDict, rows: QuerySet[Feature]) -> list[Facet]:
    return [
        Facet("domain", _("Domain"), _column(query, rows, "domain", "feature_set__domain")),
        Facet("entity", _("Entity"), _column(query, rows, "entity", "feature_set__entity")),
        Facet("drift", _("Drift (PSI)"), _drift(query, rows)),
    ]


def chips(query: QueryDict, names: list[str]) -> list[Chip]:
    found = []
    words = {key: str(label) for key, label in DRIFT}
    for name in names:
        for value in query.getlist(name):
            if not value:
                continue
            rest = query.copy()
            rest.pop("page", None)
            rest.setlist(name, [other for other in query.getlist(name) if other != value])
            label = f"“{value}”" if name == "q" else words.get(value, value)
            found.append(Chip(label, f"?{rest.urlencode()}"))
    return found


def _under_other_filters(query: QueryDict, rows: QuerySet[Feature], name: str) -> QuerySet[Feature]:
    rest = query.copy()
    for key in (name, "sort", "page"):
        rest.pop(key, None)
    return FeatureFilter(rest, queryset=rows).qs.order_by()


def _column(query: QueryDict, rows: QuerySet[Feature], name: str, column: str) -> list[Choice]:
    on = set(query.getlist(name))
    counts: dict[str, Any] = dict(
        _under_other_filters(query, rows, name).values_list(column).annotate(n=Count("pk")).order_by(column)
    )
    return [Choice(value, value, count, value in on) for value, count in counts.items() if value]


def _drift(query: QueryDict, rows: QuerySet[Feature]) -> list[Choice]:
    on = set(query.getlist("drift"))
    band = Case(
        *(When(condition, then=Value(key)) for key, condition in DRIFT_CONDITIONS.items()),
        output_field=CharField(),
    )
    counts: dict[str, int] = dict(
        _under_other_filters(query, rows, "drift").values_list(band).annotate(n=Count("pk")).order_by()
    )
    return [
        Choice(key, str(label), counts.get(key, 0), key in on)
        for key, label in DRIFT
        if key != "none" or counts.get(key) or key in on
    ]
