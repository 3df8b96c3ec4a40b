"""Rows of the HiveServer2 protocol as Arrow, exact: no detour through floats or Python dates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlopslib.offline.base import Column

#: ``TIMESTAMP`` comes as text; Impala prints nine digits, a stored time has six
_TIMESTAMP_CHARACTERS = len("2022-10-01 12:30:00.123456")

_TYPES = {
    "BOOLEAN": pa.bool_(),
    "TINYINT": pa.int8(),
    "SMALLINT": pa.int16(),
    "INT": pa.int32(),
    "BIGINT": pa.int64(),
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"),
    "BINARY": pa.binary(),
}

#: name, type, .., precision, scale, ..: one column of a result as impyla describes it
Described = Sequence[Any]


def arrow_type(described: Described) -> pa.DataType:
    if described[1] == "DECIMAL":
        return pa.decimal128(described[4], described[5])
    return _TYPES.get(described[1], pa.string())


def column_of(described: Described) -> Column:
    kind = str(described[1]).lower()
    if kind == "decimal":
        kind = f"decimal({described[4]},{described[5]})"
    return Column(str(described[0]).lower(), "void" if kind == "null" else kind)


def to_arrow(description: Sequence[Described], batches: Sequence[Any]) -> pa.Table:
    """The batches of a result (impyla's CBatch, with unconverted values) as one table."""
    names = [str(item[0]).lower() for item in description]
    columns = []
    for position, item in enumerate(description):
        kind = arrow_type(item)
        chunks = [_to_array(batch.columns[position], kind) for batch in batches if batch.columns]
        columns.append(pa.chunked_array(chunks, kind))
    return pa.Table.from_arrays(columns, names=names)


def _to_array(column: Any, kind: pa.DataType) -> pa.Array:
    values = column.values
    missing = np.array(column.nulls.tolist()[: len(values)], dtype=bool)
    if pa.types.is_string(kind) or pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
        texts = pa.array([_text(value) for value in values], pa.string(), mask=missing)
        if pa.types.is_timestamp(kind):
            texts = pc.utf8_slice_codeunits(texts, 0, _TIMESTAMP_CHARACTERS)
        return texts if pa.types.is_string(kind) else texts.cast(kind)
    if pa.types.is_binary(kind):
        return pa.array([b"" if value is None else bytes(value) for value in values], kind, mask=missing)
    if pa.types.is_boolean(kind):
        values = [bool(value) for value in values]
    return pa.array(values, kind, mask=missing)


def _text(value: Any) -> str:
    if value is None:
        return ""
    # bytes that are no UTF-8 were left as they came
    return value if isinstance(value, str) else bytes(value).decode("utf-8", "replace")
