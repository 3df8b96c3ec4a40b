"""The offline store of one machine: Delta Lake tables on disk, read by DuckDB in memory.

Writers commit through the Delta log, so a reader sees a write whole or not at all, from any number of
processes. Readers take the file list of one version and give DuckDB these files and nothing else.
delta-rs keeps threads of its own: open the store after a fork, not before it.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from mlopslib.definition import IDENTIFIER, check_identifier
from mlopslib.errors import ColumnMismatch, InvalidInput, TableExists, TableNotFound
from mlopslib.offline import delta
from mlopslib.offline.base import Column, WrittenPartition
from mlopslib.offline.files import open_reader
from mlopslib.offline.jail import check_select, jailed_connection, quote_name, quote_text
from mlopslib.offline.limits import Limits, Watch
from mlopslib.offline.month import check_answer, check_columns, checks_of, kept_as
from mlopslib.offline.partition import check_partition, check_partition_value, with_partition
from mlopslib.offline.relation import batches, columns_of, estimated_rows, read_rows, select_from, to_arrow
from mlopslib.offline.types import check_names, frame_to_arrow, stored_schema, to_stored
from mlopslib.sql import guard_select, tables_in, to_duckdb

if TYPE_CHECKING:
    import pandas as pd

    from mlopslib.definition import FeatureSetSpec

_NO_LIMITS = Limits()
_USUAL = Limits(memory="2GB")
_GLOB_CHARACTERS = frozenset("*?[]{}")


class EmbeddedStore:
    """Tables in the directories of `root`.

    Parameters
    ----------
    root
        An absolute directory; made with the first table.
    limits
        What one query may take where the caller names nothing else. What does not fit in the memory
        spills to a temporary directory; a query that cannot spill ends with QueryTooLarge.
    threads
        Of one query.
    """

    engine = "duckdb"

    def __init__(self, root: Path | str, *, limits: Limits = _NO_LIMITS, threads: int | None = None) -> None:
        self.root = Path(root)
        self.limits = limits.or_else(_USUAL)
        if _GLOB_CHARACTERS & set(str(self.root)):
            raise InvalidInput(
                f"the store's directory {str(self.root)!r} must not hold any of * ? [ ] {{ }}",
                field="OFFLINE_URL",
            )
        self.url = f"delta://{self.root}"
        self._threads = threads or min(4, os.cpu_count() or 1)

    # what there is

    def list_tables(self) -> list[str]:
        if not self.root.is_dir():
            return []
        return sorted(p.name for p in self.root.iterdir() if IDENTIFIER.match(p.name) and delta.is_table(p))

    def table_exists(self, name: str) -> bool:
        return bool(IDENTIFIER.match(name)) and delta.is_table(self.root / name)

    def table_version(self, name: str) -> int:
        return int(delta.open_table(self._known(name)).version())

    def partitions(self, name: str, column: str) -> list[str]:
        if not self.table_exists(name):
            return []
        table = delta.open_table(self._path(name))
        if column not in table.metadata().partition_columns:
            raise ColumnMismatch(f"table {name!r} is not partitioned by {column!r}", field=column)
        return sorted({partition[column] for partition in table.partitions()})

    def describe(self, name: str) -> list[Column]:
        snapshot = delta.snapshot(self._known(name))
        with self._connection([snapshot]) as connection:
            return columns_of(connection.sql(f"SELECT * FROM {quote_name(name)}"))  # noqa: S608

    # reading

    def describe_sql(self, sql: str) -> list[Column]:
        with self._prepared(sql) as (connection, query):
            return columns_of(connection.sql(query))

    def read_sql(
        self,
        sql: str,
        *,
        versions: Mapping[str, int] | None = None,
        limits: Limits | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> pa.Table:
        watch = self._watch(limits, is_cancelled)
        with self._prepared(sql, versions=versions, limits=watch.limits) as (connection, query):
            return watch.run(lambda: read_rows(connection, query, watch), interrupt=connection.interrupt)

    def estimate_rows(self, sql: str) -> int | None:
        with self._prepared(sql) as (connection, query):
            plan = connection.execute(f"EXPLAIN (FORMAT json) {query}").fetchone()
        return estimated_rows(plan[1]) if plan else None

    def read_partition(
        self, name: str, column: str, value: str, *, columns: list[str] | None = None
    ) -> pa.Table:
        snapshot = delta.snapshot(self._known(name))
        if column not in snapshot.partition_columns:
            raise ColumnMismatch(f"table {name!r} is not partitioned by {column!r}", field=column)
        wanted = snapshot.schema.names if columns is None else columns
        unknown = [item for item in wanted if item not in snapshot.schema.names]
        if unknown:
            raise ColumnMismatch(
                f"table {name!r} lacks {', '.join(repr(item) for item in unknown)}", field=unknown[0]
            )
        part = delta.snapshot(self._path(name), version=snapshot.version, only=(column, value))
        select = ", ".join(quote_name(item) for item in wanted)
        with self._connection([part]) as connection:
            return to_arrow(connection.sql(f"SELECT {select} FROM {quote_name(name)}"))  # noqa: S608

    def _watch(self, limits: Limits | None, is_cancelled: Callable[[], bool] | None) -> Watch:
        return Watch((limits or _NO_LIMITS).or_else(self.limits), is_cancelled)

    @contextmanager
    def _prepared(
        self, sql: str, *, versions: Mapping[str, int] | None = None, limits: Limits | None = None
    ) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
        """A connection that sees the tables of a guarded query, and DuckDB's text of it."""
        query = guard_select(sql, tables=self.list_tables())
        pins = versions or {}
        snapshots = [delta.snapshot(self._known(name), version=pins.get(name)) for name in tables_in(query)]
        with self._connection(snapshots, limits) as connection:
            text = to_duckdb(query)
            check_select(connection, text, tables=[snapshot.name for snapshot in snapshots])
            yield connection, text

    @contextmanager
    def _connection(
        self, snapshots: Iterable[delta.Snapshot], limits: Limits | None = None
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        snapshots = list(snapshots)
        files = [file for snapshot in snapshots for file in snapshot.files]
        with jailed_connection(files, memory_limit=self._memory(limits), threads=self._threads) as connection:
            for snapshot in snapshots:
                connection.execute(f"CREATE VIEW {quote_name(snapshot.name)} AS {select_from(snapshot)}")
            yield connection

    def _memory(self, limits: Limits | None = None) -> str:
        return (limits or self.limits).memory or "2GB"

    # writing

    def save_pandas_to_table(
        self, pandas_df: pd.DataFrame, table_name: str, table_creation: bool = False
    ) -> bool:
        """Append a frame to a table, as one commit.

        Parameters
        ----------
        pandas_df
            Columns are matched by name; their order is free and the index is left out. NaN, None, NaT
            and pd.NA are all stored as NULL. Types: see `mlopslib.offline.types`.
        table_name
            A lower-case name.
        table_creation
            Make the table where it does not exist. An existing table is appended to either way.

        Returns
        -------
        bool
            True; every failure is an exception and leaves the table as it was.

        Raises
        ------
        InputTypeException
            `pandas_df` is not a DataFrame.
        TableNotFound
            The table does not exist and `table_creation` is False.
        ColumnMismatch
            Columns are missing, unknown or of a type that does not fit the table's.
        """
        given = frame_to_arrow(pandas_df)
        path = self._path(table_name)
        if not delta.is_table(path):
            if not table_creation:
                raise TableNotFound(
                    f"there is no table {table_name!r}: pass table_creation=True to make it",
                    field="table_name",
                )
            if delta.create(path, to_stored(given, stored_schema(given.schema)), partition_by=None):
                return True
            # another process made it in the meantime: append to that one
        self._append(path, given)
        return True

    def _append(self, path: Path, given: pa.Table) -> int:
        snapshot = delta.snapshot(path)
        data = to_stored(given, snapshot.schema)
        for column in snapshot.partition_columns:
            check_partition(data.column(column), column)
        return delta.commit(path, lambda: data, mode="append")

    def create_table(self, name: str, data: pa.Table, *, partition_by: str | None = None) -> int:
        path = self._path(name)
        if delta.is_table(path):
            raise _exists(name)
        check_names(data.column_names)
        stored = to_stored(data, stored_schema(data.schema))
        if partition_by is not None:
            if partition_by not in stored.column_names:
                raise ColumnMismatch(
                    f"there is no column {partition_by!r} to partition by", field=partition_by
                )
            check_partition(stored.column(partition_by), partition_by)
        if not delta.create(path, stored, partition_by=partition_by):
            raise _exists(name)
        return 0

    def overwrite_partition(self, name: str, data: pa.Table, *, column: str, value: str) -> int:
        """Replace the rows of one partition by `data`, in one commit; readers see the old or the new.

        `data` may leave the partition column out. Without rows the partition is emptied. When two
        writers replace the same partition at once, both succeed, one after the other.
        """
        check_partition_value(column, value)
        path = self._path(name)
        data = with_partition(data, column, value)
        stored = to_stored(data, stored_schema(data.schema))
        if not delta.is_table(path) and delta.create(path, stored, partition_by=column):
            return 0
        snapshot = delta.snapshot(path)
        if snapshot.partition_columns != (column,):
            raise ColumnMismatch(f"table {name!r} is not partitioned by {column!r}", field=column)
        stored = to_stored(data, snapshot.schema)
        return delta.commit(
            path,
            lambda: stored,
            mode="overwrite",
            predicate=f"{column} = '{value}'",
            partition_by=[column],
        )

    def write_partition(
        self,
        feature_set: FeatureSetSpec,
        sql: str,
        *,
        column: str = "base_ym",
        value: str,
        limits: Limits | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> WrittenPartition:
        """See `OfflineStore.write_partition`.

        The answer waits in a table of the query's own connection, which spills to disk, and goes to the
        Delta table in batches. Rows are sorted by the key: the same month made twice is the same data.
        """
        check_partition_value(column, value)
        watch = self._watch(limits, is_cancelled)
        with self._prepared(sql, limits=watch.limits) as (connection, query):
            given = columns_of(connection.sql(query))
            check_columns(feature_set, given, partition=column)
            create = f"CREATE TEMP TABLE answer AS {query}"
            checks = f"SELECT {', '.join(checks_of(feature_set, given, quote_name))} FROM answer"  # noqa: S608

            def compute() -> tuple[int, ...]:
                connection.execute(create)
                return tuple(connection.execute(checks).fetchall()[0])

            counts = watch.run(compute, interrupt=connection.interrupt)
            rows, infinite = check_answer(feature_set, given, counts, value=value)
            watch.check()
            select = ", ".join(kept_as(feature_set, given, counts, quote_name, text="VARCHAR"))
            ordered = (
                f"SELECT {select}, {quote_text(value)} AS {quote_name(column)} FROM answer "  # noqa: S608
                f"ORDER BY {quote_name(feature_set.entity_key)}"
            )
            version = self._swap(feature_set.table, connection, ordered, column=column, value=value)
        return WrittenPartition(rows=rows, table_version=version, infinite=infinite)

    def _swap(
        self, name: str, connection: duckdb.DuckDBPyConnection, select: str, *, column: str, value: str
    ) -> int:
        """Put the rows of a SELECT in the place of a partition, in one commit."""
        path = self._path(name)
        schema = stored_schema(connection.sql(f"{select} LIMIT 0").to_arrow_table().schema)
        if not delta.is_table(path) and delta.create(
            path, batches(connection, select, schema), partition_by=column
        ):
            return 0
        snapshot = delta.snapshot(path)
        if snapshot.partition_columns != (column,):
            raise ColumnMismatch(f"table {name!r} is not partitioned by {column!r}", field=column)
        to_stored(schema.empty_table(), snapshot.schema)  # raises where names or types differ
        return delta.commit(
            path,
            lambda: batches(connection, select, snapshot.schema),
            mode="overwrite",
            predicate=f"{column} = '{value}'",
            partition_by=[column],
        )

    def import_file(self, name: str, path: Path | str, *, replace: bool = False) -> int:
        """Load a Parquet or CSV file as a table; returns its rows.

        Column names become snake case (`InvoiceNo` -> ``invoice_no``). The file is read and checked
        whole before the table appears; `replace` keeps the old versions readable by time travel.
        """
        target = self._path(name)
        if delta.is_table(target) and not replace:
            raise _exists(name)
        with (
            open_reader(Path(path), memory_limit=self._memory(), threads=self._threads) as reader,
            delta.staged(self.root, reader) as staging,
        ):
            rows = int(delta.open_table(staging).count())
            if delta.is_table(target):
                self._replace(target, staging)
            elif not delta.publish(staging, target):
                raise _exists(name)
        delta.sweep(self.root)
        return rows

    def _replace(self, target: Path, staging: Path) -> None:
        snapshot = delta.snapshot(staging)
        with self._connection([snapshot]) as connection:
            rows = f"SELECT * FROM {quote_name(snapshot.name)}"  # noqa: S608
            delta.commit(
                target,
                lambda: connection.sql(rows).to_arrow_reader(),
                mode="overwrite",
                schema_mode="overwrite",
                partition_by=[],
            )

    def drop_table(self, name: str) -> None:
        path = self._known(name)
        dropped = self.root / ".dropped" / f"{name}-{uuid.uuid4().hex}"
        dropped.parent.mkdir(exist_ok=True)
        path.rename(dropped)
        shutil.rmtree(dropped, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self.root / check_identifier(name, field="table")

    def _known(self, name: str) -> Path:
        path = self._path(name)
        if not delta.is_table(path):
            raise TableNotFound(f"there is no table {name!r}", field="table")
        return path


def _exists(name: str) -> TableExists:
    return TableExists(
        f"there is a table {name!r} already: drop or replace it, or take another name", field="table"
    )
