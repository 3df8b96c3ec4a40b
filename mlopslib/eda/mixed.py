"""Categories against categories and against numbers, from counts and sums by level made in the engine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlopslib.eda.describe import Levels, Numbers, Step
from mlopslib.eda.pairs import PairFigures
from mlopslib.eda.source import Source, batches, column, number, text
from mlopslib.metrics.association import correlation_ratio, cramers_v

#: levels of a category that stand alone in a contingency table; all others are one level, the rest
MOST_LEVELS = 30
#: contingency tables in one statement
_TABLES = {"duckdb": 40}
_FEW_TABLES = 12


def is_capped(item: Levels) -> bool:
    return item.distinct > MOST_LEVELS


def cramers(
    source: Source, categories: Sequence[Levels], *, on_step: Step = lambda done: None
) -> PairFigures:
    """Bias-corrected Cramer's V of every pair over the rows that hold both; NaN where one is constant."""
    width = len(categories)
    values, both = np.full((width, width), np.nan), np.zeros((width, width), dtype=np.int64)
    for place, item in enumerate(categories):
        both[place, place] = item.present
        values[place, place] = 1.0 if item.distinct > 1 else math.nan
    pairs = [(a, b) for a in range(width) for b in range(a + 1, width)]
    for batch in batches(pairs, _TABLES.get(source.store.engine, _FEW_TABLES)):
        tables = _tables(source, categories, batch)
        for (a, b), table in zip(batch, tables, strict=True):
            v = cramers_v(table)
            values[a, b] = values[b, a] = math.nan if v is None else v
            both[a, b] = both[b, a] = int(table.sum())
        on_step(len(batch))
    return PairFigures(values, both)


def correlation_ratios(
    source: Source,
    numbers: Sequence[Numbers],
    categories: Sequence[Levels],
    *,
    on_step: Step = lambda done: None,
) -> PairFigures:
    """Correlation ratios, a row for each number, a column for each category, over rows that hold both."""
    values = np.full((len(numbers), len(categories)), np.nan)
    both = np.zeros((len(numbers), len(categories)), dtype=np.int64)
    usable = [place for place, item in enumerate(numbers) if item.std]
    for position, category in enumerate(categories):
        for batch in batches(usable, source.features_at_once * 2):
            for place, n, ratio in _ratios(source, [(at, numbers[at]) for at in batch], category):
                values[place, position] = math.nan if ratio is None else ratio
                both[place, position] = n
        on_step(1)
    return PairFigures(values, both)


def _tables(
    source: Source, categories: Sequence[Levels], pairs: Sequence[tuple[int, int]]
) -> list[NDArray[np.int64]]:
    parts = []
    for place, (a, b) in enumerate(pairs):
        one, other = column(categories[a].name), column(categories[b].name)
        select = source.select(
            [f"{_level(categories[a])} AS u", f"{_level(categories[b])} AS v"],
            where=f"{one} IS NOT NULL AND {other} IS NOT NULL",
        )
        parts.append(f"SELECT {place} AS p, u, v, COUNT(*) AS n FROM ({select}) s GROUP BY u, v")  # noqa: S608
    cells: list[list[tuple[int, int, int]]] = [[] for _ in pairs]
    table = source.read(" UNION ALL ".join(parts))
    for place, u, v, n in zip(*(values.to_pylist() for values in table.columns), strict=True):
        cells[int(place)].append((u, v, int(n)))
    return [dense_table(counted) for counted in cells]


def dense_table(cells: Sequence[tuple[Any, Any, int]]) -> NDArray[np.int64]:
    """A table of counts from its cells that are not empty: (level, other level, rows)."""
    rows = {level: place for place, level in enumerate(dict.fromkeys(u for u, _, _ in cells))}
    columns = {level: place for place, level in enumerate(dict.fromkeys(v for _, v, _ in cells))}
    table = np.zeros((len(rows), len(columns)), dtype=np.int64)
    for u, v, n in cells:
        table[rows[u], columns[v]] += n
    return table


def _level(item: Levels) -> str:
    """The number of a level, as short to group by as can be; the rest is the last number."""
    name = column(item.name)
    kept = item.levels[:MOST_LEVELS]
    if not kept:
        return "0"
    whens = " ".join(f"WHEN {text(level.value)} THEN {place}" for place, level in enumerate(kept))
    return f"CASE {name} {whens} ELSE {len(kept)} END"


def _ratios(
    source: Source, numbers: Sequence[tuple[int, Numbers]], category: Levels
) -> list[tuple[int, int, float | None]]:
    """Group sums of scaled numbers. A row without the category is a group of its own and left out after."""
    name = column(category.name)
    level = f"CASE WHEN {name} IS NULL THEN -1 ELSE {_level(category)} END"
    inner = [f"{level} AS u"]
    outputs = ["u", "COUNT(*)"]
    for place, item in numbers:
        value = f"({column(item.name)} - {number(item.mean or 0.0)}) * {number(1 / (item.std or 1.0))}"
        inner.append(f"{value} AS z{place}")
        outputs += [f"SUM(z{place})"]
        if item.missing or category.missing:
            outputs += [f"COUNT(z{place})", f"SUM(z{place} * z{place})"]
    sql = f"SELECT {', '.join(outputs)} FROM ({source.select(inner)}) s GROUP BY u"  # noqa: S608
    table = source.read(sql)
    columns = [table.column(place).to_pylist() for place in range(table.num_columns)]
    kept = [row for row, u in enumerate(columns[0]) if u >= 0]
    counts = np.array([columns[1][row] for row in kept], dtype=np.int64)
    at, found = 2, []
    for place, item in numbers:
        sums = np.array([columns[at][row] or 0.0 for row in kept], dtype=np.float64)
        if item.missing or category.missing:
            n = np.array([columns[at + 1][row] for row in kept], dtype=np.int64)
            squares = float(sum(columns[at + 2][row] or 0.0 for row in kept))
            at += 3
        else:
            # scaled by its own standard deviation, over all of its rows
            n, squares = counts, float(item.present - 1)
            at += 1
        found.append((place, int(n.sum()), correlation_ratio(n, sums, squares)))
    return found
