"""The offline store on Impala, Hive or Spark.

Every call opens a session of its own and closes it, so any number of threads may use one store. What is
written waits in a temporary table and moves on in one statement. These engines keep no versions of
tables: `table_version` is 0 and `versions` are not looked at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from mlopslib.definition import check_identifier
from mlopslib.errors import (
    ColumnMismatch,
    ConnectionFault,
    GijunError,
    QueryFailed,
    TableNotFound,
)
from mlopslib.offline.base import Column, WrittenPartition
from mlopslib.offline.files import open_reader
from mlopslib.offline.hiveserver2 import catalog, ddl
from mlopslib.offline.hiveserver2.address import Address, parse_address
from mlopslib.offline.hiveserver2.loading import drop_table, loaded, temporary_table
from mlopslib.offline.hiveserver2.session import Session
from mlopslib.offline.hiveserver2.uploader import LocalDirectory, open_uploader
from mlopslib.offline.limits import Limits, Watch
from mlopslib.offline.month import check_answer, check_columns, checks_of, kept_as
from mlopslib.offline.partition import check_partition, check_partition_value, with_partition
from mlopslib.offline.types import check_names, frame_to_arrow, stored_schema, to_stored
from mlopslib.sql.engines import to_engine

if TYPE_CHECKING:
    import pandas as pd

    from mlopslib.definition import FeatureSetSpec

_NO_LIMITS = Limits()
_ABANDONED_SECONDS = 24 * 3600.0


def open_hiveserver2(url: str, *, limits: Limits = _NO_LIMITS) -> HiveServer2Store:
    """The store behind ``impala://..`` or ``hive://..``; nothing is connected yet. Raises InvalidInput."""
    return HiveServer2Store(parse_address(url), limits=limits)


