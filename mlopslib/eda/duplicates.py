"""Features that say what another one says already."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mlopslib.definition import IDENTIFIER, check_identifier
from mlopslib.eda.mixed import dense_table
from mlopslib.eda.source import Source, batches, column, text
from mlopslib.metrics.association import cramers_v
from mlopslib.offline.base import Column, OfflineStore

#: |r| (numbers) or Cramer's V (categories) from which one column stands for the other
THRESHOLD = 0.98
#: entities, in the same number of rows, that must hold both: two points always lie on a line
LEAST_ROWS = 10
#: rows on which all pairs are looked at first; those that come near are measured on all rows
_SCREEN_ROWS, _SCREEN_SLACK = 50_000, 0.02
#: a category of more levels is an identifier
_MOST_LEVELS = 200
_NUMBERS = ("int", "float", "double", "decimal", "real", "numeric", "bool")


class NearDuplicate(NamedTuple):
    """A new column, and the column of a table that it moves with; `r` is Cramer's V between categories."""

    column: str
    table: str
    feature: str
    r: float


@dataclass(frozen=True)
class _Known:
    """A column beside the new ones, under a short name."""

    table: str
    column: str
    alias: str
    is_number: bool


def near_duplicates(
    store: OfflineStore,
    new: str,
    existing: Sequence[tuple[str, str]],
    key: str,
    base_ym: str,
    *,
    threshold: float = THRESHOLD,
    is_cancelled: Callable[[], bool] | None = None,
) -> list[NearDuplicate]:
    """Columns of a new query that carry the same information as columns that exist.

    Rows are joined by the entity key in the engine. Every pair is looked at on a sample of about 50,000
    entities, and what comes within 0.02 of the threshold is measured on all rows that hold both.

    Parameters
    ----------
    new
        A rendered SELECT, or the name of a materialised table.
    existing
        Tables, partitioned by ``base_ym``, and their columns; numbers are held against numbers (Pearson's
        r) and categories against categories (bias-corrected Cramer's V; at most 200 levels).

    Returns
    -------
    list of NearDuplicate
        The strongest first. Pairs with fewer than ten rows in common are left out.
    """
    columns = _new_columns(store, new, key)
    known = _known(store, existing, key)
    if not columns or not known:
        return []
    joined = _joined(store, new, columns, known, key, base_ym, is_cancelled)
    rows, levels = _levels(joined, columns, known)
    screen = joined.sampled(_SCREEN_ROWS / rows) if rows > _SCREEN_ROWS else joined
    numbers = [
        (position, item)
        for position, name in enumerate(columns)
        for item in known
        if columns[name] and item.is_number
    ]
    categories = [
        (position, item)
        for position, name in enumerate(columns)
        for item in known
        if not columns[name]
        and not item.is_number
        and 1 < levels[f"a{position}"] <= _MOST_LEVELS
        and 1 < levels[item.alias] <= _MOST_LEVELS
    ]
    found: list[NearDuplicate] = []
    names = list(columns)
    for measure, pairs in ((_correlations, numbers), (_associations, categories)):
        if screen is not joined:
            near = measure(screen, pairs)
            pairs = [pair for pair, value in near if abs(value) > threshold - _SCREEN_SLACK]
        for (position, item), value in measure(joined, pairs):
            if abs(value) > threshold:
                found.append(NearDuplicate(names[position], item.table, item.column, value))
    return sorted(found, key=lambda item: (-abs(item.r), item.column, item.table, item.feature))


_Pair = tuple[int, _Known]


def _new_columns(store: OfflineStore, new: str, key: str) -> dict[str, bool]:
    """Columns of the query but its key; True is a number."""
    described = store.describe(new) if IDENTIFIER.fullmatch(new) else store.describe_sql(new)
    return {item.name: _is_number(item) for item in described if item.name not in (key, "base_ym")}


def _known(store: OfflineStore, existing: Sequence[tuple[str, str]], key: str) -> list[_Known]:
    wanted: dict[str, list[str]] = defaultdict(list)
    for table, name in existing:
        wanted[table].append(name)
    found: list[_Known] = []
    for table, names in wanted.items():
        types = {item.name: _is_number(item) for item in store.describe(table)}
        for name in names:
            if name in types and name != key:
                found.append(_Known(table, name, f"b{len(found)}", types[name]))
    return found


def _is_number(item: Column) -> bool:
    return any(word in item.type.lower() for word in _NUMBERS)


