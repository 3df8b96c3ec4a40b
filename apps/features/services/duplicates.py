"""Features that exist already: the same query in other words, or values that move as one."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Any

from apps.features.models import FeatureSet, Materialisation
from apps.features.queries import engine_query
from apps.features.services.preview import without_end
from mlopslib.dates import date_params, validate_ym
from mlopslib.eda import near_duplicates
from mlopslib.errors import InvalidInput
from mlopslib.offline.base import OfflineStore
from mlopslib.sql import guard_select, render_sql
from mlopslib.sql.fingerprint import fingerprint


@dataclass(frozen=True)
class Near:
    """A new column and a feature of another set that it moves with: Pearson's r, or Cramer's V."""

    column: str
    feature_set: FeatureSet
    feature: str
    r: float


@dataclass(frozen=True)
class Duplicates:
    #: feature sets whose query is the same in other words
    same_query: list[FeatureSet]
    near: list[Near]
    #: the month of which values were compared; empty where no other set has one
    base_ym: str
    #: materialised sets that were compared
    compared: int


def find_duplicates(
    *,
    actor: Any,
    store: OfflineStore,
    name: str,
    sql: str,
    entity_key: str,
    base_ym: str = "",
    query_id: uuid.UUID | None = None,
) -> Duplicates:
    """Current feature sets that compute the same, or whose values correlate with those of the query.

    Values are compared over one month that other sets with the same entity key have in the store:
    `base_ym`, or the newest one that most of them have.
    Raises AccessDenied, Conflict, SqlRejected, UnknownParameter, QueryFailed, QueryTimeout,
    QueryCancelled.
    """
    others = FeatureSet.objects.current().exclude(name=name)
    same = list(others.filter(sql_fingerprint=fingerprint(sql)))
    candidates = list(others.filter(entity_key=entity_key).prefetch_related("features"))
    base_ym = validate_ym(base_ym) if base_ym else _month(candidates)
    if not base_ym:
        return Duplicates(same, [], "", 0)
    standing = set(
        Materialisation.objects.filter(feature_set__in=candidates, base_ym=base_ym).values_list(
            "feature_set_id", flat=True
        )
    )
    rows = [row for row in candidates if row.pk in standing]
    if not rows:
        return Duplicates(same, [], base_ym, 0)
    rendered = without_end(render_sql(sql, date_params(base_ym)))
    guard_select(rendered, tables=store.list_tables())
    names = {column.name for column in store.describe_sql(rendered)}
    if entity_key not in names:
        raise InvalidInput(f"the query does not give the entity key {entity_key!r}", field="entity_key")
    by_table = {row.to_spec().table: row for row in rows}
    existing = [(table, feature.name) for table, row in by_table.items() for feature in row.features.all()]
    with engine_query(actor, "duplicates", rendered, store=store, query_id=query_id) as query:
        found = near_duplicates(query.store, rendered, existing, entity_key, base_ym)
        query.row.rows = len(found)
    near = [Near(column, by_table[table], feature, r) for column, table, feature, r in found]
    near.sort(key=lambda item: -abs(item.r))
    return Duplicates(same, near, base_ym, len(rows))


def _month(candidates: list[FeatureSet]) -> str:
    """The newest month among those that most of the sets have."""
    months = Counter(
        Materialisation.objects.filter(feature_set__in=candidates).values_list("base_ym", flat=True)
    )
    return max(months, key=lambda ym: (months[ym], ym), default="")
