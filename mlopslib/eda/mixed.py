"""Categories against categories and against numbers, from counts and sums by level made in the engine."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlopslib.eda.describe import Levels, Numbers, Step
from mlopslib.eda.pairs import PairFigures
from mlopslib.eda.source import Source, batches, column, number, text
from mlopslib.metrics.association import correlation_ratio, cramers_v

Floats = NDArray[np.float64]

#: levels of a category that stand alone in a contingency table; all others are one level, the rest
MOST_LEVELS = 30
#: characters that the names of the levels of one category may take in a statement
_MOST_CHARACTERS = 1_200
#: categories whose tables with each other one statement counts
_TOGETHER = {"duckdb": 30}
_FEW_TOGETHER = 6
#: bundles of categories that one scan sums by; Impala knows grouping sets from version 4 on only
_BUNDLES = {"duckdb": 12}
#: cells of the joint levels of several categories whose group sums one statement gives
_JOINT_LEVELS = 4_096


def is_capped(item: Levels) -> bool:
    return item.distinct > len(_kept(item))


def cramers(
    source: Source, categories: Sequence[Levels], *, on_step: Step = lambda done: None
) -> PairFigures:
    """Bias-corrected Cramer's V of every pair over the rows that hold both; NaN where one is constant."""
    width = len(categories)
    values, both = np.full((width, width), np.nan), np.zeros((width, width), dtype=np.int64)
    for place, item in enumerate(categories):
        both[place, place] = item.present
        values[place, place] = 1.0 if item.distinct > 1 else math.nan
    half = _TOGETHER.get(source.store.engine, _FEW_TOGETHER) // 2
    for pairs in _pairs_of_blocks(width, half):
        tables = _tables(source, categories, pairs)
        for (a, b), table in zip(pairs, tables, strict=True):
            v = cramers_v(table)
            values[a, b] = values[b, a] = math.nan if v is None else v
            both[a, b] = both[b, a] = int(table.sum())
        on_step(len(pairs))
    return PairFigures(values, both)


def correlation_ratios(
    source: Source,
    numbers: Sequence[Numbers],
    categories: Sequence[Levels],
    *,
    on_step: Step = lambda done: None,
) -> PairFigures:
    """Correlation ratios, a row for each number, a column for each category, over rows that hold both.

    The numbers are summed by the joint levels of several categories at once, and those sums added up for
    each of them: the rows are read once for each such bundle, not for each category.
    """
    values = np.full((len(numbers), len(categories)), np.nan)
    both = np.zeros((len(numbers), len(categories)), dtype=np.int64)
    usable = [place for place, item in enumerate(numbers) if item.std]
    for bundles in batches(_bundles(categories), _BUNDLES.get(source.store.engine, 1)):
        for batch in batches(usable, source.features_at_once * 4):
            chosen = [[categories[place] for place in bundle] for bundle in bundles]
            found = _group_sums(source, [numbers[place] for place in batch], chosen)
            for bundle, sums in zip(bundles, found, strict=True):
                for row, place in enumerate(batch):
                    for position, at in enumerate(bundle):
                        n, total, squares = sums.of(row, position)
                        ratio = correlation_ratio(n, total, squares)
                        values[place, at] = math.nan if ratio is None else ratio
                        both[place, at] = int(n.sum())
        on_step(sum(len(bundle) for bundle in bundles))
    return PairFigures(values, both)


def _pairs_of_blocks(width: int, size: int) -> Iterator[list[tuple[int, int]]]:
    """Every pair of columns once, in lists that need no more than two blocks of columns each."""
    blocks = list(batches(range(width), size))
    done: set[tuple[int, int]] = set()
    for first, left in enumerate(blocks):
        for right in blocks[first + 1 :] or ([[]] if first == 0 else []):
            places = [*left, *right]
            pairs = [(a, b) for at, a in enumerate(places) for b in places[at + 1 :] if (a, b) not in done]
            done.update(pairs)
            if pairs:
                yield pairs


def dense_table(cells: Sequence[tuple[Any, Any, int]]) -> NDArray[np.int64]:
    """A table of counts from its cells that are not empty: (level, other level, rows)."""
    rows = {level: place for place, level in enumerate(dict.fromkeys(u for u, _, _ in cells))}
    columns = {level: place for place, level in enumerate(dict.fromkeys(v for _, v, _ in cells))}
    table = np.zeros((len(rows), len(columns)), dtype=np.int64)
    for u, v, n in cells:
        table[rows[u], columns[v]] += n
    return table


