"""Where features come from and who stands on them: source columns, feature sets, models, endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import transaction

from apps.features.models import FeatureSet, FeatureSource, SetSource
from mlopslib.dates import date_params
from mlopslib.errors import GijunError
from mlopslib.offline.base import OfflineStore
from mlopslib.sql import render_sql

#: any month does for naming columns; no query runs
_SAMPLE_YM = "202401"

#: {table: {column: engine type}}
Schema = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Rebuilt:
    """What `rebuild_sources` did; `skipped` says why a set was left as it was."""

    done: int
    skipped: dict[str, str]


def store_sources(feature_set: FeatureSet, schema: Schema) -> int:
    """Keep which source columns each feature of a version is computed from; returns how many rows.

    `schema` tells the columns of the tables that the query reads. What stood before is replaced.
    Raises SqlRejected where the query cannot be understood.
    """
    from mlopslib.sql.lineage import filters_of, sources_of

    sql = render_sql(feature_set.sql, date_params(_SAMPLE_YM))
    by_column = sources_of(sql, schema)
    deciding = filters_of(sql, schema)
    rows = [
        FeatureSource(feature=feature, table=table, column=column)
        for feature in feature_set.features.all()
        for table, column in sorted(by_column.get(feature.name, frozenset()))
    ]
    filters = [
        SetSource(feature_set=feature_set, table=table, column=column) for table, column in sorted(deciding)
    ]
    with transaction.atomic():
        FeatureSource.objects.filter(feature__feature_set=feature_set).delete()
        SetSource.objects.filter(feature_set=feature_set).delete()
        FeatureSource.objects.bulk_create(rows, batch_size=500)
        SetSource.objects.bulk_create(filters, batch_size=500)
    return len(rows) + len(filters)


def rebuild_sources(store: OfflineStore, feature_sets: Iterable[FeatureSet]) -> Rebuilt:
    """Read the source columns of feature sets again: those published before sources were kept."""
    skipped: dict[str, str] = {}
    done = 0
    known: dict[str, Mapping[str, str]] = {}
    for row in feature_sets:
        try:
            for table in row.source_tables:
                if table not in known:
                    known[table] = {column.name: column.type for column in store.describe(table)}
            store_sources(row, {table: known[table] for table in row.source_tables})
        except GijunError as error:
            skipped[str(row)] = error.message
        else:
            done += 1
    return Rebuilt(done, skipped)
