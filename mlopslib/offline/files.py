"""Parquet and CSV files as Arrow batches in stored types, with column names that SQL can say."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from mlopslib.definition import IDENTIFIER
from mlopslib.errors import InvalidInput, QueryFailed
from mlopslib.offline.jail import jailed_connection, quote_name, quote_text
from mlopslib.offline.types import nan_to_null, stored_schema

_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NOT_NAME = re.compile(r"[^a-z0-9]+")
_PANDAS_INDEX = re.compile(r"^__index_level_\d+__$")
_DELIMITERS = (",", ";", "\t", "|")
_BATCH_ROWS = 131_072
#: a header line of more than this is not a header line
_HEADER_BYTES = 1 << 20

#: months and days are text everywhere (``"202210"``), also where a file holds only digits
_TEXT_NAMES = re.compile(r"(^|_)(ym|dt|ymd|yyyymm|yyyymmdd)$")
_CSV_FAULTS = (
    "Expected Number of Columns",
    "Value with unterminated quote",
    "Invalid unicode",
    "Maximum line size",
)
#: what every value of a CSV column must look like -> its type; the first that fits
_CSV_TYPES = (
    ("BIGINT", r"-?(0|[1-9][0-9]{0,18})"),
    ("DOUBLE", r"-?(0|[1-9][0-9]{0,14})(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?"),
    ("BOOLEAN", r"(?i)true|false"),
    ("DATE", r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    ("TIMESTAMP", r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"),
)


def snake_case(name: str) -> str:
    """A column name of a file as a column name of a table.

    >>> snake_case("InvoiceNo"), snake_case("CustomerID"), snake_case("emp.var.rate")
    ('invoice_no', 'customer_id', 'emp_var_rate')
    """
    return _NOT_NAME.sub("_", _WORD_STARTS.sub("_", name.strip()).lower()).strip("_")


def imported_names(path: Path) -> dict[str, str]:
    """Column names of a file -> column names of the table that it becomes, in the file's order.

    Raises InvalidInput for a file that is not readable, of another kind than .parquet or .csv, or
    whose names do not become usable and different names.
    """
    kind = _kind(path)
    given = _parquet_names(path) if kind == ".parquet" else _header(path)[0]
    names: dict[str, str] = {}
    for number, name in enumerate(given, start=1):
        wanted = snake_case(name)
        if not IDENTIFIER.match(wanted):
            raise InvalidInput(
                f"column {number} of {path.name} is named {name!r}: "
                "name it with a letter first, then letters, digits or _ (63 at most)",
                field=name or str(number),
            )
        if name in names or wanted in names.values():
            raise InvalidInput(f"two columns of {path.name} become {wanted!r}: rename one", field=name)
        names[name] = wanted
    if not names:
        raise InvalidInput(f"{path.name} has no columns", field="file")
    return names


@contextmanager
def open_reader(path: Path, *, memory_limit: str, threads: int) -> Iterator[pa.RecordBatchReader]:
    """The rows of a .parquet or .csv file, batch by batch, with the table's names and types.

    Raises InvalidInput for whatever is wrong with the file, also while batches are read.
    """
    names = imported_names(path)
    if _kind(path) == ".parquet":
        # whoever consumes the batches wraps their errors in its own, so the first one is kept aside
        faults: list[Exception] = []
        try:
            yield _parquet_reader(path, names, faults)
        except Exception as error:
            if not faults:
                raise
            raise _parquet_fault(path, faults[0]) from error
        return
    try:
        with jailed_connection([str(path)], memory_limit=memory_limit, threads=threads) as connection:
            yield _csv_reader(connection, path, list(names.values()))
    except QueryFailed as error:
        raise InvalidInput(f"{path.name} cannot be read as CSV: {_csv_fault(error)}", field="file") from error


def _kind(path: Path) -> str:
    kind = path.suffix.lower()
    if kind not in {".parquet", ".csv"}:
        raise InvalidInput(
            f"{path.name!r} is neither a .parquet nor a .csv file: convert it to one of these", field="file"
        )
    if not path.is_file():
        raise InvalidInput(f"there is no file {str(path)!r}", field="file")
    return kind


def _parquet_names(path: Path) -> list[str]:
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise _parquet_fault(path, error) from error
    return [name for name in schema.names if not _PANDAS_INDEX.match(name)]


def _parquet_fault(path: Path, error: Exception) -> InvalidInput:
    if isinstance(error, InvalidInput):
        return error
    return InvalidInput(f"{path.name} cannot be read as Parquet: {error}", field="file")


def _parquet_reader(path: Path, names: dict[str, str], faults: list[Exception]) -> pa.RecordBatchReader:
    file = pq.ParquetFile(path, page_checksum_verification=True)
    given = pa.schema([file.schema_arrow.field(name).with_name(new) for name, new in names.items()])
    schema = stored_schema(given)

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=list(names)):
                yield from _stored_batch(batch.rename_columns([names[n] for n in batch.schema.names]), schema)
        except (InvalidInput, pa.ArrowException, OSError) as error:
            faults.append(error)
            raise

    return pa.RecordBatchReader.from_batches(schema, batches())


def _stored_batch(batch: pa.RecordBatch, schema: pa.Schema) -> list[pa.RecordBatch]:
    columns = []
    for field in schema:
        column = pa.chunked_array([batch.column(field.name)])
        if pa.types.is_floating(column.type):
            column = nan_to_null(column)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        try:
            columns.append(column.cast(field.type))
        except pa.ArrowInvalid as error:
            raise InvalidInput(
                f"column {field.name!r} does not become {field.type}: {error}", field=field.name
            ) from error
    return list(pa.table(columns, schema=schema).to_batches())


def _header(path: Path) -> tuple[list[str], str]:
    """Names in the first line, and the delimiter: the one of , ; tab | that the line holds most of."""
    with open(path, "rb") as file:
        raw = file.readline(_HEADER_BYTES)
    try:
        line = raw.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path.name} is not UTF-8 text: save it as UTF-8", field="file") from error
    if not line.strip():
        raise InvalidInput(f"{path.name} has no header line", field="file")
    if "\x00" in line or len(raw) >= _HEADER_BYTES:
        raise InvalidInput(f"{path.name} is not a CSV file", field="file")
    delimiter = max(_DELIMITERS, key=line.count)
    return next(csv.reader([line], delimiter=delimiter)), delimiter


def _csv_fault(error: QueryFailed) -> str:
    """Line and fault in the engine's words, without the row itself: it may hold a customer's data."""
    lines = [line.strip() for line in str(error.__cause__).splitlines()]
    place = next((line.partition("CSV Error on ")[2] for line in lines if "CSV Error on " in line), "")
    fault = next((line for line in lines if line.startswith(_CSV_FAULTS)), "")
    return ", ".join(part for part in (place.lower().replace(":", ""), fault) if part) or error.message


def _csv_reader(
    connection: duckdb.DuckDBPyConnection, path: Path, names: Sequence[str]
) -> pa.RecordBatchReader:
    columns = ", ".join(f"{quote_text(name)}: 'VARCHAR'" for name in names)
    source = (
        f"read_csv({quote_text(str(path))}, auto_detect = false, header = true, columns = {{{columns}}}, "
        f"delim = {quote_text(_header(path)[1])}, quote = '\"', escape = '\"', "
        "nullstr = '', allow_quoted_nulls = true)"
    )
    connection.execute(f"CREATE TEMP TABLE file_rows AS SELECT * FROM {source}")  # noqa: S608
    kinds = [_csv_type(connection, name) for name in names]
    select = ", ".join(
        f"CAST({quote_name(name)} AS {kind}) AS {quote_name(name)}"
        for name, kind in zip(names, kinds, strict=True)
    )
    return connection.sql(f"SELECT {select} FROM file_rows").to_arrow_reader(_BATCH_ROWS)  # noqa: S608


def _csv_type(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    """The type that every value of a column has, digits with leading zeros being text."""
    if _TEXT_NAMES.search(name):
        return "VARCHAR"
    column = quote_name(name)
    tests = ", ".join(
        f"bool_and(regexp_full_match({column}, {quote_text(pattern)}) "
        f"AND TRY_CAST({column} AS {kind}) IS NOT NULL) FILTER (WHERE {column} IS NOT NULL)"
        for kind, pattern in _CSV_TYPES
    )
    (answers,) = connection.execute(f"SELECT {tests} FROM file_rows").fetchall()  # noqa: S608
    return next((kind for (kind, _), fits in zip(_CSV_TYPES, answers, strict=True) if fits), "VARCHAR")
