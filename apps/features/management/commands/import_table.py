"""Load a file into the offline store: ``manage.py import_table orders orders.parquet``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from mlopslib.errors import GijunError, TableExists
from mlopslib.offline import open_store
from mlopslib.offline.files import imported_names


class Command(BaseCommand):
    help = "Load a .parquet or .csv file into the offline store as a table."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="table name: a lower-case letter, then letters, digits or _")
        parser.add_argument(
            "file", type=Path, help="a .parquet file, or a .csv file in UTF-8 with a header line"
        )
        parser.add_argument(
            "--replace",
            action="store_true",
            help="replace the table if it exists; old versions stay readable",
        )

    def handle(self, *args: Any, name: str, file: Path, replace: bool, **options: Any) -> None:
        try:
            store = open_store(settings.OFFLINE_URL)
            names = imported_names(file)
            rows = store.import_file(name, file, replace=replace)
            columns = store.describe(name)
        except TableExists as error:
            raise CommandError(f"there is a table {name!r} already: pass --replace to replace it") from error
        except GijunError as error:
            raise CommandError(error.message) from error
        given = {new: old for old, new in names.items()}
        width = max(len(column.name) for column in columns)
        self.stdout.write(f"{name}: {rows:,} rows, {len(columns)} columns")
        for column in columns:
            old = given[column.name]
            origin = "" if old == column.name else f"  (was {old})"
            self.stdout.write(f"  {column.name:<{width}}  {column.type}{origin}")