class HiveServer2Store:
    """Tables of one database of a cluster.

    Parameters
    ----------
    address
        Where the server is, the database, and how to log in.
    limits
        What one query may take where the caller names nothing else. The memory is kept by Impala alone.
    """

    def __init__(self, address: Address, *, limits: Limits = _NO_LIMITS) -> None:
        self._address = address
        self._uploader = open_uploader(address.uploader, user=address.user)
        self._has_swept = False
        self.limits = limits
        self.url = address.url

    @property
    def engine(self) -> str:
        if self._address.dialect is None:
            self._session().close()
        return self._address.dialect or "hive"

    def _session(self) -> Session:
        session = Session(self._address)
        if self._address.dialect is None:
            self._address = replace(self._address, dialect=session.engine)
        return session

    def run(self, statement: str) -> None:
        """A statement of the program's own that gives no rows; never a text that a person wrote."""
        with self._session() as session:
            session.run(statement)

    # what there is

    def list_tables(self) -> list[str]:
        with self._session() as session:
            return catalog.list_tables(session)

    def table_exists(self, name: str) -> bool:
        with self._session() as session:
            return catalog.table_exists(session, name)

    def table_version(self, name: str) -> int:
        with self._session() as session:
            catalog.shape_of(session, name)
        return 0

    def partitions(self, name: str, column: str) -> list[str]:
        with self._session() as session:
            if not catalog.table_exists(session, name):
                return []
            catalog.check_partitioned(name, catalog.shape_of(session, name), column)
            return ddl.partition_values(session.rows(f"SHOW PARTITIONS {ddl.quote_name(name)}"), column)

    def describe(self, name: str) -> list[Column]:
        with self._session() as session:
            return list(catalog.shape_of(session, name).columns)

    # reading

    def describe_sql(self, sql: str) -> list[Column]:
        with self._session() as session:
            catalog.check(session, sql)
            return catalog.describe_query(session, sql)

    def read_sql(
        self,
        sql: str,
        *,
        versions: Mapping[str, int] | None = None,
        limits: Limits | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> pa.Table:
        watch = self._watch(limits, is_cancelled)
        watch.check()
        with self._session() as session:
            catalog.check(session, sql)
            # the engine need not compute, nor keep in its memory, more than one row too many
            most = None if watch.limits.rows is None else watch.limits.rows + 1
            return session.query(to_engine(sql, session.engine, limit=most), watch)

    def estimate_rows(self, sql: str) -> int | None:
        with self._session() as session:
            explain = "EXPLAIN COST" if session.engine == "spark" else "EXPLAIN"
            catalog.check(session, sql)
            answer = session.query(f"{explain} {to_engine(sql, session.engine)}")
        plan = "\n".join(str(value) for value in answer.column(0).to_pylist())
        return ddl.estimated_rows(self.engine, plan)

    def read_partition(
        self, name: str, column: str, value: str, *, columns: list[str] | None = None
    ) -> pa.Table:
        check_partition_value(column, value)
        with self._session() as session:
            shape = catalog.shape_of(session, name)
            catalog.check_partitioned(name, shape, column)
            wanted = shape.names if columns is None else columns
            unknown = [item for item in wanted if item not in shape.names]
            if unknown:
                raise ColumnMismatch(
                    f"table {name!r} lacks {', '.join(repr(item) for item in unknown)}", field=unknown[0]
                )
            select = ", ".join(map(ddl.quote_name, wanted))
            return session.query(
                f"SELECT {select} FROM {ddl.quote_name(name)} "  # noqa: S608
                f"WHERE {ddl.quote_name(column)} = '{value}'",
                self._watch(None, None),
            )

    def _watch(self, limits: Limits | None, is_cancelled: Callable[[], bool] | None) -> Watch:
        return Watch((limits or _NO_LIMITS).or_else(self.limits), is_cancelled)

    # writing

    def save_pandas_to_table(
        self, pandas_df: pd.DataFrame, table_name: str, table_creation: bool = False
    ) -> bool:
        """See `mlopslib.offline.embedded.EmbeddedStore.save_pandas_to_table`.

        The rows wait in a temporary table; one INSERT .. SELECT appends them. Where the connection is lost
        during that statement, the rows of the table are counted: the call returns True when they arrived,
        and says so when they did not.
        """
        given = frame_to_arrow(pandas_df)
        check_identifier(table_name, field="table_name")
        with self._session() as session:
            if not catalog.table_exists(session, table_name):
                if not table_creation:
                    raise TableNotFound(
                        f"there is no table {table_name!r}: pass table_creation=True to make it",
                        field="table_name",
                    )
                self._create_and_append(session, table_name, given)
                return True
            self._append(session, table_name, given)
        return True

    def _create_and_append(self, session: Session, name: str, given: pa.Table) -> None:
        """Make a table with its first rows; where others make it at the same time, all rows are in it."""
        catalog.check_not_temporary(name)
        data = to_stored(given, stored_schema(given.schema))
        with loaded(session, data.schema, data.to_batches(), self._uploader) as (staged, rows):
            self._create_empty(session, name, data.schema, None)
            shape = catalog.shape_of(session, name)
            if shape.schema == data.schema:
                self._insert(session, name, shape, staged, rows)
                return
        # somebody else's table by now: the rows have to fit into that one
        self._append(session, name, given)

    def _append(self, session: Session, name: str, given: pa.Table) -> None:
        shape = catalog.shape_of(session, name)
        data = to_stored(given, shape.schema)
        for column in shape.partition_columns:
            check_partition(data.column(column), column)
        if not data.num_rows:
            return
        with loaded(session, data.schema, data.to_batches(), self._uploader) as (staged, rows):
            self._insert(session, name, shape, staged, rows)

    def _insert(self, session: Session, name: str, shape: ddl.TableShape, staged: str, rows: int) -> None:
        """Append the rows of a temporary table, once."""
        before = catalog.count_rows(session, name)
        columns = [ddl.quote_name(column) for column in shape.names]
        statement = ddl.insert_into(name, columns, staged, partition_columns=shape.partition_columns)
        try:
            session.run(statement)
        except ConnectionFault as error:
            self._check_appended(name, before, rows, error)
        catalog.compute_stats(session, name)

    def _check_appended(self, name: str, before: int, rows: int, error: ConnectionFault) -> None:
        """What became of an append whose answer never came. Raises unless the rows are there."""
        with self._session() as session:
            after = catalog.count_rows(session, name)
        if after == before + rows:
            return
        if after == before:
            raise ConnectionFault(f"{error.message}; nothing was added to {name!r}: try again") from error
        raise ConnectionFault(
            f"{error.message}; {name!r} had {before:,} rows and has {after:,}, so others write to it too: "
            "look whether the rows are there before trying again"
        ) from error

    def create_table(self, name: str, data: pa.Table, *, partition_by: str | None = None) -> int:
        check_identifier(name, field="table")
        check_names(data.column_names)
        stored = to_stored(data, stored_schema(data.schema))
        if partition_by is not None:
            if partition_by not in stored.column_names:
                raise ColumnMismatch(
                    f"there is no column {partition_by!r} to partition by", field=partition_by
                )
            check_partition(stored.column(partition_by), partition_by)
        with self._session() as session:
            self._create(session, name, stored, partition_by)
        return 0

    def _create(self, session: Session, name: str, data: pa.Table, partition_by: str | None) -> None:
        """A table with its rows; nobody sees it before they are all there."""
        catalog.check_not_temporary(name)
        if catalog.table_exists(session, name):
            raise catalog.exists_already(name)
        names = [column for column in data.column_names if column != partition_by]
        ordered = data.select([*names, *([partition_by] if partition_by else [])])
        with loaded(session, ordered.schema, ordered.to_batches(), self._uploader) as (staged, _):
            self._create_from(session, name, staged, ordered.column_names, partition_by)

    def _create_from(
        self, session: Session, name: str, staged: str, names: list[str], partition_by: str | None
    ) -> None:
        partitioned = f" PARTITIONED BY ({ddl.quote_name(partition_by)})" if partition_by else ""
        select = ", ".join(map(ddl.quote_name, names))
        try:
            session.run(
                f"CREATE TABLE {ddl.quote_name(name)}{partitioned} STORED AS PARQUET "  # noqa: S608
                f"AS SELECT {select} FROM {ddl.quote_name(staged)}"
            )
        except QueryFailed as error:
            if "already exists" in error.message.lower():
                raise catalog.exists_already(name) from error
            raise
        catalog.compute_stats(session, name)

    def overwrite_partition(self, name: str, data: pa.Table, *, column: str, value: str) -> int:
        """Replace the rows of one partition; without rows it is dropped."""
        check_identifier(name, field="table")
        check_partition_value(column, value)
        data = with_partition(data, column, value)
        with self._session() as session:
            if not catalog.table_exists(session, name):
                self._create_empty(session, name, stored_schema(data.schema), column)
            shape = catalog.shape_of(session, name)
            catalog.check_partitioned(name, shape, column)
            stored = to_stored(data, shape.schema).drop_columns([column])
            if not stored.num_rows:
                partition = f"{ddl.quote_name(column)}='{value}'"
                session.run(f"ALTER TABLE {ddl.quote_name(name)} DROP IF EXISTS PARTITION ({partition})")
                return 0
            with loaded(session, stored.schema, stored.to_batches(), self._uploader) as (staged, _):
                select = [ddl.quote_name(item) for item in stored.column_names]
                session.run(ddl.overwrite_partition(name, select, staged, column=column, value=value))
                catalog.compute_stats(session, name)
        return 0

    def _create_empty(self, session: Session, name: str, schema: pa.Schema, column: str | None) -> None:
        statement = ddl.create_table(name, schema, partition_by=column)
        session.run(statement.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1))

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
        """See `OfflineStore.write_partition`; the answer waits in a temporary table of the engine."""
        check_partition_value(column, value)
        watch = self._watch(limits, is_cancelled)
        watch.check()
        with self._session() as session, temporary_table(session) as staged:
            self._sweep(session)
            catalog.check(session, sql)
            given = catalog.describe_query(session, sql)
            check_columns(feature_set, given, partition=column)
            text = catalog.without_void(to_engine(sql, session.engine), given)
            session.run(f"CREATE TABLE {ddl.quote_name(staged)} STORED AS PARQUET AS {text}", watch)
            checks = checks_of(feature_set, given, ddl.quote_name)
            numbered = ", ".join(f"{check} AS n{number}" for number, check in enumerate(checks))
            figures = session.query(f"SELECT {numbered} FROM {ddl.quote_name(staged)}", watch)  # noqa: S608
            counts = [int(item[0].as_py() or 0) for item in figures.columns]
            rows, infinite = check_answer(feature_set, given, counts, value=value)
            watch.check()
            select = kept_as(feature_set, given, counts, ddl.quote_name, text="STRING")
            self._swap(session, feature_set, given, select, staged, column=column, value=value)
        return WrittenPartition(rows=rows, table_version=0, infinite=infinite)

    def _swap(
        self,
        session: Session,
        feature_set: FeatureSetSpec,
        given: list[Column],
        select: list[str],
        staged: str,
        *,
        column: str,
        value: str,
    ) -> None:
        name = feature_set.table
        statement = f"SELECT {', '.join(select)} FROM {ddl.quote_name(staged)} LIMIT 0"  # noqa: S608
        wanted = {item.name: item for item in session.columns(statement)}
        if not catalog.table_exists(session, name):
            schema = pa.schema([pa.field(item.name, ddl.arrow_of(item)) for item in wanted.values()])
            self._create_empty(session, name, schema.append(pa.field(column, pa.string())), column)
        shape = catalog.shape_of(session, name)
        catalog.check_partitioned(name, shape, column)
        kept = [item for item in shape.columns if item.name != column]
        if {item.name: item.type for item in kept} != {item.name: item.type for item in wanted.values()}:
            raise ColumnMismatch(
                f"table {name!r} has {catalog.in_words(kept)}, the query gives "
                f"{catalog.in_words(list(wanted.values()))}: "
                "publish a new version of the feature set"
            )
        ordered = [select[list(wanted).index(item.name)] for item in kept]
        session.run(ddl.overwrite_partition(name, ordered, staged, column=column, value=value))
        catalog.compute_stats(session, name)

    def import_file(self, name: str, path: Path | str, *, replace: bool = False) -> int:
        """See `OfflineStore.import_file`; `replace` drops the old table when the new rows are loaded."""
        check_identifier(name, field="table")
        with self._session() as session:
            self._sweep(session)
            if catalog.table_exists(session, name) and not replace:
                raise catalog.exists_already(name)
            with (
                open_reader(Path(path), memory_limit=self.limits.memory or "2GB", threads=1) as reader,
                loaded(session, reader.schema, reader, self._uploader) as (staged, rows),
            ):
                if replace:
                    drop_table(session, name)
                self._create_from(session, name, staged, reader.schema.names, None)
        return rows

    def drop_table(self, name: str) -> None:
        with self._session() as session:
            catalog.shape_of(session, name)
            drop_table(session, name)

    def _sweep(self, session: Session) -> None:
        """Drop what killed writers left, once for this store."""
        if self._has_swept:
            return
        self._has_swept = True
        for name in catalog.table_names(session, "gijun_tmp_*"):
            if ddl.is_left_over(name, older_than_seconds=_ABANDONED_SECONDS):
                with contextlib.suppress(GijunError):
                    drop_table(session, name)
        if isinstance(self._uploader, LocalDirectory):
            self._uploader.sweep(older_than_seconds=_ABANDONED_SECONDS)
