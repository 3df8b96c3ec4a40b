"""Columns of a source table as moments, and moments as columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlopslib.sql.datecolumns import (
    Writing,
    is_month,
    kind_of_type,
    read_date,
    write_date,
    writing_by_name,
    writing_of_values,
)

Moments = npt.NDArray[np.datetime64]
Rows = npt.NDArray[np.bool_]

#: values of a column that are looked at to learn how it writes dates
_LOOKED_AT = 20_000
#: the share of a column's values that must be dates; banks write '00000000' or '' for "never"
_SHARE = 0.9


def writing_in(column: pa.ChunkedArray, name: str, type_: str) -> Writing | None:
    """How a column writes dates, by its values; None where it holds none."""
    kind = kind_of_type(type_)
    by_name = writing_by_name(name, type_)
    if kind in ("date", "timestamp") or kind is None:
        return by_name
    if kind == "int" and by_name is None:
        return None  # an amount may look like a month
    values = pc.unique(column).drop_null().slice(0, _LOOKED_AT).to_pylist()
    if not values:
        return by_name
    writings = Counter(writing_of_values([value]) for value in values)
    writing, count = writings.most_common(1)[0]
    return writing if writing is not None and count >= _SHARE * len(values) else None


def moments_of(column: pa.ChunkedArray) -> Moments:
    """The moment of each value, NaT where there is no date."""
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        return np.asarray(column.cast(pa.timestamp("us")).to_numpy()).astype("datetime64[us]")
    encoded = pc.dictionary_encode(column).combine_chunks()
    known = [read_date(value) for value in encoded.dictionary.to_pylist()]
    found = np.array(
        [np.datetime64("NaT") if item is None else item for item in known], dtype="datetime64[us]"
    )
    indices = np.asarray(pc.fill_null(encoded.indices, len(known)).to_numpy(zero_copy_only=False))
    return np.append(found, np.datetime64("NaT"))[indices.astype(np.int64)]


def column_of(moments: Moments, writing: Writing, type_: pa.DataType) -> pa.Array:
    """Moments as a column writes them."""
    values, places = np.unique(moments, return_inverse=True)
    written: list[Any] = [
        None if np.isnat(value) else write_date(value.astype("datetime64[us]").item(), writing)
        for value in values
    ]
    return pa.array(written, type=type_).take(pa.array(places.reshape(-1)))


def months_of(moments: Moments) -> npt.NDArray[np.float64]:
    """Months since 1970, NaN where there is no date."""
    months = moments.astype("datetime64[M]")
    return np.where(np.isnat(months), np.nan, months.astype(np.int64))


def moved_by_months(moments: Moments, months: int | npt.NDArray[np.int64], writing: Writing) -> Moments:
    """The same day so many months later, or the month's last day before it."""
    month = moments.astype("datetime64[M]")
    target = month + np.asarray(months).astype("timedelta64[M]")
    if is_month(writing):
        start: Moments = target.astype("datetime64[us]")
        return start
    first = target.astype("datetime64[D]")
    length = ((target + np.timedelta64(1, "M")).astype("datetime64[D]") - first).astype(np.int64)
    day = (moments.astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.int64)
    time = moments - moments.astype("datetime64[D]").astype("datetime64[us]")
    there = first + np.minimum(day, length - 1).astype("timedelta64[D]")
    moved = there.astype("datetime64[us]") + time
    found: Moments = np.where(np.isnat(moments), moments, moved)
    return found


def put(column: pa.ChunkedArray, rows: Rows, values: pa.Array) -> pa.ChunkedArray:
    """The column with `values`, one for each row of the column, in the chosen rows."""
    return pc.if_else(pa.array(rows), values.cast(column.type), column.combine_chunks())


def to_moment(text: str) -> np.datetime64:
    return np.datetime64(datetime(int(text[:4]), int(text[4:6]), int(text[6:8])), "us")


def names_in(table: pa.Table, names: Sequence[str]) -> list[str]:
    return [name for name in names if name in table.column_names]
