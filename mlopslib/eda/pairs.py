"""Pearson and Spearman of every pair of numeric columns, from sums of products made in the engine.

Values are centred and scaled first, so that no digits are lost; a missing value is 0 there, so the sum of
products runs over the rows that hold both. What a column sums to over the rows that hold another one is
asked for only where that other one has missing values, and once for all columns missing in the same rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlopslib.eda.describe import TO_HERE, Numbers, Step, count_rows
from mlopslib.eda.source import Source, batches, column, number
from mlopslib.sql.guard import MAX_CHARACTERS

Floats = NDArray[np.float64]

#: rows above which Spearman is taken on a sample: ranks of a column cost a sort of it
SPEARMAN_ROWS = 50_000
#: columns whose ranks one statement makes; those of a group stand in one WITH query
_RANKED, _GROUP = {"duckdb": 100}, 20
_FEW_RANKED = 12
#: of a statement that is put together here, with some room
_CHARACTERS = MAX_CHARACTERS - 1_000
#: a variance of scaled values below this share of their squares is rounding: the column is constant there
_CONSTANT = 1e-12
_BASE = 36
#: columns with missing values whose 2^n patterns one statement groups by
_MASKS = 8

#: a FROM clause that gives z0, z1 .. (0 where missing) and m0, m1 .. (1 where present) of these columns
Relation = Callable[[Sequence[int], Sequence[int]], str]
#: sum and sum of squares of a column over the rows that hold another one
_Under = dict[tuple[int, int], tuple[float, float]]
#: the names of the factors
Product = tuple[str, ...]
#: sums of the products asked for, and the sums over the rows that hold another column
_Measured = tuple[list[float], _Under]


@dataclass(frozen=True)
class PairFigures:
    """Correlations by position of the columns (NaN where there is none), and the rows that hold both."""

    values: Floats
    rows: NDArray[np.int64]


def pearson(source: Source, columns: Sequence[Numbers], *, on_step: Step = lambda done: None) -> PairFigures:
    """Pearson's r over the rows that hold both; NaN for a column that is constant over them."""
    is_whole = [item.missing == 0 for item in columns]
    usable = [place for place, item in enumerate(columns) if item.std]
    rows = columns[0].rows if columns else 0

    def relation(z: Sequence[int], m: Sequence[int]) -> str:
        outputs = [f"{_scaled(columns[place], is_whole[place])} AS {_name('z', place)}" for place in z]
        outputs += [f"{_mask(column(columns[place].name))} AS {_name('m', place)}" for place in m]
        return f"({source.select(outputs)}) s"

    def measure(products: Sequence[Product], z: Sequence[int], masks: Sequence[int]) -> _Measured:
        return _sums(source, relation, products, on_step), _grouped(source, relation, z, masks)

    return _figures(source, relation, measure, usable, is_whole, len(columns), rows)


