"""Which types a table may hold, and how frames and files become them.

========================  ==============================================================
given                     stored as (Impala's word)
========================  ==============================================================
integers of any width     BIGINT; missing stays NULL, no detour through floats
floats                    DOUBLE; NaN becomes NULL, because SQL, pandas and the serving
                          path know one kind of missing; infinities stay
Decimal                   DECIMAL(p, s) as it is; from Python objects DECIMAL(18, s), or
                          DECIMAL(38, s) where 18 digits are not enough
bool                      BOOLEAN
date                      DATE
datetime, any unit        TIMESTAMP in microseconds, without a zone; digits below a
                          microsecond, time zones and years before 1400 (Impala's first) or
                          after 9999 are refused, not changed
text, categories of text  STRING, byte for byte, U+0000 too
only missing values       STRING, or the table's own type where the table exists
anything else             refused, with the column's name
========================  ==============================================================
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from mlopslib.definition import check_identifier
from mlopslib.errors import ColumnMismatch, InputTypeException, InvalidInput
from mlopslib.offline.frames import series_to_arrow

if TYPE_CHECKING:
    import pandas as pd

_WIDE_DECIMAL = 38
#: the years that every engine reads: Impala's TIMESTAMP starts in 1400
_FIRST_TIME, _LAST_TIME = datetime(1400, 1, 1), datetime(9999, 12, 31, 23, 59, 59)
_FIRST_CLUSTER_DATE, _FIRST_CLUSTER_TIME = date(1582, 10, 15), datetime(1900, 1, 1)
_FIRST_DATE, _LAST_DATE = date(1, 1, 1), date(9999, 12, 31)


def frame_to_arrow(frame: pd.DataFrame) -> pa.Table:
    """A frame's columns (the index is left out) as Arrow, not yet in stored types.

    Raises InputTypeException for anything but a DataFrame, ColumnMismatch for column names that are
    repeated or not text, InvalidInput for a column whose values are of several kinds.
    """
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise InputTypeException(
            f"a pandas DataFrame is needed, this is a {type(frame).__name__}", field="pandas_df"
        )
    check_names([str(name) if isinstance(name, str) else repr(name) for name in frame.columns])
    arrays = [series_to_arrow(name, frame[name]) for name in frame.columns]
    return pa.table(arrays, names=list(frame.columns))


def check_names(names: list[str]) -> None:
    """Raise ColumnMismatch unless every name is a usable column name and none comes twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ColumnMismatch(f"column {name!r} comes twice", field=name)
        seen.add(check_identifier(name, field=name))
    if not names:
        raise ColumnMismatch("there is no column: a table needs at least one")


def stored_type(name: str, given: pa.DataType) -> pa.DataType:
    """The type that a column is stored as. Raises InvalidInput for a type that tables do not hold."""
    if pa.types.is_dictionary(given):
        return stored_type(name, given.value_type)
    if pa.types.is_integer(given):
        return pa.int64()
    if pa.types.is_floating(given):
        return pa.float64()
    if pa.types.is_boolean(given):
        return pa.bool_()
    if pa.types.is_date(given):
        return pa.date32()
    if _is_text(given) or pa.types.is_null(given):
        return pa.string()
    if pa.types.is_decimal(given) and given.precision <= _WIDE_DECIMAL and given.scale >= 0:
        return pa.decimal128(given.precision, given.scale)
    if pa.types.is_timestamp(given) and given.tz is None:
        return pa.timestamp("us")
    advice = (
        "convert it to local time without a zone first (a TIMESTAMP has none)"
        if pa.types.is_timestamp(given)
        else "use text, numbers, decimals, dates, timestamps or booleans"
    )
    raise InvalidInput(
        f"column {name!r} is of type {given}, which a table does not hold: {advice}", field=name
    )


def stored_schema(given: pa.Schema) -> pa.Schema:
    return pa.schema([pa.field(field.name, stored_type(field.name, field.type)) for field in given])


