"""Whether a query can read rows after its base date, as far as its text tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from apps.features.services.schemas import schema_of
from mlopslib.dates import date_params
from mlopslib.errors import GijunError
from mlopslib.offline.base import OfflineStore
from mlopslib.sql import render_sql, tables_in
from mlopslib.sql.leaks import SourceBounds, check_static


@dataclass(frozen=True)
class LeakCheck:
    """The date bounds of every source of a query, for one base month."""

    #: None where the query is beyond what the check can follow; `sentence` says so
    is_clean: bool | None
    sentence: str
    sources: list[SourceBounds] = field(default_factory=list)
    #: columns whose names say that they look ahead, as table.column
    labels: list[str] = field(default_factory=list)

    @property
    def after_tables(self) -> list[str]:
        return self._tables("after_base")

    @property
    def open_tables(self) -> list[str]:
        return self._tables("open")

    @property
    def undated_tables(self) -> list[str]:
        return self._tables("no_date_column")

    @property
    def doubtful(self) -> list[str]:
        """What a person has to answer for before it is published: sources without an end, labels."""
        unread = ["dates that could not be read"] if self.is_clean is None else []
        return [*unread, *self.open_tables, *self.labels]

    @property
    def sentence_after(self) -> str:
        """The reasons of the sources that reach past the base date."""
        return " ".join(
            f"{source.table}: {source.reason.rstrip('.')}."
            for source in self.sources
            if source.status == "after_base"
        )

    def _tables(self, status: str) -> list[str]:
        return sorted({source.table for source in self.sources if source.status == status})


def check_leaks(sql: str, base_ym: str, *, store: OfflineStore, timeless: Mapping[str, str]) -> LeakCheck:
    """The static leak check of an unrendered query against the tables of the store."""
    try:
        tables = tables_in(render_sql(sql, date_params(base_ym)))
        verdict = check_static(sql, base_ym, schema=schema_of(store, tables), timeless=timeless)
    except GijunError as error:
        return LeakCheck(None, error.message)
    labels = [f"{table}.{column}" for table, column in verdict.labels]
    return LeakCheck(verdict.is_clean, verdict.sentence, list(verdict.sources), labels)
