"""A DuckDB connection that can read a list of files and do nothing else to the machine."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb

from mlopslib.errors import QueryFailed, QueryTooLarge


def quote_text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def quote_name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def text_list(values: Sequence[str]) -> str:
    return "[" + ", ".join(quote_text(value) for value in values) + "]"


@contextmanager
def jailed_connection(
    files: Sequence[str], *, memory_limit: str, threads: int
) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory connection that may open exactly `files`, with its configuration locked.

    No other file can be read or written, no extension loaded, no database attached; what does not fit
    in `memory_limit` spills to a directory that is removed at the end.
    """
    with tempfile.TemporaryDirectory(prefix="gijun-duckdb-") as spill:
        connection = duckdb.connect(":memory:")
        try:
            for setting in (
                f"memory_limit = {quote_text(memory_limit)}",
                f"threads = {int(threads)}",
                f"temp_directory = {quote_text(spill)}",
                "TimeZone = 'UTC'",
                "autoinstall_known_extensions = false",
                "autoload_known_extensions = false",
                f"allowed_paths = {text_list(files)}",
                "enable_external_access = false",
                "lock_configuration = true",
            ):
                connection.execute(f"SET {setting}")
            yield connection
        except duckdb.OutOfMemoryException as error:
            raise QueryTooLarge(
                f"the query needs more memory than the {memory_limit} that it may use: read fewer months or "
                "columns, aggregate before joining, or raise QUERY_MEMORY"
            ) from error
        except duckdb.Error as error:
            raise QueryFailed(_message(error)) from error
        finally:
            connection.close()


def select_only(
    connection: duckdb.DuckDBPyConnection, sql: str, *, tables: Collection[str]
) -> duckdb.DuckDBPyRelation:
    """The relation of one text that is one SELECT over `tables`, and nothing else."""
    check_select(connection, sql, tables=tables)
    return connection.sql(sql)


def check_select(connection: duckdb.DuckDBPyConnection, sql: str, *, tables: Collection[str]) -> None:
    """Refuse what is not one SELECT over `tables`, which are views of a jailed connection.

    The text is judged by the engine's own parser, so that a text that the guard and the engine read in
    two ways does no harm: no second statement, no change inside WITH, no table function, no catalog of
    the engine, no function that tells of the machine, the session or the moment.

    Raises
    ------
    QueryFailed
        With what was refused.
    """
    try:
        kinds = [statement.type for statement in connection.extract_statements(sql)]
        if kinds != [duckdb.StatementType.SELECT]:
            raise QueryFailed("the engine runs one SELECT at a time and nothing else")
        written = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()[0][0]
    except (duckdb.Error, UnicodeEncodeError) as error:
        raise QueryFailed(_message(error)) from error
    try:
        tree = json.loads(written)
    except RecursionError as error:
        raise QueryFailed("the query is nested too deeply") from error
    if tree.get("error"):
        raise QueryFailed("the engine runs one SELECT at a time and nothing else")
    nodes = list(_nodes(tree))
    known = {name.lower() for name in tables}
    known |= {str(entry["key"]).lower() for node in nodes for entry in _ctes(node)}
    for node in nodes:
        _check_node(node, known)


#: shapes of a query, and what a FROM may hold
_QUERIES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "CTE_NODE"})
_SOURCES = frozenset({"BASE_TABLE", "SUBQUERY", "JOIN", "EMPTY"})
#: functions that tell of the machine, the session or the moment, or that wait
_REFUSED = frozenset(
    {
        *("current_setting", "getenv", "getvariable", "version", "current_catalog", "current_database"),
        *("current_schema", "current_schemas", "current_user", "user", "session_user", "current_role"),
        *("current_query", "current_query_id", "current_connection_id", "current_transaction_id"),
        *("txid_current", "in_search_path", "nextval", "currval", "setval", "setseed", "random", "uuid"),
        *("uuidv4", "uuidv7", "gen_random_uuid", "now", "today", "current_date", "get_current_time"),
        *("get_current_timestamp", "current_timestamp", "transaction_timestamp", "sleep_ms", "write_log"),
        *("stats", "vector_type", "unnest", "json_serialize_sql", "json_execute_serialized_sql"),
    }
)

#: the engine plays a PostgreSQL server under these names; pg_sleep waits for real
_REFUSED_FAMILIES = ("pg_", "has_", "inet_", "json_", "read_", "duckdb_")


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of a serialised query, without recursion: the text may be deep."""
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _ctes(node: dict[str, Any]) -> list[dict[str, Any]]:
    ctes = node.get("cte_map")
    return list(ctes.get("map", ())) if isinstance(ctes, dict) else []


def _check_node(node: dict[str, Any], known: Collection[str]) -> None:
    kind = str(node.get("type", ""))
    if kind.endswith("_NODE"):
        if kind not in _QUERIES:
            raise QueryFailed(f"the engine runs no {kind.removesuffix('_NODE').replace('_', ' ').lower()}")
    elif "sample" in node and kind not in _SOURCES:
        raise QueryFailed(f"the engine reads from tables alone, not from a {kind.replace('_', ' ').lower()}")
    if kind == "BASE_TABLE":
        name = ".".join(str(node.get(part) or "") for part in ("catalog_name", "schema_name", "table_name"))
        if name.lstrip(".").lower() not in known:
            raise QueryFailed(f"there is no table {name.lstrip('.')!r} for this query")
    function = str(node.get("function_name", "")).lower()
    if function in _REFUSED or function.startswith(_REFUSED_FAMILIES):
        raise QueryFailed(f"the function {node['function_name']} may not be used")


#: where the engine names the columns that come nearest to one that is not there
_NEAR = "Candidate bindings:"


def _message(error: Exception) -> str:
    """What the engine says in one line: without its word for the phase, with the columns nearest."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    said = lines[0].removeprefix("Binder Error: ").rstrip("!")
    near = [line.removeprefix(_NEAR).strip() for line in lines[1:] if line.startswith(_NEAR)]
    return f"{said}: near to it are {near[0]}" if near else said
