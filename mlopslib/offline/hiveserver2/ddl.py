"""Statements of our own for tables of a cluster, and how its types are told."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from mlopslib.errors import ColumnMismatch
from mlopslib.offline.base import Column

#: tables that a write makes and drops; a killed writer's are found by their name and its time
TEMPORARY = re.compile(r"gijun_tmp_([0-9]{10})_[0-9a-f]{8}")
_DECIMAL = re.compile(r"decimal\((\d+),\s*(\d+)\)")
_ARROW: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "string": pa.string(),
}


@dataclass(frozen=True)
class TableShape:
    """Columns of a table in its order, those of its partitions last."""

    columns: tuple[Column, ...]
    partition_columns: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def schema(self) -> pa.Schema:
        """As Arrow. Raises ColumnMismatch for a type that only the engine itself can read."""
        return pa.schema([pa.field(column.name, arrow_of(column)) for column in self.columns])


def quote_name(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


def temporary_name() -> str:
    return f"gijun_tmp_{int(time.time()):010d}_{secrets.token_hex(4)}"


def is_left_over(name: str, *, older_than_seconds: float) -> bool:
    """Whether a table is one that a killed writer left behind."""
    found = TEMPORARY.fullmatch(name)
    return found is not None and time.time() - int(found[1]) > older_than_seconds


def sql_type(kind: pa.DataType) -> str:
    """The engine's word for a stored type (`mlopslib.offline.types.stored_type`)."""
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    return next((word.upper() for word, known in _ARROW.items() if known == kind), "STRING")


def arrow_of(column: Column) -> pa.DataType:
    decimal = _DECIMAL.fullmatch(column.type)
    if decimal:
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    if column.type.startswith(("varchar", "char")):
        return pa.string()
    if column.type not in _ARROW:
        raise ColumnMismatch(
            f"column {column.name!r} is {column.type}, which a frame cannot be written to", field=column.name
        )
    return _ARROW[column.type]


def create_table(
    name: str, schema: pa.Schema, *, partition_by: str | None = None, location: str | None = None
) -> str:
    kept = [field for field in schema if field.name != partition_by]
    columns = ", ".join(f"{quote_name(field.name)} {sql_type(field.type)}" for field in kept)
    partitioned = f" PARTITIONED BY ({quote_name(partition_by)} STRING)" if partition_by else ""
    kind = "EXTERNAL TABLE" if location else "TABLE"
    place = f" LOCATION '{location}'" if location else ""
    return f"CREATE {kind} {quote_name(name)} ({columns}){partitioned} STORED AS PARQUET{place}"


def insert_into(name: str, select: Sequence[str], source: str, *, partition_columns: Sequence[str]) -> str:
    """Append the rows of a table to another; `select` are expressions in the order of its columns."""
    partition = f" PARTITION ({', '.join(map(quote_name, partition_columns))})" if partition_columns else ""
    return (
        f"INSERT INTO TABLE {quote_name(name)}{partition} "  # noqa: S608
        f"SELECT {', '.join(select)} FROM {quote_name(source)}"
    )


def overwrite_partition(name: str, select: Sequence[str], source: str, *, column: str, value: str) -> str:
    return (
        f"INSERT OVERWRITE TABLE {quote_name(name)} PARTITION ({quote_name(column)}='{value}') "  # noqa: S608
        f"SELECT {', '.join(select)} FROM {quote_name(source)}"
    )


def read_shape(rows: Sequence[Mapping[str, Any]]) -> TableShape:
    """Columns out of DESCRIBE FORMATTED, which Impala, Hive and Spark lay out in nearly the same way."""
    sections: dict[str, dict[str, Column]] = {"columns": {}, "partitions": {}}
    section = "columns"
    for row in rows:
        name, kind = (str(value or "").strip() for value in list(row.values())[:2])
        if name == "# Partition Information":
            section = "partitions"
        elif name.startswith("#") and not name.startswith("# col_name"):
            break
        elif name and not name.startswith("#"):
            sections[section][name.lower()] = Column(name.lower(), kind.lower())
    partitions = sections["partitions"]
    columns = [column for name, column in sections["columns"].items() if name not in partitions]
    return TableShape((*columns, *partitions.values()), tuple(partitions))


def partition_values(rows: Sequence[Mapping[str, Any]], column: str) -> list[str]:
    """Values out of SHOW PARTITIONS: ``base_ym=202210`` in one column, or a column for each (Impala)."""
    values: set[str] = set()
    for row in rows:
        if "partition" in row and column not in row:
            parts = dict(part.split("=", 1) for part in str(row["partition"]).split("/"))
            values.add(parts[column])
        elif str(row.get(column)) != "Total":
            values.add(str(row[column]))
    return sorted(value for value in values if value not in ("__HIVE_DEFAULT_PARTITION__", "NULL", "None"))


def estimated_rows(engine: str, plan: str) -> int | None:
    """The rows that a plan promises at its outermost step; None where the engine does not know."""
    pattern, read = _ESTIMATES[engine]
    found = pattern.search(plan)
    return read(found) if found else None


_POWERS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_ESTIMATES: dict[str, tuple[re.Pattern[str], Callable[[re.Match[str]], int]]] = {
    "impala": (
        re.compile(r"cardinality=([0-9]+(?:\.[0-9]+)?)([KMBT]?)\b"),
        lambda found: int(float(found[1]) * _POWERS[found[2]]),
    ),
    "hive": (re.compile(r"Num rows: ([0-9]+)"), lambda found: int(found[1])),
    "spark": (
        re.compile(r"Statistics\([^)]*rowCount=([0-9.E+]+)"),
        lambda found: int(float(found[1])),
    ),
}
