"""Two answers of the same query, feature by feature."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from mlopslib.definition import FeatureSetSpec

#: adding the same numbers in another order moves a double by less than this part of it
_SAME = 1e-12
#: for a feature that moved by itself when the rows were only shuffled
_NOISY = 1e-6

Difference = dict[str, Any]


def sorted_answer(answer: pa.Table, spec: FeatureSetSpec) -> pa.Table:
    """The columns of the feature set, by entity."""
    names = [spec.entity_key, *(f.name for f in spec.features)] if spec.features else answer.column_names
    kept = [name for name in names if name in answer.column_names]
    found = answer.select(kept)
    keys = [name for name in kept if name == spec.entity_key]
    return found.sort_by([(name, "ascending") for name in keys]) if keys else found


def is_same(one: pa.Table, other: pa.Table) -> bool:
    """True where every byte is the same."""
    if one.num_rows != other.num_rows or one.schema != other.schema:
        return False
    return _bytes(one) == _bytes(other)


def _bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return bytes(sink.getvalue())


def differences(
    before: pa.Table, after: pa.Table, entity_key: str, *, noisy: Collection[str] = ()
) -> list[Difference]:
    """``[{"feature", "entities", "example": {"entity", "before", "after"}}]``; [] where nothing differs.

    An entity that is there only once is a difference of the population, under the key's own name.
    """
    if is_same(before, after):
        return []
    one, other = _rows(before, entity_key), _rows(after, entity_key)
    found = []
    gone = [key for key in one if key not in other]
    come = [key for key in other if key not in one]
    more = [key for key in one if key in other and len(one[key]) != len(other[key])]
    if gone or come or more:
        key = (gone or come or more)[0]
        found.append(
            _difference(
                entity_key,
                len(gone) + len(come) + len(more),
                key,
                _count(len(one.get(key, ()))),
                _count(len(other.get(key, ()))),
            )
        )
    names = [name for name in before.column_names if name != entity_key]
    for position, name in enumerate(names):
        tolerance = _NOISY if name in noisy else _SAME
        changed = [
            (key, values[position], there[position])
            for key, rows in one.items()
            if key in other and len(other[key]) == len(rows)
            for values, there in zip(rows, other[key], strict=True)
            if not _equal(values[position], there[position], tolerance)
        ]
        if changed:
            key, was, now = changed[0]
            found.append(_difference(name, len({item[0] for item in changed}), key, was, now))
    return found


def _rows(table: pa.Table, entity_key: str) -> dict[Any, list[tuple[Any, ...]]]:
    keys = table.column(entity_key).to_pylist()
    columns = [table.column(name).to_pylist() for name in table.column_names if name != entity_key]
    found: dict[Any, list[tuple[Any, ...]]] = {}
    for number, key in enumerate(keys):
        found.setdefault(key, []).append(tuple(column[number] for column in columns))
    for rows in found.values():
        if len(rows) > 1:  # an entity that comes twice: the order of its rows says nothing
            rows.sort(key=repr)
    return found


def _equal(one: Any, other: Any, tolerance: float) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        if math.isnan(one) or math.isnan(other):
            return math.isnan(one) and math.isnan(other)
        return one == other or math.isclose(one, other, rel_tol=tolerance)
    return type(one) is type(other) and bool(one == other)


def _difference(feature: str, entities: int, entity: Any, before: Any, after: Any) -> Difference:
    example = {"entity": to_json(entity), "before": to_json(before), "after": to_json(after)}
    return {"feature": feature, "entities": entities, "example": example}


def _count(rows: int) -> str:
    return {0: "no row", 1: "one row"}.get(rows, f"{rows} rows")


def to_json(value: Any) -> Any:
    """A value that JSON can hold."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Decimal | dt.date | dt.datetime):
        return str(value)
    return value


def merged(found: Sequence[Difference], new: Sequence[Difference]) -> list[Difference]:
    """One entry for each feature: the one that shows most entities."""
    best = {item["feature"]: item for item in found}
    for item in new:
        known = best.get(item["feature"])
        if known is None or item["entities"] > known["entities"]:
            best[item["feature"]] = item
    return list(best.values())