def _tables(
    source: Source, categories: Sequence[Levels], pairs: Sequence[tuple[int, int]]
) -> list[NDArray[np.int64]]:
    """Contingency tables: each category becomes a number once, each pair one number to group by."""
    used = sorted({place for pair in pairs for place in pair})
    codes = source.select([f"{_code(categories[place])} AS k{place}" for place in used])
    parts = [
        f"SELECT {at} AS p, k{a} * {_width(categories[b])} + k{b} AS k, COUNT(*) AS n FROM base "  # noqa: S608
        f"GROUP BY k{a} * {_width(categories[b])} + k{b}"
        for at, (a, b) in enumerate(pairs)
    ]
    cells: list[list[tuple[int, int, int]]] = [[] for _ in pairs]
    table = source.read(f"WITH base AS ({codes}) {' UNION ALL '.join(parts)}")
    for at, code, n in zip(*(values.to_pylist() for values in table.columns), strict=True):
        u, v = divmod(int(code), _width(categories[pairs[int(at)][1]]))
        # 0 is a row without the category
        if u and v:
            cells[int(at)].append((u, v, int(n)))
    return [dense_table(counted) for counted in cells]


def _width(item: Levels) -> int:
    """How many codes a category has: missing, each kept level, the rest."""
    return len(_kept(item)) + 2


def _kept(item: Levels) -> list[str]:
    """The most frequent levels, fewer where their names are long: a statement has to hold them."""
    kept: list[str] = []
    room = _MOST_CHARACTERS
    for level in item.levels[:MOST_LEVELS]:
        room -= len(text(level.value))
        if room < 0:
            break
        kept.append(level.value)
    return kept


def _code(item: Levels) -> str:
    name, kept = column(item.name), _kept(item)
    if not kept:
        return f"CASE WHEN {name} IS NULL THEN 0 ELSE 1 END"
    whens = " ".join(f"WHEN {text(level)} THEN {at}" for at, level in enumerate(kept, 1))
    return f"CASE WHEN {name} IS NULL THEN 0 ELSE CASE {name} {whens} ELSE {len(kept) + 1} END END"


def _bundles(categories: Sequence[Levels]) -> list[list[int]]:
    """Categories, at most three together, whose joint levels are few enough; few levels first."""
    found: list[list[int]] = []
    size = 0
    for place in sorted(range(len(categories)), key=lambda at: _width(categories[at])):
        width = _width(categories[place])
        if found and len(found[-1]) < 3 and size * width <= _JOINT_LEVELS:
            found[-1].append(place)
            size *= width
        else:
            found.append([place])
            size = width
    return found


@dataclass(frozen=True)
class _GroupSums:
    """Rows, sums and sums of squares of numbers by joint level; one column for each number."""

    #: code of each joint level in each of the bundled categories
    codes: NDArray[np.int64]
    rows: Floats
    sums: Floats
    squares: Floats

    def of(self, place: int, category: int) -> tuple[Floats, Floats, float]:
        """Rows and sums by level of one category, and the sum of squares; without the missing."""
        code = self.codes[:, category]
        present = code > 0
        rows = np.asarray(np.bincount(code[present], weights=self.rows[present, place]), dtype=np.float64)
        sums = np.asarray(np.bincount(code[present], weights=self.sums[present, place]), dtype=np.float64)
        return rows, sums, float(self.squares[present, place].sum())


def _group_sums(
    source: Source, numbers: Sequence[Numbers], bundles: Sequence[Sequence[Levels]]
) -> list[_GroupSums]:
    """Sums by the joint level of each bundle, from one scan."""
    keys = [f"u{place}" for place in range(len(bundles))]
    inner = [f"{_joint_code(bundle)} AS {key}" for bundle, key in zip(bundles, keys, strict=True)]
    outputs = list(keys)
    for place, item in enumerate(numbers):
        value = f"({column(item.name)} - {number(item.mean or 0.0)}) * {number(1 / (item.std or 1.0))}"
        inner.append(f"{value} AS z{place}")
        outputs += [f"COUNT(z{place})", f"SUM(z{place})", f"SUM(z{place} * z{place})"]
    groups = keys[0] if len(keys) == 1 else f"GROUPING SETS ({', '.join(f'({key})' for key in keys)})"
    sql = f"SELECT {', '.join(outputs)} FROM ({source.select(inner)}) s GROUP BY {groups}"  # noqa: S608
    table = source.read(sql)
    figures = np.array(
        [values.to_pylist() for values in table.columns[len(keys) :]], dtype=np.float64
    ).reshape(-1, 3, table.num_rows)
    found = []
    for place, bundle in enumerate(bundles):
        code = np.array(table.column(place).to_pylist(), dtype=np.float64)
        # the key of another set is NULL in the rows of this one
        own = ~np.isnan(code)
        rows, sums, squares = (np.nan_to_num(figures[:, part, own]).T for part in range(3))
        found.append(_GroupSums(_split_code(code[own].astype(np.int64), bundle), rows, sums, squares))
    return found


def _joint_code(bundle: Sequence[Levels]) -> str:
    joint = ""
    for item in bundle:
        joint = f"({joint}) * {_width(item)} + {_code(item)}" if joint else _code(item)
    return joint


def _split_code(joint: NDArray[np.int64], bundle: Sequence[Levels]) -> NDArray[np.int64]:
    codes = np.zeros((len(joint), len(bundle)), dtype=np.int64)
    for place in range(len(bundle) - 1, -1, -1):
        joint, codes[:, place] = np.divmod(joint, _width(bundle[place]))
    return codes