def to_stored(data: pa.Table, schema: pa.Schema) -> pa.Table:
    """`data` in the columns, order and types of `schema`; NaN becomes NULL.

    Raises
    ------
    ColumnMismatch
        Where columns are missing, unknown or of a kind that does not become the table's kind
        without loss: text does not become a number, 1.5 does not become a BIGINT.
    """
    _check_columns(data.column_names, schema.names)
    columns = [_to_column(data.column(field.name), field) for field in schema]
    return pa.table(columns, schema=schema)


def _check_columns(given: list[str], wanted: list[str]) -> None:
    check_names(given)
    missing = [name for name in wanted if name not in given]
    unknown = [name for name in given if name not in wanted]
    if not missing and not unknown:
        return
    parts = [f"table has {len(wanted)} columns"]
    if missing:
        parts.append("frame lacks " + ", ".join(repr(name) for name in missing))
    if unknown:
        parts.append("frame has " + ", ".join(repr(name) for name in unknown) + " that the table lacks")
    raise ColumnMismatch(", ".join(parts), field=(missing or unknown)[0])


def _to_column(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    given, wanted = column.type, field.type
    if pa.types.is_floating(given):
        column = nan_to_null(column)
    if pa.types.is_date(given) or pa.types.is_timestamp(given):
        _check_years(column, field.name)
    if given == wanted:
        return column
    if not _may_become(stored_type(field.name, given), wanted, all_missing=column.null_count == len(column)):
        raise ColumnMismatch(
            f"column {field.name!r} is {given}, the table's is {wanted}: convert it first", field=field.name
        )
    try:
        if pa.types.is_dictionary(given):
            column = column.cast(given.value_type)
        if pa.types.is_null(given):
            return pa.chunked_array([pa.nulls(len(column), wanted)])
        return column.cast(wanted)
    except pa.ArrowInvalid as error:
        below = ": round it first, as in series.dt.floor('us')" if pa.types.is_timestamp(wanted) else ""
        raise ColumnMismatch(
            f"column {field.name!r} would lose digits as {wanted}{below}: {_first_line(error)}",
            field=field.name,
        ) from error


def check_calendar(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch, or InvalidInput where it holds a DATE before 1582-10-15 or a TIMESTAMP before 1900.

    Hive, and Spark where Hive's files are written, count earlier days in the Julian calendar and earlier
    times by the local time of the server's zone: they would come back changed.
    """
    for field in batch.schema:
        is_date = pa.types.is_date(field.type)
        if not is_date and not pa.types.is_timestamp(field.type):
            continue
        first = _FIRST_CLUSTER_DATE if is_date else _FIRST_CLUSTER_TIME
        earliest = pc.min(batch.column(field.name))
        if earliest.is_valid and earliest.value < pa.scalar(first, field.type).value:
            what = "a date" if is_date else "a time"
            raise InvalidInput(
                f"column {field.name!r} holds {what} before {first:%Y-%m-%d}, which this engine counts in "
                "another calendar: make it NULL, or a later one",
                field=field.name,
            )
    return batch


def _check_years(column: pa.ChunkedArray, name: str) -> None:
    """Raise InvalidInput for a day or a time that not every engine can read."""
    if column.null_count == len(column):
        return
    is_date = pa.types.is_date(column.type)
    unit = pa.date32() if is_date else pa.timestamp("s")
    first, last = (_FIRST_DATE, _LAST_DATE) if is_date else (_FIRST_TIME, _LAST_TIME)
    ends = pc.min_max(column.cast(unit, safe=False))
    if ends["min"].value < pa.scalar(first, unit).value or ends["max"].value > pa.scalar(last, unit).value:
        what = "date" if is_date else "time"
        raise InvalidInput(
            f"column {name!r} holds a {what} outside the years {first.year} to {last.year}", field=name
        )


def nan_to_null(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A float column with NULL in the place of NaN."""
    return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)


def _may_become(given: pa.DataType, wanted: pa.DataType, *, all_missing: bool) -> bool:
    if given == wanted or all_missing:
        return True
    if pa.types.is_decimal(wanted):
        return bool(pa.types.is_decimal(given) or pa.types.is_integer(given))
    # whole numbers often arrive as floats, because a frame keeps integers with gaps that way
    return bool(_is_number(given) and _is_number(wanted))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
