"""Tables of the offline store, as people load and look at them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction

from apps.common.access import require
from apps.common.audit import Thing, record
from apps.features.models import FeatureSet, FeatureSource, SetSource
from mlopslib.definition import check_identifier
from mlopslib.errors import Conflict, InvalidInput
from mlopslib.offline.base import Column, Limits, OfflineStore
from mlopslib.offline.files import imported_names

#: kinds of file that can be loaded
KINDS = (".parquet", ".csv")
SAMPLE_ROWS = 20
#: materialised months lie in tables of this name; they are made by runs, never loaded
_MONTHS = "fs_"


@dataclass(frozen=True)
class ImportedTable:
    """What a file became. `renamed` holds the columns whose names had to change: table's -> file's."""

    name: str
    rows: int
    columns: list[Column]
    renamed: dict[str, str]


def import_table(
    *, actor: Any, store: OfflineStore, name: str, upload: UploadedFile, replace: bool = False
) -> ImportedTable:
    """Load an uploaded .parquet or .csv file as a table; all of it or nothing.

    Raises AccessDenied, InvalidInput (file or name), TableExists, Conflict (a table that feature sets
    make, or one whose columns a published feature set needs).
    """
    require(actor, "tables.import")
    check_identifier(name, field="name")
    if name.startswith(_MONTHS):
        raise InvalidInput(
            f"tables named {_MONTHS}... hold the months of feature sets: take another name", field="name"
        )
    if name == "new":
        raise InvalidInput("'new' is the address of this page: call the table otherwise", field="name")
    kind = Path(upload.name or "").suffix.lower()
    if kind not in KINDS:
        raise InvalidInput(
            f"{upload.name or 'the file'} is of another kind: load a {' or '.join(KINDS)} file", field="file"
        )
    if upload.size and upload.size > settings.TABLE_UPLOAD_BYTES:
        raise InvalidInput(
            f"the file has {upload.size / 1e6:,.0f} MB, {settings.TABLE_UPLOAD_BYTES / 1e6:,.0f} MB can be "
            "sent by a browser: load it on the server with manage.py import_table",
            field="file",
        )
    with tempfile.TemporaryDirectory(prefix="gijun-upload-") as folder:
        # only the kind of the sender's file name is used, never its path
        path = Path(folder) / f"{name}{kind}"
        with path.open("wb") as target:
            for chunk in upload.chunks():
                target.write(chunk)
        names = imported_names(path)
        if replace:
            _check_still_fits(name, set(names.values()))
        rows = store.import_file(name, path, replace=replace)
    columns = store.describe(name)
    given = {new: old for old, new in names.items()}
    renamed = {new: old for new, old in given.items() if new != old}
    with transaction.atomic():
        record(
            actor,
            "table.imported",
            Thing("offline.table", name),
            rows=rows,
            replaced=replace,
            columns=len(columns),
        )
    return ImportedTable(name, rows, columns, renamed)


def _check_still_fits(name: str, columns: set[str]) -> None:
    """A replacement must keep the columns that current feature sets read."""
    needed = FeatureSource.objects.filter(table=name, feature__feature_set__is_current=True)
    lost: dict[str, set[str]] = {}
    for source in needed.exclude(column__in=columns).select_related("feature__feature_set"):
        lost.setdefault(source.column, set()).add(source.feature.feature_set.name)
    # what decides the rows, in a filter or a join, is as much needed as what is counted
    rows = SetSource.objects.filter(table=name, feature_set__is_current=True)
    for row in rows.exclude(column__in=columns).select_related("feature_set"):
        lost.setdefault(row.column, set()).add(row.feature_set.name)
    if lost:
        told = "; ".join(f"{column} ({', '.join(sorted(sets))})" for column, sets in sorted(lost.items()))
        raise Conflict(
            f"the file lacks columns of {name} that feature sets read: {told}. "
            "Add them, or load it under another name",
            field="file",
        )


@dataclass(frozen=True)
class TableRow:
    """One line of the list of tables."""

    name: str
    is_months: bool
    feature_sets: list[FeatureSet]


def table_rows(store: OfflineStore) -> list[TableRow]:
    """Every table with the current feature sets that read it; source tables first."""
    readers: dict[str, list[FeatureSet]] = {}
    for feature_set in FeatureSet.objects.current().order_by("name"):
        for table in feature_set.source_tables:
            readers.setdefault(table, []).append(feature_set)
    rows = [TableRow(name, name.startswith(_MONTHS), readers.get(name, [])) for name in store.list_tables()]
    return sorted(rows, key=lambda row: (row.is_months, row.name))


def sample(store: OfflineStore, name: str) -> tuple[list[str], list[list[Any]]]:
    """The first rows of a table, as its engine gives them."""
    limits = Limits(seconds=settings.PREVIEW_SECONDS, memory=settings.QUERY_MEMORY)
    found = store.read_sql(f"SELECT * FROM {name} LIMIT {SAMPLE_ROWS}", limits=limits)  # noqa: S608
    columns = [column.to_pylist() for column in found.columns]
    return found.column_names, [list(row) for row in zip(*columns, strict=True)]
