"""Columns of source tables, as the checks of a query need them."""

from __future__ import annotations

from collections.abc import Iterable

from mlopslib.errors import OfflineStoreError
from mlopslib.offline.base import OfflineStore

Schema = dict[str, dict[str, str]]


def schema_of(store: OfflineStore, tables: Iterable[str]) -> Schema:
    """Columns and types of tables; a table that does not answer is left out."""
    found: Schema = {}
    for table in tables:
        try:
            found[table] = {column.name: column.type for column in store.describe(table)}
        except OfflineStoreError:
            continue
    return found
