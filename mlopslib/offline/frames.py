"""What a frame's columns hold, said in words where it is not one thing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mlopslib.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

#: what pandas calls the columns of objects that have one type
_ONE_KIND = frozenset(
    {
        "string",
        "integer",
        "floating",
        "mixed-integer-float",
        "decimal",
        "date",
        "datetime",
        "datetime64",
        "boolean",
        "empty",
    }
)
_USUAL_DECIMAL, _WIDE_DECIMAL = 18, 38
_WANTED = "one of text, numbers, Decimal, dates, datetimes or booleans"


def series_to_arrow(name: str, series: pd.Series) -> pa.Array:
    """One column as Arrow, not yet in a stored type. Raises InvalidInput for values of several kinds."""
    import pandas as pd

    if isinstance(series.dtype, pd.CategoricalDtype) and not _is_plain(series.dtype.categories.dtype):
        series = series.astype(object)
    if isinstance(series.dtype, pd.SparseDtype):
        series = series.astype(series.dtype.subtype)
    if series.dtype == object:
        _check_objects(name, series)
    try:
        array = pa.array(series, from_pandas=True)
    except (pa.ArrowException, OverflowError, UnicodeError, ValueError, TypeError) as error:
        raise InvalidInput(f"column {name!r} {_fault(series, error)}", field=name) from error
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if series.dtype == object and pa.types.is_decimal(array.type):
        return _usual_decimal(name, array)
    return array


def _is_plain(kind: Any) -> bool:
    """Whether Arrow takes categories of this type as they are."""
    import pandas as pd

    return not pd.api.types.is_object_dtype(kind) and pd.api.types.is_string_dtype(kind)


def _check_objects(name: str, series: pd.Series) -> None:
    import pandas as pd

    kind = pd.api.types.infer_dtype(series, skipna=True)
    if kind in ("date", "datetime"):
        # a datetime is a date to Python; as a DATE it would lose its time
        _check_one_kind(name, series)
    if kind not in _ONE_KIND:
        _check_one_kind(name, series)
        raise InvalidInput(f"column {name!r} holds {kind} values: make it {_WANTED}", field=name)
    if kind == "datetime":
        _check_times(name, series)
    if kind == "decimal":
        for row, value in _present(series):
            if value.is_infinite():
                raise InvalidInput(
                    f"column {name!r} holds {value} (row {row}): a DECIMAL knows no infinity", field=name
                )


def _present(series: pd.Series) -> Iterator[tuple[int, Any]]:
    import pandas as pd

    return (
        (row, value)
        for row, value in enumerate(series)
        if not (pd.api.types.is_scalar(value) and pd.isna(value))
    )


def _check_one_kind(name: str, series: pd.Series) -> None:
    """Raise with the two kinds that a column mixes and their rows, or with the kind that no table holds."""
    first: tuple[int, str] | None = None
    for row, value in _present(series):
        word, is_stored = _word(value)
        if not is_stored:
            raise InvalidInput(
                f"column {name!r} holds {word} (row {row}), which a table does not: make it {_WANTED}",
                field=name,
            )
        if first is None:
            first = (row, word)
        elif first[1] != word:
            raise InvalidInput(
                f"column {name!r} mixes {first[1]} (row {first[0]}) and {word} (row {row}): "
                f"make it {_WANTED}",
                field=name,
            )


def _word(value: Any) -> tuple[str, bool]:
    """What a value is called, and whether a table can hold it."""
    import numpy as np

    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (str, "text"),
        ((bool, np.bool_), "booleans"),
        ((int, np.integer), "whole numbers"),
        ((float, np.floating), "floats"),
        (Decimal, "Decimals"),
        ((datetime, np.datetime64), "datetimes"),
        (date, "dates"),
    )
    for kind, word in kinds:
        if isinstance(value, kind):
            return word, True
    nested = {"list": "lists", "dict": "dicts", "tuple": "tuples", "set": "sets", "ndarray": "arrays"}
    name = type(value).__name__
    return nested.get(name, f"values of type {name}"), False


def _check_times(name: str, series: pd.Series) -> None:
    for row, value in _present(series):
        if getattr(value, "tzinfo", None) is not None:
            raise InvalidInput(
                f"column {name!r} holds a time with a zone (row {row}): convert it to local time without a "
                "zone first (a TIMESTAMP has none)",
                field=name,
            )
        if getattr(value, "nanosecond", 0):
            raise InvalidInput(
                f"column {name!r} holds a time with nanoseconds (row {row}): a TIMESTAMP keeps microseconds, "
                "round it first, as in series.dt.floor('us')",
                field=name,
            )


def _usual_decimal(name: str, array: pa.Array) -> pa.Array:
    # the frame shows only the digits of this batch; the next one may have more
    scale = array.type.scale
    if not 0 <= scale <= _WIDE_DECIMAL or array.type.precision > _WIDE_DECIMAL:
        raise _too_many_digits(name)
    digits = max(array.type.precision, scale)
    wide = _USUAL_DECIMAL if digits <= _USUAL_DECIMAL else _WIDE_DECIMAL
    try:
        return array.cast(pa.decimal128(wide, scale))
    except pa.ArrowException as error:
        raise _too_many_digits(name) from error


def _too_many_digits(name: str) -> InvalidInput:
    return InvalidInput(
        f"column {name!r} needs more than {_WIDE_DECIMAL} digits: a DECIMAL has no more", field=name
    )


def _fault(series: pd.Series, error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "holds text that is not Unicode (half of a surrogate pair): a table holds UTF-8"
    if isinstance(error, OverflowError) or "too large" in str(error) or "out of bounds" in str(error):
        return "holds a whole number that is too large for a BIGINT (64 bits): use Decimal or float"
    if series.dtype == object and any(isinstance(value, Decimal) for value in series):
        return f"needs more than {_WIDE_DECIMAL} digits: a DECIMAL has no more"
    line = str(error).strip().splitlines()
    return f"has no single type: {line[0] if line else type(error).__name__}"
