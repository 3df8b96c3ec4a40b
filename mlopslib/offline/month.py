"""The checks that a month of a feature set passes in the engine before it is put into its table.

Both engines keep the answer of the feature query in a table of its own and count there what would make it
unusable; only figures travel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mlopslib.definition import FeatureSetSpec, FeatureSpec
from mlopslib.errors import DataError, DefinitionInvalid, EmptyMonth
from mlopslib.offline.base import Column

_WHOLE = ("tinyint", "smallint", "int", "integer", "bigint", "hugeint")
_FLOATS = ("float", "double", "real")
_TEXT = ("string", "varchar", "char")

Quote = Callable[[str], str]


def check_columns(feature_set: FeatureSetSpec, given: Sequence[Column], *, partition: str) -> None:
    """Raise DefinitionInvalid unless a query gives the key and the features, each once, and no more."""
    wanted = [feature_set.entity_key, *(feature.name for feature in feature_set.features)]
    names = [column.name for column in given if column.name != partition]
    repeated = sorted({name for name in names if names.count(name) > 1})
    missing = [name for name in wanted if name not in names]
    unknown = [name for name in names if name not in wanted]
    for found, what in ((repeated, "gives twice"), (missing, "does not give"), (unknown, "also gives")):
        if found:
            raise DefinitionInvalid(
                f"the query of {feature_set.name} {what} {', '.join(found)}: "
                f"its columns must be {', '.join(wanted)}",
                field="sql",
            )


def checks_of(feature_set: FeatureSetSpec, given: Sequence[Column], quote: Quote) -> list[str]:
    """What to select from the answer: rows, keys that are there, different keys, then two figures for
    each feature: values that are there, and infinite ones."""
    key = quote(feature_set.entity_key)
    kinds = {column.name: column.type for column in given}
    checks = ["COUNT(*)", f"COUNT({key})", f"COUNT(DISTINCT {key})"]
    for feature in feature_set.features:
        name = quote(feature.name)
        is_infinite = (
            f"SUM(CASE WHEN {_is_infinite(name)} THEN 1 ELSE 0 END)"
            if feature.dtype == "numeric" and _is_one_of(kinds[feature.name], _FLOATS)
            else "0"
        )
        checks += [f"COUNT({name})", is_infinite]
    return checks


def check_answer(
    feature_set: FeatureSetSpec, given: Sequence[Column], counts: Sequence[int], *, value: str
) -> tuple[int, int]:
    """Judge the figures of `checks_of`; returns the rows and the infinite values.

    Raises EmptyMonth, DataError, DefinitionInvalid.
    """
    rows, keys, different = counts[:3]
    if not rows:
        raise EmptyMonth(
            f"{feature_set.name} has no row for {value}: are its source tables filled for that month?",
            field="base_ym",
        )
    if keys < rows:
        raise DataError(
            f"{feature_set.name} {value}: {rows - keys:,} rows have no {feature_set.entity_key}", field="sql"
        )
    if different < rows:
        raise DataError(
            f"{feature_set.name} {value}: {rows - different:,} rows repeat a {feature_set.entity_key}; "
            f"the query must give one row for each: GROUP BY {feature_set.entity_key}",
            field="sql",
        )
    kinds = {column.name: column.type for column in given}
    for feature, present in zip(feature_set.features, counts[3::2], strict=True):
        if present:
            _check_kind(feature, kinds[feature.name])
    return int(rows), sum(int(number or 0) for number in counts[4::2])


def kept_as(
    feature_set: FeatureSetSpec, given: Sequence[Column], counts: Sequence[int], quote: Quote, *, text: str
) -> list[str]:
    """The columns of the partition, selected from the answer; `text` is the engine's word for STRING."""
    kinds = {column.name: column.type for column in given}
    key = quote(feature_set.entity_key)
    kept = [f"CAST({key} AS BIGINT) AS {key}" if kinds[feature_set.entity_key] in _WHOLE else key]
    for feature, present in zip(feature_set.features, counts[3::2], strict=True):
        name, kind = quote(feature.name), kinds[feature.name]
        wanted = "DOUBLE" if feature.dtype == "numeric" else text
        if not present:
            cast = f"CAST(NULL AS {wanted})"
        elif feature.dtype == "numeric" and kind == "boolean":
            cast = f"CASE WHEN {name} THEN CAST(1 AS DOUBLE) WHEN NOT {name} THEN CAST(0 AS DOUBLE) END"
        elif feature.dtype == "category" and kind == "boolean":
            # engines print a boolean in their own ways
            cast = f"CASE WHEN {name} THEN 'true' WHEN NOT {name} THEN 'false' END"
        else:
            # a BIGINT beyond 2**53 becomes the nearest DOUBLE, as it would in any model
            cast = f"CAST({name} AS {wanted})"
            if feature.dtype == "numeric" and _is_one_of(kind, _FLOATS):
                cast = f"CASE WHEN {_is_infinite(name)} OR {_is_nan(name)} THEN NULL ELSE {cast} END"
        kept.append(f"{cast} AS {name}")
    return kept


def _is_infinite(name: str) -> str:
    """True for both infinities; said with comparisons alone, because engines name the function differently.

    NaN is the largest value for DuckDB and Spark, so it is excluded by name.
    """
    return f"(ABS({name}) > 1.7976931348623157E308 AND NOT {_is_nan(name)})"


def _is_nan(name: str) -> str:
    # NaN is the one value whose text is this on every engine, in some letter case
    return f"LOWER(CAST({name} AS STRING)) = 'nan'"


def _check_kind(feature: FeatureSpec, kind: str) -> None:
    is_number = kind in _WHOLE or _is_one_of(kind, (*_FLOATS, "decimal"))
    if feature.dtype == "numeric" and (is_number or kind == "boolean"):
        return
    if feature.dtype == "category" and (kind in _WHOLE or kind == "boolean" or _is_one_of(kind, _TEXT)):
        return
    raise DefinitionInvalid(
        f"feature {feature.name!r} is declared {feature.dtype}, the query gives {kind}: CAST it in the query",
        field=feature.name,
    )


def _is_one_of(kind: str, names: Sequence[str]) -> bool:
    """Whether a type is one of these, its size left aside: ``decimal(18,4)`` is a ``decimal``."""
    return kind.partition("(")[0].strip() in names
