"""What publishing a query would change, for its columns, its values and the models on the name."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from apps.features.models import FeatureSet
from apps.features.queries import engine_query
from apps.features.services.definition import match_features, understand
from apps.features.services.draft import current_of
from apps.features.services.preview import without_end
from mlopslib.dates import date_params, validate_ym
from mlopslib.definition import FeatureSpec
from mlopslib.derive import parse_expression
from mlopslib.errors import GijunError
from mlopslib.offline.base import OfflineStore
from mlopslib.sql import render_sql
from mlopslib.sql.fingerprint import fingerprint

#: numbers that differ by less than this share are the same: engines add in any order
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Retyped:
    name: str
    before: str
    after: str


@dataclass(frozen=True)
class ValueChange:
    """Entities of the sample month whose value of a feature differs between the two queries."""

    feature: str
    changed: int
    #: of the entities that both queries give
    share: float


@dataclass(frozen=True)
class Values:
    """The two queries held against each other for one month."""

    base_ym: str
    both: int
    only_before: int
    only_after: int
    features: list[ValueChange]

    @property
    def changed(self) -> list[ValueChange]:
        return [item for item in self.features if item.changed]

    @property
    def is_same(self) -> bool:
        return not (self.only_before or self.only_after or self.changed)


@dataclass(frozen=True)
class ModelEffect:
    """What a model on this name would see if it moved to the new version; until then, nothing."""

    name: str
    url: str
    #: versions of the feature set that it pins
    pins: list[int]
    endpoints: list[str]
    #: inputs that the new version lacks
    lost: list[str]
    #: (derived variable, lost input that it reads)
    derived: list[tuple[str, str]]
    #: inputs that change between number and category
    retyped: list[str]
    #: inputs whose values change in the sample month
    changed: list[str]

    @property
    def would_break(self) -> bool:
        return bool(self.lost or self.retyped)


@dataclass(frozen=True)
class DryRun:
    #: None where the name is new
    before: FeatureSet | None
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    retyped: list[Retyped] = field(default_factory=list)
    #: the same query in other words
    is_same_query: bool = False
    #: None where there was no month to compare; `why_not` says why
    values: Values | None = None
    why_not: str = ""
    models: list[ModelEffect] = field(default_factory=list)

    @property
    def next_version(self) -> int:
        return self.before.version + 1 if self.before else 1


def what_would_change(
    *,
    actor: Any,
    store: OfflineStore,
    name: str,
    sql: str,
    entity_key: str,
    features: Sequence[FeatureSpec] | None = None,
    base_ym: str = "",
    query_id: uuid.UUID | None = None,
) -> DryRun:
    """Hold a query against the current version of its name; nothing is saved.

    With a `base_ym` both queries run for that month in the engine and are compared there.
    Raises AccessDenied, Conflict, InvalidDate, DefinitionInvalid, SqlRejected, QueryFailed and, when
    the comparison is stopped or takes too long, QueryCancelled and QueryTimeout.
    """
    before = current_of(name)
    understood = understand(sql, store)
    names = {column.name for column in understood.columns}
    given = [spec for spec in features or () if spec.name in names]
    after = {
        spec.name: spec for spec in match_features(understood.columns, entity_key=entity_key, features=given)
    }
    if before is None:
        return DryRun(None, added=list(after))
    had = {feature.name: feature for feature in before.features.all()}
    types = {column.name: column.type for column in understood.columns}
    retyped = [
        Retyped(each, f"{had[each].dtype}, {had[each].engine_type}", f"{after[each].dtype}, {types[each]}")
        for each in had
        if each in after and (had[each].dtype, had[each].engine_type) != (after[each].dtype, types[each])
    ]
    values, why_not = None, ""
    if before.entity_key != entity_key:
        why_not = f"the current version has the key {before.entity_key}: publish under another name"
    elif base_ym:
        both = [
            (each, had[each].dtype if had[each].dtype == after[each].dtype else "category")
            for each in had
            if each in after
        ]
        values = _compare(actor, store, before.sql, sql, entity_key, both, base_ym, query_id)
    else:
        why_not = "choose a base month to compare the values"
    kinds = {each for each in had if each in after and had[each].dtype != after[each].dtype}
    moved = {item.feature for item in values.changed} if values else set()
    return DryRun(
        before=before,
        added=[each for each in after if each not in had],
        removed=[each for each in had if each not in after],
        retyped=retyped,
        is_same_query=_is_same(before.sql, sql),
        values=values,
        why_not=why_not,
        models=_models(name, set(after), kinds, moved),
    )


def _is_same(before: str, after: str) -> bool:
    with suppress(GijunError):
        return fingerprint(before) == fingerprint(after)
    return False


def _compare(
    actor: Any,
    store: OfflineStore,
    before: str,
    after: str,
    entity_key: str,
    features: Sequence[tuple[str, str]],
    base_ym: str,
    query_id: uuid.UUID | None,
) -> Values:
    """One full join in the engine; NULL differs from a value and equals NULL."""
    dates = date_params(validate_ym(base_ym))
    old, new = (without_end(render_sql(text, dates)) for text in (before, after))
    key = f"`{entity_key}`"
    counts = [
        f"SUM(CASE WHEN a.{key} IS NOT NULL AND b.{key} IS NOT NULL THEN 1 ELSE 0 END) AS both_sides",
        f"SUM(CASE WHEN b.{key} IS NULL THEN 1 ELSE 0 END) AS only_before",
        f"SUM(CASE WHEN a.{key} IS NULL THEN 1 ELSE 0 END) AS only_after",
    ]
    counts += [
        f"SUM(CASE WHEN a.{key} IS NOT NULL AND b.{key} IS NOT NULL AND {_differs(name, dtype)} "
        f"THEN 1 ELSE 0 END) AS d_{position}"
        for position, (name, dtype) in enumerate(features)
    ]
    sql = (
        f"SELECT {', '.join(counts)} FROM (\n{old}\n) a FULL OUTER JOIN (\n{new}\n) b "  # noqa: S608
        f"ON a.{key} = b.{key}"
    )
    with engine_query(actor, "dry_run", sql, store=store, query_id=query_id) as query:
        found = query.read(sql, rows=1).to_pylist()[0]
    both = int(found["both_sides"] or 0)
    changes = [
        ValueChange(name, changed, changed / both if both else 0.0)
        for position, (name, _) in enumerate(features)
        for changed in [int(found[f"d_{position}"] or 0)]
    ]
    changes.sort(key=lambda item: -item.changed)
    return Values(
        base_ym=base_ym,
        both=both,
        only_before=int(found["only_before"] or 0),
        only_after=int(found["only_after"] or 0),
        features=changes,
    )


def _differs(name: str, dtype: str) -> str:
    a, b = f"a.`{name}`", f"b.`{name}`"
    one_missing = f"(({a} IS NULL AND {b} IS NOT NULL) OR ({a} IS NOT NULL AND {b} IS NULL)"
    if dtype == "category":
        return f"{one_missing} OR CAST({a} AS STRING) <> CAST({b} AS STRING))"
    x, y = f"CAST({a} AS DOUBLE)", f"CAST({b} AS DOUBLE)"
    return f"{one_missing} OR ABS({x} - {y}) > {TOLERANCE!r} * GREATEST(ABS({x}), ABS({y})))"


def _models(name: str, after: set[str], retyped: set[str], changed: set[str]) -> list[ModelEffect]:
    rows = FeatureSet.objects.visible().filter(name=name)
    models: dict[int, tuple[Any, list[int]]] = {}
    for row in rows.prefetch_related("registered_models__endpoints"):
        for model in row.registered_models.all():
            models.setdefault(model.pk, (model, []))[1].append(row.version)
    effects = []
    for model, pins in models.values():
        spec = model.spec
        inputs = [ref.column for ref in spec.features if ref.feature_set == name]
        lost = [each for each in inputs if each not in after]
        derived = []
        for item in spec.derived:
            with suppress(GijunError):
                reads = parse_expression(item.expression).columns
                derived += [(item.name, each) for each in reads if each in lost]
        effects.append(
            ModelEffect(
                name=model.name,
                url=model.get_absolute_url(),
                pins=sorted(pins),
                endpoints=sorted(endpoint.name for endpoint in model.endpoints.all()),
                lost=lost,
                derived=derived,
                retyped=[each for each in inputs if each in retyped],
                changed=[each for each in inputs if each in changed],
            )
        )
    return sorted(effects, key=lambda effect: effect.name)
