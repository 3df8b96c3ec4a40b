"""Run a feature query for base months and keep the answers in the offline store, with their profiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from mlopslib.dates import date_params, month_range, validate_ym
from mlopslib.definition import FeatureSetSpec, FeatureSpec
from mlopslib.errors import DataError, DefinitionInvalid, EmptyMonth, InvalidInput
from mlopslib.metrics.psi import PsiReference
from mlopslib.offline.base import OfflineStore
from mlopslib.profile import Profile, profile_column, reference_of
from mlopslib.sql import render_sql
from mlopslib.steps.base import StepContext, StepResult

PARTITION = "base_ym"


@dataclass(frozen=True)
class MaterialisedMonth:
    """A base month that stands in the store. `infinite` values were kept as missing."""

    rows: int
    table_version: int
    infinite: int = 0


def run(ctx: StepContext) -> StepResult:
    """Materialise the months ``first_ym`` to ``last_ym`` of the run's one feature set."""
    if len(ctx.feature_sets) != 1:
        raise DefinitionInvalid(
            f"a materialise run has one feature set, not {len(ctx.feature_sets)}", field="feature_set"
        )
    feature_set = ctx.feature_sets[0]
    months = _months(ctx.params, ctx.base_ym)
    references: dict[str, PsiReference] = {}
    reference_ym, found = "", []
    for number, ym in enumerate(months):
        ctx.progress(number, len(months), f"{feature_set.name} {ym}")
        month = materialise_month(ctx.store, feature_set, ym)
        if not reference_ym:
            reference_ym = ctx.store.partitions(feature_set.table, PARTITION)[0]
            references = _references(ctx.store, feature_set, reference_ym)
        profiles = profile_month(ctx.store, feature_set, ym, references=references, reference_ym=reference_ym)
        ctx.log(f"{ym}: {month.rows:,} rows, version {month.table_version} of {feature_set.table}")
        if month.infinite:
            ctx.log(f"{ym}: {month.infinite:,} infinite values were kept as missing")
        found.append(
            {
                "base_ym": ym,
                "rows": month.rows,
                "table_version": month.table_version,
                "profiles": [profile.to_dict() for profile in profiles],
            }
        )
    ctx.progress(len(months), len(months), "")
    rows = sum(item["rows"] for item in found if isinstance(item["rows"], int))
    return StepResult(
        summary=f"{feature_set.name} v{feature_set.version}: {len(months)} months, {rows:,} rows",
        metrics={"months": found},
    )


def materialise_month(store: OfflineStore, feature_set: FeatureSetSpec, ym: str) -> MaterialisedMonth:
    """Run the query for one base month and replace that month's partition.

    Numeric features are kept as DOUBLE and categories as STRING, so that every month has the same
    types; NaN and infinities become NULL; rows are sorted by the entity key, so that the same month
    made twice is the same data. Nothing is written unless every check passes.

    Raises
    ------
    EmptyMonth
        The query gives no row.
    DataError
        The entity key is missing in a row, or comes twice.
    DefinitionInvalid
        The query's columns are not those of the feature set.
    """
    answer = store.read_sql(render_sql(feature_set.sql, date_params(validate_ym(ym))))
    if answer.num_rows == 0:
        raise EmptyMonth(
            f"{feature_set.name} has no row for {ym}: are its source tables filled for that month?",
            field="base_ym",
        )
    _check_columns(feature_set, answer)
    _check_key(feature_set, answer, ym)
    columns = {feature_set.entity_key: answer.column(feature_set.entity_key)}
    infinite = 0
    for feature in feature_set.features:
        column = _to_feature(feature, answer.column(feature.name))
        if feature.dtype == "numeric":
            is_finite = pc.is_finite(column)
            infinite += int(pc.sum(pc.is_inf(column)).as_py() or 0)
            column = pc.if_else(is_finite, column, pa.scalar(None, pa.float64()))
        columns[feature.name] = column
    data = pa.table(columns).sort_by(feature_set.entity_key)
    version = store.overwrite_partition(feature_set.table, data, column=PARTITION, value=ym)
    return MaterialisedMonth(rows=data.num_rows, table_version=version, infinite=infinite)


