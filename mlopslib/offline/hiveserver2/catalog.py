"""What a database of a cluster holds, asked through an open session."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mlopslib.definition import IDENTIFIER, check_identifier
from mlopslib.errors import ColumnMismatch, InvalidInput, QueryFailed, TableExists, TableNotFound
from mlopslib.offline.base import Column
from mlopslib.offline.hiveserver2 import ddl
from mlopslib.offline.hiveserver2.session import Session
from mlopslib.sql import guard_select
from mlopslib.sql.engines import to_engine

logger = logging.getLogger(__name__)


def check(session: Session, sql: str) -> None:
    """Raise SqlRejected or TableNotFound unless a text is one read of tables that are there."""
    guard_select(sql, tables=list_tables(session))


def describe_query(session: Session, sql: str) -> list[Column]:
    return session.columns(to_engine(sql, session.engine, limit=0))


def without_void(text: str, given: list[Column]) -> str:
    """The query with columns of nothing but NULL as texts, because Parquet knows no untyped column."""
    if all(column.type != "void" for column in given):
        return text
    select = ", ".join(
        f"CAST({ddl.quote_name(column.name)} AS STRING) AS {ddl.quote_name(column.name)}"
        if column.type == "void"
        else ddl.quote_name(column.name)
        for column in given
    )
    return f"SELECT {select} FROM ({text}) answer"  # noqa: S608


def table_names(session: Session, pattern: str | None = None) -> list[str]:
    like = f" LIKE '{pattern}'" if pattern else ""
    answer = session.rows(f"SHOW TABLES{like}")
    # Spark gives three columns, of which the first is the database; Hive and Impala give the name alone
    return [str(row.get("tablename") or row.get("tab_name") or next(iter(row.values()))) for row in answer]


def list_tables(session: Session) -> list[str]:
    names = (name.lower() for name in table_names(session))
    return sorted(name for name in names if IDENTIFIER.match(name) and not ddl.TEMPORARY.fullmatch(name))


def table_exists(session: Session, name: str) -> bool:
    return bool(IDENTIFIER.fullmatch(name)) and name in table_names(session, name)


def shape_of(session: Session, name: str) -> ddl.TableShape:
    """Raises TableNotFound."""
    check_identifier(name, field="table")
    try:
        return ddl.read_shape(session.rows(f"DESCRIBE FORMATTED {ddl.quote_name(name)}"))
    except QueryFailed as error:
        if table_exists(session, name):
            raise
        raise TableNotFound(f"there is no table {name!r}", field="table") from error


def count_rows(session: Session, name: str) -> int:
    (row,) = session.rows(f"SELECT COUNT(*) AS n FROM {ddl.quote_name(name)}")  # noqa: S608
    return int(row["n"])


def check_partitioned(name: str, shape: ddl.TableShape, column: str) -> None:
    if shape.partition_columns != (column,):
        raise ColumnMismatch(f"table {name!r} is not partitioned by {column!r}", field=column)


def compute_stats(session: Session, name: str) -> None:
    """Impala plans by them. The rows are there already, so a refusal is only noted."""
    if session.engine != "impala":
        return
    try:
        session.run(f"COMPUTE STATS {ddl.quote_name(name)}")
    except QueryFailed as error:
        logger.warning("the statistics of table %s were not computed: %s", name, error.message)


def exists_already(name: str) -> TableExists:
    return TableExists(
        f"there is a table {name!r} already: drop or replace it, or take another name", field="table"
    )


def in_words(columns: Sequence[Column]) -> str:
    return ", ".join(f"{column.name} {column.type}" for column in columns)


def check_not_temporary(name: str) -> None:
    if ddl.TEMPORARY.fullmatch(name):
        raise InvalidInput(f"{name!r} is kept for temporary tables: take another name", field="table")
