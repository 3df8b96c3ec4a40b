"""What the feature catalog does: publish feature sets, keep the record of their months."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction

from apps.common.access import require
from apps.common.audit import record
from apps.features.models import Feature, FeatureSet
from mlopslib.artifacts import sha256_of
from mlopslib.dates import date_params
from mlopslib.definition import Dtype, FeatureSpec, check_identifier
from mlopslib.errors import Conflict, DefinitionInvalid, OfflineStoreError, SqlRejected
from mlopslib.offline.base import Column, OfflineStore
from mlopslib.sql import guard_select, render_sql, tables_in

#: any month does for naming tables and columns; no query runs
_SAMPLE_YM = "202401"
#: columns that the pipeline adds to a data set beside the features
_RESERVED = frozenset({"base_ym", "target", "score", "part"})
_NUMERIC = re.compile(
    r"u?(tiny|small|big|huge)?int(eger)?\d*|double( precision)?|float\d*|real|bool(ean)?"
    r"|(decimal|numeric)(\(\d+,\s*\d+\))?"
)
_TEXT = re.compile(r"(varchar|char|bpchar|string|text)(\(\d+\))?|enum\(.*\)", re.DOTALL)


def create_feature_set(
    *,
    actor: Any,
    store: OfflineStore,
    name: str,
    title: str,
    entity: str,
    entity_key: str,
    sql: str,
    features: Sequence[FeatureSpec] | None = None,
    description: str = "",
    domain: str = "",
) -> FeatureSet:
    """Publish a feature query; a new version where the name exists.

    The query is rendered for a sample month, guarded, and described by the engine without running.
    `features` says how to read its columns; columns that it leaves out are read by their engine type.
    Raises AccessDenied, DefinitionInvalid, SqlRejected, UnknownParameter, QueryFailed.
    """
    require(actor, "features.create")
    check_identifier(name)
    check_identifier(entity, field="entity")
    check_identifier(entity_key, field="entity_key")
    _check_words(title=title, entity=entity, domain=domain)
    rendered, columns = _understand(sql, store)
    specs = _match_features(columns, entity_key=entity_key, features=features)
    engine_types = {column.name: column.type for column in columns}
    try:
        with transaction.atomic():
            feature_set = FeatureSet(
                name=name,
                version=_make_room(name, entity=entity, entity_key=entity_key),
                title=title.strip(),
                description=description,
                domain=domain,
                entity=entity,
                entity_key=entity_key,
                sql=sql,
                sql_sha256=sha256_of(sql.encode()),
                source_tables=sorted(set(tables_in(rendered))),
                owner=actor,
            )
            feature_set.save()
            Feature.objects.bulk_create(
                Feature(
                    feature_set=feature_set,
                    position=position,
                    name=spec.name,
                    dtype=spec.dtype,
                    engine_type=engine_types[spec.name][:40],
                    description=spec.description[:300],
                )
                for position, spec in enumerate(specs)
            )
            record(
                actor,
                "feature_set.published",
                feature_set,
                version=feature_set.version,
                sql_sha256=feature_set.sql_sha256,
                source_tables=feature_set.source_tables,
                features=[spec.name for spec in specs],
            )
    except IntegrityError as error:
        raise Conflict(
            f"somebody else published {name} at this moment: look at it, then try again"
        ) from error
    return feature_set


def _understand(sql: str, store: OfflineStore) -> tuple[str, list[Column]]:
    """The query for a sample month, and the columns that the engine says it gives."""
    try:
        rendered = render_sql(sql, date_params(_SAMPLE_YM))
        guard_select(rendered, tables=store.list_tables())
        return rendered, store.describe_sql(rendered)
    except (SqlRejected, OfflineStoreError) as error:
        error.field = error.field or "sql"
        raise


def _check_words(**words: str) -> None:
    """Titles and labels fit their columns."""
    if not words["title"].strip():
        raise DefinitionInvalid("a feature set needs a title that people can read", field="title")
    for name, text in words.items():
        longest = FeatureSet._meta.get_field(name).max_length
        if len(text) > longest:
            raise DefinitionInvalid(f"{name} takes {longest} characters at most", field=name)


def _make_room(name: str, *, entity: str, entity_key: str) -> int:
    """Retire the current version; returns the number of the next."""
    current = FeatureSet.objects.select_for_update().current().filter(name=name).first()
    if current is None:
        return 1
    if (current.entity, current.entity_key) != (entity, entity_key):
        raise DefinitionInvalid(
            f"{name} gives rows of {current.entity} by {current.entity_key}; "
            "a query for another entity is another feature set, under another name",
            field="entity" if current.entity != entity else "entity_key",
        )
    FeatureSet.objects.filter(pk=current.pk).update(is_current=False)
    return current.version + 1


def _match_features(
    columns: Sequence[Column], *, entity_key: str, features: Sequence[FeatureSpec] | None
) -> list[FeatureSpec]:
    """One spec for each output column beside the key, in the query's order."""
    names = [column.name for column in columns]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise SqlRejected(
            f"the query gives {', '.join(repeated)} more than once: name each column once", field="sql"
        )
    if entity_key not in names:
        raise DefinitionInvalid(
            f"the query does not give the entity key {entity_key!r}; it gives {', '.join(names)}",
            field="entity_key",
        )
    given = {spec.name: spec for spec in features or ()}
    unknown = sorted(set(given) - set(names) | set(given) & {entity_key})
    if unknown:
        raise DefinitionInvalid(
            f"{', '.join(unknown)}: not a feature column of the query, which gives "
            f"{', '.join(name for name in names if name != entity_key)}",
            field="features",
        )
    specs = [
        _spec_of(column, given.get(column.name))
        for column in columns
        if column.name != entity_key and column.name != "base_ym"
    ]
    if not specs:
        raise DefinitionInvalid(
            f"the query gives nothing but {entity_key}: it needs one feature at least", field="sql"
        )
    return specs


def _spec_of(column: Column, given: FeatureSpec | None) -> FeatureSpec:
    check_identifier(column.name, field="sql")
    if column.name in _RESERVED:
        raise DefinitionInvalid(
            f"{column.name!r} is a name of the pipeline: call the column otherwise", field="sql"
        )
    dtype = _dtype_of(column)
    if given is None:
        return FeatureSpec(column.name, dtype)
    if given.dtype not in ("numeric", "category"):
        raise DefinitionInvalid(
            f"{column.name}: {given.dtype!r} is not a kind of feature; say numeric or category",
            field="features",
        )
    if given.dtype == "numeric" and dtype == "category":
        raise DefinitionInvalid(
            f"{column.name} is {column.type} in the query and cannot be numeric: CAST it, or say category",
            field="features",
        )
    return given


def _dtype_of(column: Column) -> Dtype:
    kind = column.type.strip().lower()
    if _TEXT.fullmatch(kind):
        return "category"
    if _NUMERIC.fullmatch(kind):
        return "numeric"
    raise DefinitionInvalid(
        f"{column.name} is {column.type}; a feature is a number or a text: CAST it in the query", field="sql"
    )
