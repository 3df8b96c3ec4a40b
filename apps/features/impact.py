"""What breaks if a source column goes: features, feature sets, models and endpoints, in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.features.models import Feature, FeatureSet, FeatureSource, SetSource
from apps.features.usage import all_uses

#: features of a set that stand open; the rest are behind "more"
SHOWN = 12


@dataclass
class BrokenSet:
    """A version of a feature set that reads the column."""

    feature_set: FeatureSet
    #: features that are computed from it
    features: list[Feature] = field(default_factory=list)
    #: whether the column decides which rows the set has: then none of its features can be computed
    decides_rows: bool = False
    pinned_by: list[str] = field(default_factory=list)

    @property
    def first(self) -> list[Feature]:
        return self.features[:SHOWN]

    @property
    def rest(self) -> list[Feature]:
        return self.features[SHOWN:]


@dataclass
class BrokenModel:
    model: Any
    #: "definition" in words, or the champion or challenger that takes them
    through: list[str]
    columns: list[str]
    endpoints: list[Any]


@dataclass(frozen=True)
class Impact:
    table: str
    column: str
    sets: list[BrokenSet]
    models: list[BrokenModel]

    @property
    def features(self) -> int:
        """How many features, counted once where several versions of a set hold them."""
        return len({(item.feature_set.name, row.name) for item in self.sets for row in item.features})

    @property
    def endpoints(self) -> list[Any]:
        found = {endpoint.pk: endpoint for item in self.models for endpoint in item.endpoints}
        return sorted(found.values(), key=lambda endpoint: endpoint.name)

    @property
    def name(self) -> str:
        return f"{self.table}.{self.column}" if self.column else self.table

    @property
    def sentence(self) -> str:
        """The whole of it in one sentence."""
        if not self.sets:
            return _("Nothing in the catalog reads %(name)s.") % {"name": self.name}
        n = len({item.feature_set.name for item in self.sets})
        sets = ngettext("%(n)s feature set", "%(n)s feature sets", n) % {"n": n}
        features = ngettext("%(n)s feature", "%(n)s features", self.features) % {"n": self.features}
        parts = [
            _("Without %(name)s, %(features)s of %(sets)s cannot be computed.")
            % {"name": self.name, "features": features, "sets": sets}
        ]
        if not self.models:
            parts.append(_("No model takes one of them."))
            return " ".join(parts)
        models = ngettext("%(n)s model", "%(n)s models", len(self.models)) % {"n": len(self.models)}
        if not self.endpoints:
            parts.append(_("%(models)s could not be trained or monitored again.") % {"models": models})
            return " ".join(parts)
        endpoints = ngettext("%(n)s endpoint", "%(n)s endpoints", len(self.endpoints))
        parts.append(
            _("%(models)s could not be trained or monitored again, and %(endpoints)s would lose inputs.")
            % {"models": models, "endpoints": endpoints % {"n": len(self.endpoints)}}
        )
        return " ".join(parts)


def what_breaks(table: str, column: str = "") -> Impact:
    """Who stands on a column (on a whole table without one).

    Versions count that are in the catalog or that a model still pins; nine queries at most.
    """
    where = Q(table=table, column=column) if column else Q(table=table)
    uses = all_uses()
    sets: dict[int, BrokenSet] = {}
    for source in FeatureSource.objects.filter(where).select_related("feature__feature_set__owner"):
        broken = _broken(sets, source.feature.feature_set)
        if source.feature not in broken.features:
            broken.features.append(source.feature)
    rows = SetSource.objects.filter(where).select_related("feature_set__owner")
    for row in rows.prefetch_related("feature_set__features"):
        broken = _broken(sets, row.feature_set)
        broken.decides_rows = True
        broken.features = list(row.feature_set.features.all())
    found = [item for item in sets.values() if item.feature_set.status != FeatureSet.Status.DELETED]
    models: dict[int, BrokenModel] = {}
    kept = []
    for broken in sorted(found, key=lambda item: (item.feature_set.name, -item.feature_set.version)):
        _add_models(broken, uses.get(broken.feature_set.name, []), models)
        held = broken.feature_set
        if held.is_current or held.status == FeatureSet.Status.DRAFT or broken.pinned_by:
            kept.append(broken)
    return Impact(table, column, kept, sorted(models.values(), key=lambda item: item.model.name))


def _broken(sets: dict[int, BrokenSet], held: FeatureSet) -> BrokenSet:
    return sets.setdefault(held.pk, BrokenSet(held))


def _add_models(broken: BrokenSet, uses: list[Any], models: dict[int, BrokenModel]) -> None:
    names = {feature.name for feature in broken.features}
    for use in uses:
        pin = use.pins.get(broken.feature_set.version)
        if pin is None:
            continue
        # the rows of a set are the population of its models, so its filter columns concern all of them
        taken = pin.columns & names
        if not taken:
            continue
        item = models.setdefault(use.model.pk, BrokenModel(use.model, [], [], use.endpoints))
        item.columns += sorted(taken - set(item.columns))
        item.through += [label for label in pin.labels if label not in item.through]
        broken.pinned_by.append(use.model.name)


def tables_index() -> list[dict[str, Any]]:
    """Every source table of the catalog, with how many columns of it features are computed from."""
    rows = FeatureSource.objects.filter(_in_catalog()).order_by("table").values("table")
    return list(
        rows.annotate(columns=Count("column", distinct=True), features=Count("feature", distinct=True))
    )


def columns_index(table: str) -> list[dict[str, Any]]:
    """The columns of a table that the catalog reads, with the features and the sets that stand on each."""
    rows = FeatureSource.objects.filter(_in_catalog(), table=table).order_by("column").values("column")
    found = {
        row["column"]: {**row, "sets": 0} for row in rows.annotate(features=Count("feature", distinct=True))
    }
    held = FeatureSet.objects.in_catalog().order_by().values("pk")
    deciding = SetSource.objects.filter(feature_set__in=held, table=table).order_by("column").values("column")
    for row in deciding.annotate(sets=Count("feature_set")):
        found.setdefault(row["column"], {"column": row["column"], "features": 0})["sets"] = row["sets"]
    return sorted(found.values(), key=lambda row: row["column"])


def _in_catalog() -> Q:
    return Q(feature__feature_set__in=FeatureSet.objects.in_catalog().order_by().values("pk"))
