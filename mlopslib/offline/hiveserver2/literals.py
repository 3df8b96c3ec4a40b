"""Values as typed SQL text. The driver's own parameters put values in as plain text, so they are not used."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa

from mlopslib.errors import InvalidInput
from mlopslib.offline.hiveserver2.ddl import quote_name, sql_type

#: of one INSERT .. VALUES
MOST_ROWS = 5_000
MOST_BYTES = 1_000_000


def quote_text(value: str) -> str:
    r"""A text in quotes; Impala, Hive and Spark all read backslashes as escapes.

    >>> print(quote_text("it's a \\ "))
    'it\'s a \\ '
    """
    if "\x00" in value:
        raise InvalidInput("a text with a NUL character cannot be written in SQL: remove it")
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def literal(value: Any, kind: pa.DataType) -> str:
    """A value of a stored type; its type is said, so no engine has to guess it."""
    word = sql_type(kind)
    if value is None:
        return f"CAST(NULL AS {word})"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return f"CAST({value} AS {word})"
    if isinstance(value, float):
        return f"CAST({_float(value)} AS {word})"
    if isinstance(value, Decimal):
        return f"CAST('{value:f}' AS {word})"
    if isinstance(value, datetime.datetime):
        return f"CAST('{value.isoformat(' ', 'microseconds')}' AS TIMESTAMP)"
    if isinstance(value, datetime.date):
        return f"CAST('{value.isoformat()}' AS DATE)"
    return quote_text(value)


def inserts(name: str, data: pa.Table) -> Iterator[str]:
    """INSERT .. VALUES statements that hold all rows, a limited number in each."""
    names = ", ".join(map(quote_name, data.column_names))
    head = f"INSERT INTO TABLE {quote_name(name)} ({names}) VALUES "  # noqa: S608
    rows: list[str] = []
    size = 0
    for row in _rendered_rows(data):
        if rows and (len(rows) == MOST_ROWS or size + len(row) > MOST_BYTES):
            yield head + ", ".join(rows)
            rows, size = [], 0
        rows.append(row)
        size += len(row) + 2
    if rows:
        yield head + ", ".join(rows)


def _rendered_rows(data: pa.Table) -> Iterator[str]:
    kinds = data.schema.types
    for batch in data.to_batches(max_chunksize=MOST_ROWS):
        columns = [column.to_pylist() for column in batch.columns]
        for values in zip(*columns, strict=True):
            yield "(" + ", ".join(map(literal, values, kinds)) + ")"


def _float(value: float) -> str:
    if math.isnan(value):
        return "NULL"
    if math.isinf(value):
        return "'Infinity'" if value > 0 else "'-Infinity'"
    # 17 digits with an exponent are a DOUBLE to every engine, and give back the same bits
    return f"{value:.17e}"
