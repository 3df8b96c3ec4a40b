"""Where the query is run again: in memory by default, or in tables of a store made for the moment."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

import duckdb
import pyarrow as pa
from sqlglot import exp

from mlopslib.offline.base import OfflineStore
from mlopslib.offline.jail import jailed_connection
from mlopslib.sql import guard_select, to_duckdb
from mlopslib.sql.dialect import Impala
from mlopslib.sql.guard import table_nodes


class Scratch(Protocol):
    def run(self, sql: str, tables: Mapping[str, pa.Table]) -> pa.Table:
        """Rows of a rendered query with `tables` in the place of the tables that it names."""
        ...


class MemoryScratch:
    """DuckDB in memory: nothing is written, nothing of the store can be reached."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._texts: dict[tuple[str, tuple[str, ...]], str] = {}

    def run(self, sql: str, tables: Mapping[str, pa.Table]) -> pa.Table:
        names = {table: f"scratch_{number}" for number, table in enumerate(sorted(tables))}
        for table, data in tables.items():
            self._connection.register(names[table], data)
        try:
            return self._connection.sql(self._text(sql, names)).to_arrow_table()
        finally:
            for name in names.values():
                self._connection.unregister(name)

    def _text(self, sql: str, names: Mapping[str, str]) -> str:
        key = (sql, tuple(sorted(names)))
        if key not in self._texts:
            self._texts[key] = to_duckdb(renamed(sql, names))
        return self._texts[key]


@contextmanager
def memory_scratch(*, memory_limit: str = "2GB") -> Iterator[MemoryScratch]:
    # one thread: rows are read in the order in which they stand, so that sums add up alike
    with jailed_connection([], memory_limit=memory_limit, threads=1) as connection:
        yield MemoryScratch(connection)


class StoreScratch:
    """Tables of an offline store, made for one run of the query and dropped after it.

    Slower by the time that the engine takes to make a table; for those who want the answer of the very
    engine that the features are computed in.
    """

    def __init__(self, store: OfflineStore) -> None:
        self._store = store

    def run(self, sql: str, tables: Mapping[str, pa.Table]) -> pa.Table:
        mark = uuid.uuid4().hex[:12]
        names = {table: f"gijun_scratch_{mark}_{number}" for number, table in enumerate(sorted(tables))}
        made = []
        try:
            for table, name in names.items():
                self._store.create_table(name, tables[table])
                made.append(name)
            return self._store.read_sql(renamed(sql, names).sql(dialect=Impala))
        finally:
            for name in made:
                self._store.drop_table(name)


def renamed(sql: str, names: Mapping[str, str]) -> exp.Query:
    """The query over other tables, each still known by the name that the query calls it."""
    query = guard_select(sql, tables=list(names))
    for table in list(table_nodes(query)):
        name = ".".join(part.name for part in table.parts).lower()
        if not table.alias:
            table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name)))
        table.set("db", None)
        table.set("this", exp.to_identifier(names[name]))
    return query
