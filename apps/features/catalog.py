"""One page of the catalog, and its CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.translation import gettext as _

from apps.common.charting import csv_cell, month_label, psi_band
from apps.features.facets import NAMES, Cube, Held, Panel, cube, held_sets, panel
from apps.features.facts import Facts, facts_of
from apps.features.filters import FRESHNESS, TABS, FeatureFilter
from apps.features.models import Feature, FeatureProfile
from apps.features.search import Hint, hints
from mlopslib.dates import add_months

PER_PAGE = 50
SPARK_MONTHS = 12
DEFAULT_SORT = "-psi"
#: what may stand in the address of the list, beside page and format
KEYS = ("q", "tab", "feature_set", *NAMES, "sort")


@dataclass(frozen=True)
class Row:
    """One line of a feature table."""

    feature: Feature
    psi_by_month: list[float | None]
    models: list[str]
    freshness: str
    hint: Hint | None


@dataclass(frozen=True)
class TabCount:
    key: str
    label: str
    count: int
    is_on: bool


class _Counted(Paginator):
    """The facets have counted the list already."""

    def __init__(self, rows: QuerySet[Feature], per_page: int, total: int) -> None:
        super().__init__(rows, per_page)
        self._total = total

    @cached_property
    def count(self) -> int:
        return self._total


class Catalog:
    """The list under the filters of a request."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.facts: Facts = facts_of(request)
        self.query: QueryDict = request.GET.copy()
        for key in set(self.query) - set(KEYS):
            self.query.pop(key)
        self.everything = Feature.objects.in_catalog()

    @property
    def default_sort(self) -> str:
        """A search is sorted by where it matched, a list without one by drift."""
        return "" if self.query.get("q", "").strip() else DEFAULT_SORT

    @cached_property
    def filter(self) -> FeatureFilter:
        query = self.query.copy()
        if not query.get("sort") and self.default_sort:
            query["sort"] = self.default_sort
        return FeatureFilter(query, queryset=self.everything, request=self.request)

    @cached_property
    def sets(self) -> tuple[dict[int, Held], dict[str, str]]:
        return held_sets(self.facts)

    @cached_property
    def all_counted(self) -> Cube:
        return cube(self.everything)

    @cached_property
    def panel(self) -> Panel:
        """Facets over what the search and the tab leave; without those over everything."""
        base = QueryDict(mutable=True)
        for key in ("q", "tab", "feature_set"):
            if self.query.get(key):
                base[key] = self.query[key]
        counted = self.all_counted
        if base:
            counted = cube(FeatureFilter(base, queryset=self.everything, request=self.request).qs)
        held, people = self.sets
        return panel(self.query, counted, held, people)

    @cached_property
    def page(self) -> Page[Feature]:
        """Keys are sorted and cut first: whole rows with their SQL are read for one page only."""
        keys = self.filter.qs.values_list("pk", flat=True)
        page = _Counted(keys, PER_PAGE, self.panel.matching).get_page(self.request.GET.get("page"))
        page.object_list = in_order(list(page.object_list))
        return page

    def rows(self) -> list[Row]:
        features = list(self.page.object_list)
        found = hints(features, self.query.get("q", ""))
        return feature_rows(features, self.facts, hints=found)

    def tabs(self) -> list[TabCount]:
        """How many features stand under each tab, whatever is filtered now."""
        held, _people = self.sets
        user_id, late = self.request.user.pk, self.facts.freshness.late
        counts = {
            "": self.all_counted.total,
            "mine": self.all_counted.count(lambda pk, _d, _b: pk in held and held[pk].owner_id == user_id),
            "drifting": self.all_counted.count(lambda _pk, _d, band: band in {"watch", "act"}),
            "late": self.all_counted.count(lambda pk, _d, _b: pk in late),
            "unused": self.all_counted.total - len(self.facts.used_ids),
        }
        here = self.query.get("tab", "")
        labels = [("", _("All")), *TABS]
        return [TabCount(key, str(label), counts[key], key == here) for key, label in labels]


def in_order(keys: Sequence[int]) -> list[Feature]:
    """Features with their sets, in the order of their keys."""
    found = Feature.objects.with_set().in_bulk(keys)
    return [found[key] for key in keys if key in found]


def feature_rows(
    features: Sequence[Feature], facts: Facts, *, hints: Mapping[int, Hint] | None = None
) -> list[Row]:
    """What the lines of a feature table show, for features that come with their sets."""
    months: dict[int, list[float | None]] = {}
    newest = [feature.latest_ym for feature in features if feature.latest_ym]
    if newest:
        profiles = FeatureProfile.objects.filter(feature__in=features).order_by("base_ym")
        first = add_months(min(newest), 1 - SPARK_MONTHS)
        for pk, psi in profiles.filter(base_ym__gte=first).values_list("feature_id", "psi"):
            months.setdefault(pk, []).append(psi)
    return [
        Row(
            feature,
            months.get(feature.pk, [])[-SPARK_MONTHS:],
            facts.models_of(feature, feature.feature_set.name),
            facts.freshness.of(feature.feature_set_id),
            (hints or {}).get(feature.pk),
        )
        for feature in features
    ]


_HEAD = (
    "feature",
    "feature_set",
    "version",
    "status",
    "entity",
    "domain",
    "tags",
    "type",
    "owner",
    "month",
    "psi",
    "drift",
    "freshness",
    "proof",
    "description",
)


def catalog_csv(found: Catalog) -> HttpResponse:
    """The list under the current filter, every page of it, in its order."""
    # with a byte-order mark, so that Excel reads Korean
    response = HttpResponse("\ufeff", content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="features.csv"'
    writer = csv.writer(response)
    writer.writerow(_HEAD)
    words = {key: str(word) for key, word in FRESHNESS}
    held, _people = found.sets
    rows = found.filter.qs.with_set().defer("feature_set__sql", "feature_set__description")
    for row in rows.iterator(chunk_size=500):
        of = row.feature_set
        known = held.get(of.pk)
        values = [row.name, of.name, of.version, of.get_status_display(), of.entity, of.domain]
        values += [" ".join(known.values["tag"]) if known else "", row.engine_type or row.dtype]
        values += [of.owner.username, month_label(row.latest_ym or ""), row.latest_psi]
        values += [psi_band(row.latest_psi), words[found.facts.freshness.of(of.pk)]]
        values += [of.get_proof_display(), row.description]
        writer.writerow([csv_cell(value) for value in values])
    return response
