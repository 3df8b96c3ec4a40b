"""Counts beside the check boxes of the catalog: each facet counts under all filters but its own.

The features are counted once, by set, kind and band; what the sets are (domain, owner, ...) is put to
those counts here. That is four queries for eight facets, whichever boxes are ticked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Case, CharField, Count, QuerySet, Value, When
from django.http import QueryDict
from django.utils.translation import gettext as _

from apps.features.facts import Facts
from apps.features.filters import DRIFT, DRIFT_CONDITIONS, DTYPES, FRESHNESS, STATUS, TABS
from apps.features.models import Feature, FeatureSet

#: choices of a facet that stand open; the rest are behind "more"
SHOWN = 8
#: words that people wrote, of which there may be hundreds
SHOWN_OF = {"tag": 6, "owner": 6}
NAMES = ("domain", "entity", "drift", "freshness", "status", "dtype", "tag", "owner")

#: fixed choices that are shown only where there is one
_ONLY_IF_ANY = frozenset({"none", "DRAFT", "DEPRECATED"})

_WORDS: dict[str, dict[str, Any]] = {
    "drift": dict(DRIFT),
    "freshness": dict(FRESHNESS),
    "status": dict(STATUS),
    "dtype": dict(DTYPES),
    "tab": dict(TABS),
}


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

    @property
    def first(self) -> list[Choice]:
        """What stands open: the first ones and whatever is ticked."""
        return [c for index, c in enumerate(self.choices) if index < self._most or c.is_on]

    @property
    def rest(self) -> list[Choice]:
        return [c for index, c in enumerate(self.choices) if index >= self._most and not c.is_on]

    @property
    def _most(self) -> int:
        return SHOWN_OF.get(self.name, SHOWN)


@dataclass(frozen=True)
class Chip:
    """A filter that is on, with the address of the list without it."""

    label: str
    href: str


@dataclass(frozen=True)
class Held:
    """What the facets need to know of a feature set."""

    values: Mapping[str, Sequence[str]]
    owner_id: int


@dataclass
class Cube:
    """Features counted by set, kind and drift band."""

    cells: list[tuple[int, str, str, int]] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(cell[3] for cell in self.cells)

    def count(self, keep: Callable[[int, str, str], bool]) -> int:
        return sum(n for pk, dtype, band, n in self.cells if keep(pk, dtype, band))


def cube(rows: QuerySet[Feature]) -> Cube:
    band = Case(
        *(When(condition, then=Value(key)) for key, condition in DRIFT_CONDITIONS.items()),
        output_field=CharField(),
    )
    counted = rows.order_by().annotate(band=band).values_list("feature_set_id", "dtype", "band")
    return Cube(list(counted.annotate(n=Count("pk"))))


def held_sets(facts: Facts) -> tuple[dict[int, Held], dict[str, str]]:
    """Every set in the catalog with its values for the facets, and the names of the owners."""
    sets = FeatureSet.objects.in_catalog().order_by()
    tags: dict[int, list[str]] = {}
    for pk, name in FeatureSet.tags.through.objects.filter(featureset__in=sets.values("pk")).values_list(
        "featureset_id", "tag__name"
    ):
        tags.setdefault(pk, []).append(name)
    known = facts.freshness
    held, people = {}, {}
    columns = ("pk", "domain", "entity", "status", "owner_id", "owner__username")
    names = ("owner__first_name", "owner__last_name")
    for pk, domain, entity, status, owner_id, username, first, last in sets.values_list(*columns, *names):
        people[username] = f"{first} {last}".strip() or username
        values = {
            "domain": (domain,),
            "tag": tuple(tags.get(pk, ())),
            "entity": (entity,),
            "owner": (username,),
            "freshness": (known.of(pk),),
            "status": (status,),
        }
        held[pk] = Held(values, owner_id)
    return held, people


@dataclass(frozen=True)
class Panel:
    """The facets of a list, and how many features pass all of them."""

    facets: list[Facet]
    matching: int


def panel(query: QueryDict, counted: Cube, sets: Mapping[int, Held], people: Mapping[str, str]) -> Panel:
    """Each facet with its counts, from features counted under the search and the tab alone."""
    on = {name: _ticked(query, name) for name in NAMES}
    counts: dict[str, Counter[str]] = {name: Counter() for name in NAMES}
    matching = 0
    for pk, dtype, band, n in counted.cells:
        held = sets.get(pk)
        if held is None:
            # published or deleted between two queries: counted at the next look
            continue
        values = {**held.values, "dtype": (dtype,), "drift": (band,)}
        failing = [name for name, wanted in on.items() if wanted and wanted.isdisjoint(values[name])]
        if len(failing) > 1:
            continue
        if not failing:
            matching += n
        for name in failing or NAMES:
            for value in values[name]:
                counts[name][value] += n
    titles = {
        "domain": _("Domain"),
        "tag": _("Tag"),
        "entity": _("Entity"),
        "owner": _("Owner"),
        "drift": _("Drift (PSI)"),
        "freshness": _("Freshness"),
        "status": _("Status"),
        "dtype": _("Type"),
    }
    words = {**_WORDS, "owner": people}
    boxes = [Facet(name, titles[name], _choices(name, counts[name], on[name], words)) for name in NAMES]
    return Panel(boxes, matching)


def _ticked(query: QueryDict, name: str) -> set[str]:
    """The values of a facet that count; as in the filter, one unknown word of a fixed choice voids it."""
    values = set(query.getlist(name))
    if name in _WORDS:
        return values if values <= set(_WORDS[name]) else set()
    return values - {""}


def _choices(
    name: str, counts: Counter[str], on: set[str], words: Mapping[str, Mapping[str, Any]]
) -> list[Choice]:
    """Fixed choices in their own order; words that people wrote by how many features have them."""
    labels = words.get(name, {})
    if name in _WORDS:
        shown = [key for key in labels if counts[key] or key in on or key not in _ONLY_IF_ANY]
    else:
        found = {value for value in counts if value} | on
        shown = sorted(found, key=lambda value: (-counts[value], value))
    return [Choice(key, str(labels.get(key, key)), counts[key], key in on) for key in shown]


def chips(query: QueryDict, people: Mapping[str, str]) -> list[Chip]:
    found = []
    words = {**_WORDS, "owner": people}
    for name in ("q", "feature_set", *NAMES):
        for value in query.getlist(name):
            if not value:
                continue
            rest = query.copy()
            for key in ("page", "format"):
                rest.pop(key, None)
            rest.setlist(name, [other for other in query.getlist(name) if other != value])
            label = f"“{value}”" if name == "q" else str(words.get(name, {}).get(value, value))
            found.append(Chip(label, f"?{rest.urlencode()}"))
    return found