def _joined(
    store: OfflineStore,
    new: str,
    columns: dict[str, bool],
    known: Sequence[_Known],
    key: str,
    base_ym: str,
    is_cancelled: Callable[[], bool] | None,
) -> Source:
    """The new columns as a0, a1 .. and the known ones beside them, one row for each entity of the query."""
    query = f"(\n{new.strip().rstrip(';')}\n)"
    if IDENTIFIER.fullmatch(new):
        query = f"(SELECT * FROM `{new}` WHERE base_ym = {text(base_ym)})"  # noqa: S608
    # keys of two queries may differ in type: they are compared as texts
    outputs = [f"CAST(n.`{check_identifier(key)}` AS STRING) AS e"]
    for position, (name, is_number) in enumerate(columns.items()):
        outputs.append(f"CAST(n.`{name}` AS {'DOUBLE' if is_number else 'STRING'}) AS a{position}")
    joins = []
    for number, table in enumerate(dict.fromkeys(item.table for item in known)):
        own = [item for item in known if item.table == table]
        outputs += [f"t{number}.{item.alias} AS {item.alias}" for item in own]
        select = Source(store, table, key, ("base_ym", base_ym)).select(
            [
                f"CAST({column(key)} AS STRING) AS e",
                *(f"{column(item.column)} AS {item.alias}" for item in own),
            ]
        )
        joins.append(f"LEFT JOIN ({select}) t{number} ON t{number}.e = CAST(n.`{key}` AS STRING)")
    sql = f"(SELECT {', '.join(outputs)} FROM {query} n {' '.join(joins)})"  # noqa: S608
    return Source(store, sql, "e", is_cancelled=is_cancelled)


def _levels(source: Source, columns: dict[str, bool], known: Sequence[_Known]) -> tuple[int, dict[str, int]]:
    """Rows, and the distinct values of every category."""
    aliases = [f"a{position}" for position, is_number in enumerate(columns.values()) if not is_number]
    aliases += [item.alias for item in known if not item.is_number]
    rows, *counts = source.row(
        source.select(["COUNT(*)", *(f"COUNT(DISTINCT {column(alias)})" for alias in aliases)])
    )
    return int(rows), dict(zip(aliases, (int(count) for count in counts), strict=True))


def _correlations(source: Source, pairs: Sequence[_Pair]) -> list[tuple[_Pair, float]]:
    found = []
    for batch in batches(pairs, source.sums_at_once // 2):
        outputs = []
        for position, item in batch:
            a, b = f"t.a{position}", f"t.{item.alias}"
            outputs.append(f"CORR({a},{b})")
            outputs.append(f"SUM(CASE WHEN {a} IS NULL OR {b} IS NULL THEN 0 ELSE 1 END)")
        values = source.row(source.select(outputs))
        for pair, r, n in zip(batch, values[::2], values[1::2], strict=True):
            # a column that is constant over these rows has no correlation
            if r is not None and math.isfinite(r) and (n or 0) >= LEAST_ROWS:
                found.append((pair, max(-1.0, min(1.0, float(r)))))
    return found


def _associations(source: Source, pairs: Sequence[_Pair]) -> list[tuple[_Pair, float]]:
    """Contingency tables of a batch from one run of the query."""
    found = []
    for batch in batches(pairs, source.features_at_once):
        u = " ".join(f"WHEN {place} THEN t.a{position}" for place, (position, _) in enumerate(batch))
        v = " ".join(f"WHEN {place} THEN t.{item.alias}" for place, (_, item) in enumerate(batch))
        numbers = " UNION ALL ".join(f"SELECT {place} AS p" for place in range(len(batch)))
        crossed = f"({source.select(['*'])}) t CROSS JOIN ({numbers}) g"
        sql = (
            f"SELECT p, u, v, COUNT(*) AS n FROM ("  # noqa: S608
            f"SELECT g.p AS p, CASE g.p {u} END AS u, CASE g.p {v} END AS v FROM {crossed}) w "
            "WHERE u IS NOT NULL AND v IS NOT NULL GROUP BY p, u, v"
        )
        cells: list[list[tuple[str, str, int]]] = [[] for _ in batch]
        for place, one, other, n in zip(
            *(values.to_pylist() for values in source.read(sql).columns), strict=True
        ):
            cells[int(place)].append((one, other, int(n)))
        for pair, counted in zip(batch, cells, strict=True):
            table = dense_table(counted)
            value = cramers_v(table) if table.sum() >= LEAST_ROWS else None
            if value is not None:
                found.append((pair, value))
    return found