def profile_month(
    store: OfflineStore,
    feature_set: FeatureSetSpec,
    ym: str,
    *,
    references: Mapping[str, PsiReference],
    reference_ym: str,
) -> list[Profile]:
    """Profiles of every feature of a materialised month, as it stands in the store."""
    data = _read_month(store, feature_set, ym)
    return [
        profile_column(
            feature.name,
            data.column(feature.name),
            feature.dtype,
            reference=references[feature.name],
            reference_ym=reference_ym,
            is_reference=ym == reference_ym,
        )
        for feature in feature_set.features
    ]


def _months(params: Mapping[str, object], base_ym: str) -> list[str]:
    """The months asked for; the run's base month alone where none are named."""
    first, last = str(params.get("first_ym") or base_ym), str(params.get("last_ym") or base_ym)
    months = month_range(validate_ym(first), validate_ym(last))
    if not months:
        raise InvalidInput(f"the first month {first} is after the last month {last}", field="first_ym")
    return months


def _references(store: OfflineStore, feature_set: FeatureSetSpec, ym: str) -> dict[str, PsiReference]:
    data = _read_month(store, feature_set, ym)
    return {
        feature.name: reference_of(data.column(feature.name), feature.dtype)
        for feature in feature_set.features
    }


def _read_month(store: OfflineStore, feature_set: FeatureSetSpec, ym: str) -> pa.Table:
    names = [feature.name for feature in feature_set.features]
    return store.read_partition(feature_set.table, PARTITION, ym, columns=names)


def _check_columns(feature_set: FeatureSetSpec, answer: pa.Table) -> None:
    wanted = [feature_set.entity_key, *(feature.name for feature in feature_set.features)]
    given = [name for name in answer.column_names if name != PARTITION]
    repeated = sorted({name for name in given if given.count(name) > 1})
    missing = [name for name in wanted if name not in given]
    unknown = [name for name in given if name not in wanted]
    for names, what in ((repeated, "gives twice"), (missing, "does not give"), (unknown, "also gives")):
        if names:
            raise DefinitionInvalid(
                f"the query of {feature_set.name} {what} {', '.join(names)}: "
                f"its columns must be {', '.join(wanted)}",
                field="sql",
            )


def _check_key(feature_set: FeatureSetSpec, answer: pa.Table, ym: str) -> None:
    key = answer.column(feature_set.entity_key)
    if key.null_count:
        raise DataError(
            f"{feature_set.name} {ym}: {key.null_count:,} rows have no {feature_set.entity_key}", field="sql"
        )
    repeated = len(key) - int(pc.count_distinct(key).as_py())
    if repeated:
        raise DataError(
            f"{feature_set.name} {ym}: {repeated:,} rows repeat a {feature_set.entity_key}; "
            f"the query must give one row for each: GROUP BY {feature_set.entity_key}",
            field="sql",
        )


def _to_feature(feature: FeatureSpec, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column as DOUBLE or STRING, as the feature was declared."""
    kind = column.type
    if column.null_count == len(column):
        return pa.chunked_array(
            [pa.nulls(len(column), pa.float64() if feature.dtype == "numeric" else pa.string())]
        )
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if feature.dtype == "numeric" and (is_number or pa.types.is_boolean(kind)):
        # a BIGINT beyond 2**53 becomes the nearest DOUBLE, as it would in any model
        return column.cast(pa.float64(), safe=False)
    is_word = pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    if feature.dtype == "category" and is_word:
        return column.cast(pa.string())
    raise DefinitionInvalid(
        f"feature {feature.name!r} is declared {feature.dtype}, the query gives {kind}: CAST it in the query",
        field=feature.name,
    )
