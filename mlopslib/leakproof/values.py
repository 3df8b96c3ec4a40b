"""Values that are surely others: what a poison writes in the place of what was there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlopslib.leakproof.columns import Rows, put

#: numbers are kept below it, so that sums of poisoned rows do not overflow a BIGINT
_LARGEST = 10**11
#: digits of the widest decimal
_WIDEST = 38


def poisoned(column: pa.ChunkedArray, rows: Rows, *, way: str) -> pa.ChunkedArray:
    """The column with other values in the chosen rows.

    ``high`` makes numbers large and exchanges texts between rows, so that conditions on a text still
    find some; ``low`` makes numbers negative and texts unknown. Both turn flags over, fill what was
    missing, and ``high`` empties every seventh value.
    """
    kind = column.type
    places = np.arange(len(column))
    if pa.types.is_boolean(kind):
        values = pc.fill_null(pc.invert(column), True)
    elif pa.types.is_integer(kind):
        values = pa.array(_numbers(column, 7, way).astype(np.int64) + places % 7)
    elif pa.types.is_floating(kind):
        values = pa.array(_numbers(column, 7.5, way) + places % 7)
    elif pa.types.is_decimal(kind):
        values = _decimals(column, way)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        values = _texts(column, rows, way)
    else:
        # dates that do not date the row: some days on
        stamps = column.cast(pa.timestamp("us"))
        days = 17 if way == "high" else -400
        values = pc.add(stamps, pa.scalar(np.timedelta64(days, "D").astype("timedelta64[us]").item()))
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if way == "high" and not pa.types.is_boolean(kind):
        values = pc.if_else(pa.array(places % 7 == 6), pa.scalar(None, values.type), values)
    return put(column, rows, values)


def _numbers(column: pa.ChunkedArray, missing: float, way: str) -> np.ndarray:
    filled = pc.fill_null(column, pa.scalar(missing).cast(column.type, safe=False))
    given = np.asarray(filled.to_numpy(), dtype=np.float64)
    given = np.where(np.isfinite(given), given, missing)
    found = np.fmod(given, _LARGEST) * 3 + 1_000_003
    return found if way == "high" else -found


def _decimals(column: pa.ChunkedArray, way: str) -> pa.Array:
    whole = column.type.precision - column.type.scale
    size = 10 ** max(0, min(whole, 9) - 1)
    sign = 1 if way == "high" else -1
    numbers = sign * (size // 2 + np.arange(len(column)) % max(1, size // 2 + 1))
    if column.type.scale > _WIDEST - 19:  # a BIGINT takes 19 digits before the point
        return pa.nulls(len(column), column.type)
    wide = pa.array(numbers.astype(np.int64)).cast(pa.decimal128(_WIDEST, column.type.scale))
    return wide.cast(column.type)


def _texts(column: pa.ChunkedArray, rows: Rows, way: str) -> pa.Array:
    if way == "low":
        return pc.binary_join_element_wise(pc.fill_null(column, ""), pa.scalar("zz"), "~").combine_chunks()
    chosen = np.flatnonzero(rows)
    order = np.arange(len(column))
    order[chosen] = np.roll(chosen, max(1, len(chosen) // 3)) if len(chosen) else chosen
    return pc.fill_null(column.combine_chunks().take(pa.array(order)), "zz")


def other_entities(column: pa.ChunkedArray) -> Any:
    """Keys that nobody has, one for each row, the same for the same key in every table."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pc.binary_join_element_wise(column.combine_chunks(), pa.scalar("new"), "~")
    if pa.types.is_integer(kind):
        return pc.add(column.combine_chunks(), pa.scalar(7_000_000_000_000, pa.int64()))
    return column.combine_chunks()
