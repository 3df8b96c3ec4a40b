"""Values of partition columns: they become directory names, so only some texts can be one."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from mlopslib.errors import InvalidInput

#: the pattern keeps a value and its directory name the same
PARTITION_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


def check_partition(column: pa.ChunkedArray | pa.Array, name: str) -> None:
    """Raise InvalidInput unless every value of a partition column can be a directory name."""
    for value in pc.unique(column).to_pylist():
        check_partition_value(name, value)


def check_partition_value(name: str, value: str | None) -> None:
    if not isinstance(value, str) or not PARTITION_VALUE.fullmatch(value):
        raise InvalidInput(
            f"{value!r} cannot be a partition of {name!r}: use letters, digits, _ . or -, as in '202210'",
            field=name,
        )


def with_partition(data: pa.Table, column: str, value: str) -> pa.Table:
    """`data` with the partition's column, which it may leave out. Raises InvalidInput for other values."""
    if column not in data.column_names:
        return data.append_column(column, pa.array([value] * data.num_rows, pa.string()))
    if set(data.column(column).unique().to_pylist()) - {value}:
        raise InvalidInput(f"the data holds other values of {column!r} than {value!r}", field=column)
    return data
