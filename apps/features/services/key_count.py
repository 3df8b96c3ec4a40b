"""Whether a query gives one row for each entity, counted in the engine within a short time."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from django.utils import timezone

from apps.features.models import Materialisation
from apps.features.services.preview import without_end
from mlopslib.dates import add_months, date_params
from mlopslib.definition import IDENTIFIER
from mlopslib.errors import DefinitionInvalid, GijunError
from mlopslib.offline.base import Limits, OfflineStore
from mlopslib.sql import render_sql

#: what a count may take while somebody writes, and when a version is published
WHILE_WRITING = 1.5
AT_PUBLISHING = 10.0


@dataclass(frozen=True)
class KeyCount:
    """Rows of a month, those with a key, and different keys."""

    base_ym: str
    rows: int
    present: int
    entities: int

    @property
    def is_unique(self) -> bool:
        return self.rows == self.present == self.entities


def count_key(
    store: OfflineStore, sql: str, entity_key: str, base_ym: str, *, seconds: float
) -> KeyCount | None:
    """Counts for one base month; None where they take longer, or the query does not run."""
    if not IDENTIFIER.match(entity_key):
        return None
    key = f"`{entity_key}`"
    with suppress(GijunError):
        rendered = without_end(render_sql(sql, date_params(base_ym)))
        counted = store.read_sql(
            f"SELECT COUNT(*) AS n, COUNT({key}) AS present, COUNT(DISTINCT {key}) AS entities "  # noqa: S608
            f"FROM (\n{rendered}\n) gijun_key",
            limits=Limits(seconds=seconds),
        ).to_pylist()[0]
        return KeyCount(base_ym, int(counted["n"]), int(counted["present"]), int(counted["entities"]))
    return None


def usual_month(name: str = "") -> str:
    """The newest month that stands in the store for the set, else for any set, else the month before this."""
    rows = Materialisation.objects.order_by("-base_ym").values_list("base_ym", flat=True)
    own = rows.filter(feature_set__name=name).first() if name else None
    found = own or rows.first()
    return str(found) if found else add_months(f"{timezone.localdate():%Y%m}", -1)


def require_unique_key(store: OfflineStore, sql: str, entity_key: str, *, name: str) -> None:
    """Refuse a query whose key is seen to repeat, or to be missing, in the usual month.

    A month that cannot be counted in time, or has no rows, refuses nothing: materialising counts again.
    Raises DefinitionInvalid.
    """
    found = count_key(store, sql, entity_key, usual_month(name), seconds=AT_PUBLISHING)
    if found is None or found.is_unique:
        return
    if found.present < found.rows:
        raise DefinitionInvalid(
            f"{entity_key} is missing in {found.rows - found.present:,} of {found.rows:,} rows of "
            f"{found.base_ym}: leave them out with WHERE {entity_key} IS NOT NULL",
            field="sql",
        )
    raise DefinitionInvalid(
        f"{entity_key} repeats: {found.rows:,} rows for {found.entities:,} entities in {found.base_ym}; "
        f"the query must give one row for each: GROUP BY {entity_key}",
        field="sql",
    )
