"""The first rows of a query for one month, and whether its key names each entity once."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from apps.features.models import EngineQuery
from apps.features.queries import Waiting, engine_query
from mlopslib.dates import date_params, validate_ym
from mlopslib.definition import IDENTIFIER
from mlopslib.offline.base import OfflineStore
from mlopslib.sql import guard_select, render_sql
from mlopslib.sql.dialect import Impala

PREVIEW_ROWS = 20
_SHOWN_CHARACTERS = 80
#: repeated keys that are shown as examples
_EXAMPLES = 3


@dataclass(frozen=True)
class KeyCheck:
    """How the rows of a month stand to the entity key."""

    rows: int
    missing: int
    entities: int
    #: some keys that stand on more than one row, with how many
    examples: list[tuple[str, int]]

    @property
    def repeated(self) -> int:
        """Rows beside the first of their entity."""
        return self.rows - self.missing - self.entities

    @property
    def is_unique(self) -> bool:
        return self.rows > 0 and not self.missing and not self.repeated


@dataclass(frozen=True)
class Preview:
    base_ym: str
    columns: list[str]
    #: texts to show; None where a value is missing
    rows: list[list[str | None]]
    numeric: list[bool]
    #: None where the query does not give the key
    key: KeyCheck | None
    query: EngineQuery


def preview(
    *,
    actor: Any,
    store: OfflineStore,
    sql: str,
    base_ym: str,
    entity_key: str = "",
    rows: int = PREVIEW_ROWS,
    query_id: uuid.UUID | None = None,
) -> Preview:
    """Run a query for one month and show its first rows; the engine counts the key over all of them.

    Raises AccessDenied, Conflict, InvalidDate, SqlRejected, UnknownParameter, TableNotFound,
    QueryFailed, QueryTimeout, QueryCancelled.
    """
    rendered = without_end(render_sql(sql, date_params(validate_ym(base_ym))))
    guard_select(rendered, tables=store.list_tables())
    with engine_query(actor, "preview", rendered, store=store, query_id=query_id) as query:
        found = query.read(f"SELECT * FROM (\n{rendered}\n) gijun_preview LIMIT {rows}", rows=rows)  # noqa: S608
        names = list(found.column_names)
        key = check_key(query, rendered, entity_key) if _is_name(entity_key, names) else None
        query.row.rows = found.num_rows
    table = found.to_pydict()
    values = [table[name] for name in names]
    return Preview(
        base_ym=base_ym,
        columns=names,
        rows=[[_text(value) for value in row] for row in zip(*values, strict=True)],
        numeric=[
            all(isinstance(value, int | float | Decimal | None) for value in column) for column in values
        ],
        key=key,
        query=EngineQuery.objects.get(pk=query.row.pk),
    )


def check_key(query: Waiting, rendered: str, entity_key: str) -> KeyCheck:
    """Count rows, missing keys and different keys of a guarded, rendered query, in the engine."""
    key = f"`{entity_key}`"
    counted = query.read(
        f"SELECT COUNT(*) AS n, COUNT({key}) AS present, COUNT(DISTINCT {key}) AS entities "  # noqa: S608
        f"FROM (\n{rendered}\n) gijun_key"
    ).to_pylist()[0]
    rows, present, entities = (int(counted[name]) for name in ("n", "present", "entities"))
    examples = []
    if present > entities:
        repeated = query.read(
            f"SELECT CAST({key} AS STRING) AS entity, COUNT(*) AS n FROM (\n{rendered}\n) gijun_key "  # noqa: S608
            f"WHERE {key} IS NOT NULL GROUP BY {key} HAVING COUNT(*) > 1 LIMIT {_EXAMPLES}"
        )
        examples = [(str(row["entity"]), int(row["n"])) for row in repeated.to_pylist()]
    return KeyCheck(rows=rows, missing=rows - present, entities=entities, examples=examples)


def without_end(sql: str) -> str:
    """The text up to the semicolon that ends it, so that it can stand in brackets."""
    guard_select(sql)
    tokens = Impala().tokenize(sql)
    while tokens and tokens[-1].token_type.name == "SEMICOLON":
        sql = sql[: tokens.pop().start]
    return sql


def _is_name(entity_key: str, names: Sequence[str]) -> bool:
    return entity_key in names and bool(IDENTIFIER.match(entity_key))


def _text(value: Any) -> str | None:
    if value is None or value != value:
        return None
    text = f"{value:.10g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
