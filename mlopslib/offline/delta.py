"""One Delta Lake table in a directory: its files at a version, and commits that never tear."""

from __future__ import annotations

import random
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from mlopslib.errors import OfflineStoreError, TableNotFound

#: every version stays readable: a run pins the versions that it read
_KEEP_HISTORY = {
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}
#: what DuckDB's plain reading of the data files gives the right rows for
_READABLE_FEATURES = {"timestampNtz"}
_ATTEMPTS = 40
_STAMP = "gijun_write"
#: commits in which a stamp is looked for before the whole history is
_NEWEST = 50


@dataclass(frozen=True)
class Snapshot:
    """A table at one version: what to read, without touching the log again."""

    name: str
    version: int
    schema: pa.Schema
    partition_columns: tuple[str, ...]
    files: tuple[str, ...]


def is_table(path: Path) -> bool:
    log = path / "_delta_log"
    return log.is_dir() and any(log.glob("*.json"))


def open_table(path: Path, version: int | None = None) -> DeltaTable:
    """Raises TableNotFound where the directory holds no table, or the table no such version."""
    if not is_table(path):
        raise TableNotFound(f"there is no table {path.name!r}", field="table")
    try:
        return DeltaTable(str(path), version=version)
    except DeltaError as error:
        if version is not None:
            newest = DeltaTable(str(path)).version()
            raise TableNotFound(
                f"table {path.name!r} has no version {version}; the newest is {newest}", field="table"
            ) from error
        raise OfflineStoreError(f"table {path.name!r} cannot be opened: {error}") from error


def snapshot(path: Path, *, version: int | None = None, only: tuple[str, str] | None = None) -> Snapshot:
    """The table's files at a version (the newest); `only` = (partition column, value) narrows them."""
    table = open_table(path, version)
    foreign = set(table.protocol().reader_features or ()) - _READABLE_FEATURES
    if foreign:
        raise OfflineStoreError(
            f"table {path.name!r} uses Delta features that are not read here: {', '.join(sorted(foreign))}"
        )
    return Snapshot(
        name=path.name,
        version=table.version(),
        schema=pa.schema(table.schema().to_arrow()),
        partition_columns=tuple(table.metadata().partition_columns),
        files=_files(path, table, only),
    )


def _files(path: Path, table: DeltaTable, only: tuple[str, str] | None) -> tuple[str, ...]:
    """Paths of the data files, in the order in which they were written."""
    added = pa.table(table.get_add_actions(flatten=True))
    if only is not None and added.num_rows:
        column, value = only
        added = added.filter(pc.equal(added.column(f"partition.{column}"), value))
    written = sorted(
        zip(added.column("modification_time").to_pylist(), added.column("path").to_pylist(), strict=True)
    )
    # the log writes paths as parts of an address: percent signs are escapes
    return tuple(str(path / unquote(name)) for _, name in written)


Rows: TypeAlias = "pa.Table | pa.RecordBatchReader"


def create(path: Path, data: pa.Table, *, partition_by: str | None = None) -> bool:
    """Make a table at once; False where somebody was first."""
    with staged(path.parent, data, partition_by=partition_by) as staging:
        return publish(staging, path)


@contextmanager
def staged(root: Path, data: Rows, *, partition_by: str | None = None) -> Iterator[Path]:
    """A whole table in a hidden directory, gone at the end unless `publish` moved it.

    A writer that is killed half-way leaves only the hidden directory, which `sweep` removes later.
    """
    staging = root / ".staging" / uuid.uuid4().hex
    staging.mkdir(parents=True)
    try:
        write_deltalake(
            str(staging),
            data,
            mode="overwrite",
            partition_by=[partition_by] if partition_by else None,
            configuration=_KEEP_HISTORY,
        )
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def publish(staging: Path, path: Path) -> bool:
    """Move a staged table to its place, in one rename; False where there is a table already."""
    try:
        staging.rename(path)
    except OSError:
        if path.exists():
            return False
        raise
    return True


def commit(path: Path, make_data: Callable[[], Rows], **options: Any) -> int:
    """One write as one commit; tried again while other writers win; returns its version."""
    stamp = uuid.uuid4().hex
    properties = CommitProperties(custom_metadata={_STAMP: stamp})
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            write_deltalake(str(path), make_data(), commit_properties=properties, **options)
            return _version_of(path, stamp)
        except (DeltaError, OSError) as error:
            # an error may come after the commit, as when a checkpoint fails: the log knows, and a second
            # attempt, or a caller's own, must not write the rows twice
            version = _stamped(path, stamp)
            if version is not None:
                return version
            if not isinstance(error, CommitFailedError):
                raise OfflineStoreError(f"table {path.name!r} could not be written: {error}") from error
            # random waits, so that two losers do not meet again
            time.sleep(random.uniform(0.005, 0.05) * min(attempt, 10))  # noqa: S311
    raise OfflineStoreError(
        f"table {path.name!r} was changed by others at every one of {_ATTEMPTS} attempts: try again"
    )


def _version_of(path: Path, stamp: str) -> int:
    version = _stamped(path, stamp)
    if version is None:
        raise OfflineStoreError(f"the commit to table {path.name!r} is not in its history")
    return version


def _stamped(path: Path, stamp: str) -> int | None:
    """The version that a commit made, where it did; it is among the newest."""
    table = DeltaTable(str(path))
    for newest in (_NEWEST, None):
        for entry in table.history(newest):
            if entry.get(_STAMP) == stamp:
                return int(entry["version"])
    return None


def sweep(root: Path, *, older_than_seconds: float = 24 * 3600) -> None:
    """Remove what killed writers left in the hidden directories."""
    for hidden in (root / ".staging", root / ".dropped"):
        if not hidden.is_dir():
            continue
        for leftover in hidden.iterdir():
            try:
                if time.time() - leftover.stat().st_mtime > older_than_seconds:
                    shutil.rmtree(leftover, ignore_errors=True)
            except FileNotFoundError:
                continue