def spearman(
    source: Source, columns: Sequence[Numbers], *, on_step: Step = lambda done: None
) -> tuple[PairFigures, int]:
    """Pearson's r of average ranks; `source` may be a sample. Returns the rows that it was taken on, too.

    A value's rank is that among the present values of its own column, ties sharing the mean of their
    ranks, whatever the other column holds; with no missing values this is Spearman's rho of the pair.
    """
    rows = count_rows(source)
    is_whole = [item.missing == 0 for item in columns]
    usable = [place for place, item in enumerate(columns) if item.std]
    most = _RANKED.get(source.store.engine, _FEW_RANKED)

    def relation(z: Sequence[int], m: Sequence[int]) -> str:
        if z:
            return _ranked(source, columns, z, m)
        masks = [f"{_mask(column(columns[place].name))} AS {_name('m', place)}" for place in m]
        return f"({source.select(masks)}) s"

    def measure(products: Sequence[Product], z: Sequence[int], masks: Sequence[int]) -> _Measured:
        if source.store.engine == "duckdb":
            return _at_once(source, _rank_queries(source, columns, z, masks), products, z, masks)
        # other engines would make the ranks again for each part of a larger statement
        held = [(_name("z", a), _name("m", m)) for m in masks for a in z]
        squares = [(_name("z", a), _name("z", a), _name("m", m)) for m in masks for a in z]
        found = _sums(source, relation, [*products, *held, *squares])
        rest = found[len(products) :]
        pairs = zip(rest, rest[len(held) :], strict=False)
        return found, dict(zip([(a, m) for m in masks for a in z], pairs, strict=True))

    values = np.full((len(columns), len(columns)), np.nan)
    both = np.zeros((len(columns), len(columns)), dtype=np.int64)
    # two blocks at a time: every pair of columns meets in one of the statements
    blocks = list(batches(usable, most if len(usable) <= most else most // 2))
    for first, left in enumerate(blocks):
        for right in blocks[first + 1 :] or ([[]] if first == 0 else []):
            places = [*left, *right]
            found = _figures(source, relation, measure, places, is_whole, len(columns), rows)
            grid = np.ix_(places, places)
            values[grid], both[grid] = found.values[grid], found.rows[grid]
        on_step(len(left))
    return PairFigures(values, both), rows


def _figures(
    source: Source,
    relation: Relation,
    measure: Callable[[Sequence[Product], Sequence[int], Sequence[int]], _Measured],
    usable: Sequence[int],
    is_whole: Sequence[bool],
    width: int,
    rows: int,
) -> PairFigures:
    values, both = np.full((width, width), np.nan), np.zeros((width, width), dtype=np.int64)
    if not usable:
        return PairFigures(values, both)
    holey = [place for place in usable if not is_whole[place]]
    shared = _sums(source, relation, [(_name("m", a), _name("m", b)) for a, b in _upper(holey)])
    held = dict(zip(_upper(holey), (int(value) for value in shared), strict=True))
    # columns that are missing in the same rows share one mask
    mask: dict[int, int] = {}
    for b in holey:
        same = (a for a in dict.fromkeys(mask.values()) if held[a, b] == held[a, a] == held[b, b])
        mask[b] = next(same, b)
    masks = list(dict.fromkeys(mask.values()))
    products = [(_name("z", a), _name("z", b)) for a, b in _upper(usable)]
    alone = [(_name("z", a),) for a in usable]
    # `partial`: what a column sums to over the rows that hold another one
    found, partial = measure([*alone, *products], usable, masks)
    own = dict(zip(usable, found, strict=False))
    product = dict(zip(_upper(usable), found[len(alone) :], strict=False))
    for a, b in _upper(usable):
        n = _shared_rows(a, b, mask, held, rows)
        figures: list[tuple[float, float]] = []
        for one, other in ((a, b), (b, a)):
            m = mask.get(other)
            if m is None or mask.get(one) == m:
                figures.append((own[one], product[one, one]))
            else:
                figures.append(partial[one, m])
        both[a, b] = both[b, a] = n
        values[a, b] = values[b, a] = 1.0 if a == b and n > 1 else _correlation(n, figures, product[a, b])
    return PairFigures(values, both)


def _correlation(n: int, columns: Sequence[tuple[float, float]], product: float) -> float:
    if n < 2:
        return math.nan
    variances = []
    for total, squares in columns:
        variance = squares - total**2 / n
        if variance <= _CONSTANT * squares:
            return math.nan
        variances.append(variance)
    covariance = product - columns[0][0] * columns[1][0] / n
    return max(-1.0, min(1.0, covariance / math.sqrt(variances[0]) / math.sqrt(variances[1])))


def _shared_rows(a: int, b: int, mask: dict[int, int], held: dict[tuple[int, int], int], rows: int) -> int:
    if a not in mask or b not in mask:
        one = mask.get(a, mask.get(b))
        return rows if one is None else held[one, one]
    low, high = min(mask[a], mask[b]), max(mask[a], mask[b])
    return held[low, high]


def _upper(places: Sequence[int]) -> list[tuple[int, int]]:
    return [(a, b) for position, a in enumerate(places) for b in places[position:]]


def _sums(
    source: Source,
    relation: Relation,
    products: Sequence[Product],
    on_step: Step = lambda done: None,
) -> list[float]:
    """The sums of these products, in as few statements as the engine takes well."""
    found: list[float] = []
    for batch in batches(products, source.sums_at_once):
        names = {name for product in batch for name in product}
        z = sorted(int(name[1:], _BASE) for name in names if name[0] == "z")
        m = sorted(int(name[1:], _BASE) for name in names if name[0] == "m")
        outputs = ",".join(f"SUM({'*'.join(product)})" for product in batch)
        values = source.row(f"SELECT {outputs} FROM {relation(z, m)}")  # noqa: S608
        found += [0.0 if value is None else float(value) for value in values]
        on_step(len(batch))
    return found


def _grouped(source: Source, relation: Relation, z: Sequence[int], masks: Sequence[int]) -> _Under:
    """Sums and sums of squares of columns over the rows that hold another one, for every such one.

    The rows are grouped by which of a few columns they hold, and the groups added up for each of them.
    """
    found: _Under = {}
    for batch in batches(masks, _MASKS):
        for part in batches(z, source.features_at_once * 4):
            outputs = ",".join(_squares(part))
            pattern = _pattern(batch)
            sql = f"SELECT {pattern} AS u,{outputs} FROM {relation(part, batch)} GROUP BY {pattern}"  # noqa: S608
            columns = [np.array(values.to_pylist(), dtype=np.float64) for values in source.read(sql).columns]
            found |= _by_mask(columns[0], np.array(columns[1:]), part, batch)
    return found


def _at_once(
    source: Source, queries: str, products: Sequence[Product], z: Sequence[int], masks: Sequence[int]
) -> _Measured:
    """The same as `_sums` and `_grouped`, with ranks that are made once for as much as one text can hold.

    Every SELECT gives its number, a pattern of columns that are held, and as many sums as fit in a row.
    """
    width = 2 * len(z)
    texts = [f"SUM({'*'.join(product)})" for product in products]
    groups = list(batches(masks, _MASKS))
    parts = [("0", batch, "") for batch in batches(texts, width)]
    plain = len(parts)
    parts += [(_pattern(batch), _squares(z), f" GROUP BY {_pattern(batch)}") for batch in groups]
    selects = [
        f"SELECT {place} AS k,{pattern} AS u,"  # noqa: S608
        f"{','.join([*sums, *['0'] * (width - len(sums))])} FROM ranks{end}"
        for place, (pattern, sums, end) in enumerate(parts)
    ]
    rows: dict[int, list[list[float]]] = {}
    for statement in _packed(selects, _CHARACTERS - len(queries)):
        table = source.read(f"WITH {queries} {' UNION ALL '.join(statement)}")
        for place, *figures in zip(*(values.to_pylist() for values in table.columns), strict=True):
            rows.setdefault(int(place), []).append([float(value or 0) for value in figures])
    found = [value for place in range(plain) for value in rows[place][0][1:]]
    under: _Under = {}
    for place, batch in enumerate(groups, plain):
        summed = np.array(rows.get(place, []), dtype=np.float64).reshape(-1, width + 1)
        under |= _by_mask(summed[:, 0], summed[:, 1:].T, z, batch)
    return found[: len(products)], under


def _packed(texts: Sequence[str], room: int) -> list[list[str]]:
    """Texts together in the room of one statement."""
    found: list[list[str]] = []
    left = 0
    for text in texts:
        needed = len(text) + len(" UNION ALL ")
        if not found or needed > left:
            found.append([])
            left = room
        found[-1].append(text)
        left -= needed
    return found


def _by_mask(patterns: Floats, figures: Floats, z: Sequence[int], masks: Sequence[int]) -> _Under:
    found: _Under = {}
    held = patterns.astype(np.int64)
    for bit, m in enumerate(masks):
        totals = np.nan_to_num(figures[:, (held >> bit) & 1 == 1]).sum(axis=1)
        for place, a in enumerate(z):
            found[a, m] = float(totals[2 * place]), float(totals[2 * place + 1])
    return found


def _pattern(masks: Sequence[int]) -> str:
    return "+".join(f"{1 << bit}*{_name('m', m)}" for bit, m in enumerate(masks))


def _squares(z: Sequence[int]) -> list[str]:
    names = [_name("z", a) for a in z]
    return [text for name in names for text in (f"SUM({name})", f"SUM({name}*{name})")]


def _name(kind: str, place: int) -> str:
    """A short name: thousands of products must fit into one statement."""
    return f"{kind}{np.base_repr(place, _BASE).lower()}"


def _scaled(item: Numbers, is_whole: bool) -> str:
    if item.mean is None or not item.std:
        raise ValueError(f"{item.name} has no spread to scale by")
    scaled = f"({column(item.name)} - {number(item.mean)}) * {number(1 / item.std)}"
    return scaled if is_whole else f"COALESCE({scaled}, {number(0.0)})"


def _mask(expression: str) -> str:
    return f"CASE WHEN {expression} IS NULL THEN {number(0.0)} ELSE {number(1.0)} END"


def _ranked(source: Source, columns: Sequence[Numbers], z: Sequence[int], m: Sequence[int]) -> str:
    names = [_name("z", place) for place in z] + [_name("m", place) for place in m]
    return f"(WITH {_rank_queries(source, columns, z, m)} SELECT {', '.join(names)} FROM ranks) s"  # noqa: S608


def _rank_queries(source: Source, columns: Sequence[Numbers], z: Sequence[int], m: Sequence[int]) -> str:
    """Centred ranks: counts of each value, their running total, and a join back by the value.

    Twice the rank less its mean is twice the rows up to the value, less those at it, less all.
    """
    places = sorted({*z, *m})
    names = [f"{column(columns[place].name)} AS x{place}" for place in places]
    queries = [f"base AS ({source.select([f'{column(source.key)} AS e', *names])})"]
    groups = list(batches(places, _GROUP))
    for position, group in enumerate(groups):
        outputs = ["b.e AS e"]
        outputs += [f"COALESCE(j{place}.r, {number(0.0)}) AS {_name('z', place)}" for place in group]
        outputs += [f"{_mask(f'b.x{place}')} AS {_name('m', place)}" for place in group if place in m]
        joins = " ".join(
            f"LEFT JOIN ({_ranks(place)}) j{place} ON j{place}.v = b.x{place}" for place in group
        )
        queries.append(f"g{position} AS (SELECT {', '.join(outputs)} FROM base b {joins})")  # noqa: S608
    together = "g0 " + " ".join(f"JOIN g{later} ON g{later}.e = g0.e" for later in range(1, len(groups)))
    outputs = [_name("z", place) for place in z] + [_name("m", place) for place in m]
    queries.append(f"ranks AS (SELECT {', '.join(outputs)} FROM {together})")  # noqa: S608
    return ", ".join(queries)


def _ranks(place: int) -> str:
    counts = f"SELECT x{place} AS v, COUNT(*) AS n FROM base WHERE x{place} IS NOT NULL GROUP BY x{place}"  # noqa: S608
    rank = f"CAST(2 * SUM(n) {TO_HERE} - n - SUM(n) OVER () AS DOUBLE)"
    return f"SELECT v, {rank} AS r FROM ({counts}) c"  # noqa: S608
