"""What DuckDB gives, in the words of the store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa

from mlopslib.offline import delta
from mlopslib.offline.base import Column
from mlopslib.offline.jail import quote_name, quote_text, text_list
from mlopslib.offline.limits import Watch
from mlopslib.offline.types import to_stored

_BATCH_ROWS = 131_072


def select_from(snapshot: delta.Snapshot) -> str:
    columns = ", ".join(quote_name(name) for name in snapshot.schema.names)
    if not snapshot.files:
        nothing = ", ".join(
            f"CAST(NULL AS {sql_type(field.type)}) AS {quote_name(field.name)}" for field in snapshot.schema
        )
        return f"SELECT {nothing} WHERE false"
    options = "hive_partitioning = false"
    if snapshot.partition_columns:
        types = ", ".join(f"{quote_text(name)}: VARCHAR" for name in snapshot.partition_columns)
        options = f"hive_partitioning = true, hive_types_autocast = false, hive_types = {{{types}}}"
    return f"SELECT {columns} FROM read_parquet({text_list(snapshot.files)}, {options})"  # noqa: S608


def sql_type(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP"
    names = {
        pa.int8(): "TINYINT",
        pa.int16(): "SMALLINT",
        pa.int32(): "INTEGER",
        pa.int64(): "BIGINT",
        pa.float32(): "FLOAT",
        pa.float64(): "DOUBLE",
        pa.bool_(): "BOOLEAN",
        pa.date32(): "DATE",
    }
    return names.get(kind, "VARCHAR")


def columns_of(relation: duckdb.DuckDBPyRelation) -> list[Column]:
    return [
        Column(name.lower(), "bigint" if str(kind) == "HUGEINT" else str(kind).lower())
        for name, kind in zip(relation.columns, relation.types, strict=True)
    ]


def to_arrow(relation: duckdb.DuckDBPyRelation) -> pa.Table:
    """The rows; as on Impala, names are in lower case, and a sum of BIGINTs is a BIGINT."""
    kinds = [str(kind) for kind in relation.types]
    table = relation.to_arrow_table()
    table = table.rename_columns([name.lower() for name in table.column_names])
    for position, kind in enumerate(kinds):
        if kind == "HUGEINT":
            table = table.set_column(
                position, table.column_names[position], table.column(position).cast(pa.int64())
            )
    return table


def read_rows(connection: duckdb.DuckDBPyConnection, query: str, watch: Watch) -> pa.Table:
    relation = connection.sql(query)
    if watch.limits.rows is not None:
        relation = relation.limit(watch.limits.rows + 1)
    table = to_arrow(relation)
    watch.check_rows(table.num_rows)
    return table


def batches(connection: duckdb.DuckDBPyConnection, select: str, schema: pa.Schema) -> pa.RecordBatchReader:
    """Rows of a SELECT in the names, order and types of a table, batch by batch."""
    columns = ", ".join(quote_name(name) for name in schema.names)
    reader = connection.sql(f"SELECT {columns} FROM ({select})").to_arrow_reader(_BATCH_ROWS)  # noqa: S608

    def stored() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            yield from to_stored(pa.Table.from_batches([batch]), schema).to_batches()

    return pa.RecordBatchReader.from_batches(schema, stored())


def estimated_rows(plan: str) -> int | None:
    """How many rows the outermost step of a plan that tells it is thought to give.

    None where the engine does not know how much it reads: of files that a filter on the partition
    leaves it guesses one row, and every step above inherits that.
    """
    steps = json.loads(plan)
    if any(_is_blind(step) for step in _steps(steps)):
        return None
    while steps:
        guess = (steps[0].get("extra_info") or {}).get("Estimated Cardinality")
        if guess is not None:
            return int(guess)
        steps = steps[0].get("children")
    return None


def _steps(steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for step in steps:
        yield step
        yield from _steps(step.get("children") or [])


def _is_blind(step: dict[str, Any]) -> bool:
    facts = step.get("extra_info") or {}
    return "File Filters" in facts and int(facts.get("Estimated Cardinality", 0)) <= 1
