"""A DuckDB connection that can read a list of files and do nothing else to the machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

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


#: where the engine names the columns that come nearest to one that is not there
_NEAR = "Candidate bindings:"


def _message(error: duckdb.Error) -> str:
    """What the engine says in one line: without its word for the phase, with the columns nearest."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    said = lines[0].removeprefix("Binder Error: ").rstrip("!")
    near = [line.removeprefix(_NEAR).strip() for line in lines[1:] if line.startswith(_NEAR)]
    return f"{said}: near to it are {near[0]}" if near else said
