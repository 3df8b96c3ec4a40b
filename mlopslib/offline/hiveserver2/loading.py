"""Rows of this machine in a temporary table of the engine, from which one statement takes them further."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mlopslib.errors import GijunError, InvalidInput, OfflineStoreError
from mlopslib.offline.hiveserver2 import ddl, literals
from mlopslib.offline.hiveserver2.session import Session
from mlopslib.offline.hiveserver2.uploader import Uploader, uploaded
from mlopslib.offline.types import check_calendar

#: without an uploader, rows travel as text
MOST_ROWS_AS_TEXT = 50_000


@contextmanager
def temporary_table(session: Session) -> Iterator[str]:
    """A name for a table that is dropped at the end, whatever happens."""
    name = ddl.temporary_name()
    try:
        yield name
    finally:
        with contextlib.suppress(GijunError):
            drop_table(session, name)


def drop_table(session: Session, name: str) -> None:
    # without PURGE the files would lie in the trash of HDFS
    purge = "" if session.engine == "spark" else " PURGE"
    session.run(f"DROP TABLE IF EXISTS {ddl.quote_name(name)}{purge}")


@contextmanager
def loaded(
    session: Session, schema: pa.Schema, batches: Iterable[pa.RecordBatch], uploader: Uploader | None
) -> Iterator[tuple[str, int]]:
    """A temporary table that holds the batches, and how many rows these are.

    Raises
    ------
    InvalidInput
        Without an uploader, for more than `MOST_ROWS_AS_TEXT` rows; for days before the Gregorian calendar.
    OfflineStoreError
        The engine sees another number of rows than were sent.
    """
    batches = map(check_calendar, batches)
    with temporary_table(session) as name:
        if uploader is None:
            rows = _load_text(session, name, schema, batches)
            yield name, rows
            return
        with tempfile.TemporaryDirectory(prefix="gijun-upload-") as folder:
            file = Path(folder) / "part-0.parquet"
            rows = write_parquet(file, schema, batches)
            with uploaded(uploader, file) as place:
                file.unlink()
                session.run(ddl.create_table(name, schema, location=place))
                _check_count(session, name, rows)
                yield name, rows
                # the table goes before its files do
                drop_table(session, name)


def write_parquet(file: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """A Parquet file as Impala, Hive and Spark all read it; returns its rows.

    Times are INT96: it is the one form that all three read as a time without a zone.
    """
    rows = 0
    with pq.ParquetWriter(
        file, schema, use_deprecated_int96_timestamps=True, store_schema=False, compression="snappy"
    ) as writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def _load_text(session: Session, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    kept: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        rows += batch.num_rows
        if rows > MOST_ROWS_AS_TEXT:
            raise InvalidInput(
                f"more than {MOST_ROWS_AS_TEXT:,} rows need an uploader: add "
                "uploader=webhdfs://namenode:9870/dir (or file:///dir on a shared disk) to OFFLINE_URL"
            )
        kept.append(batch)
    session.run(ddl.create_table(name, schema))
    for statement in literals.inserts(name, pa.Table.from_batches(kept, schema)):
        session.run(statement)
    _check_count(session, name, rows)
    return rows


def _check_count(session: Session, name: str, rows: int) -> None:
    """The engine must see what was sent: it may look at another disk, or at nothing."""
    (answer,) = session.rows(f"SELECT COUNT(*) AS n FROM {ddl.quote_name(name)}")  # noqa: S608
    if answer["n"] != rows:
        raise OfflineStoreError(
            f"{rows:,} rows were uploaded and the engine sees {answer['n']:,}: does the uploader's directory "
            "name the same place for this machine and for the engine?"
        )
