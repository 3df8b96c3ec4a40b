"""Columns by themselves: counts, moments, quantiles, the most frequent levels; all added up in the engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mlopslib.definition import FeatureSpec
from mlopslib.eda.source import Source, batches, bin_of, column
from mlopslib.metrics.association import RankSums

REPORTED = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
#: the inner edges of ten quantile bins, as `PsiReference.fit_numeric` takes them
DECILES = tuple(tenth / 10 for tenth in range(1, 10))
#: interquartile ranges beyond the quartiles: Tukey's fences
FENCE = 1.5
#: levels that a report names
TOP = 50

#: a running total over the distinct values v
TO_HERE = "OVER (ORDER BY v ROWS UNBOUNDED PRECEDING)"

#: called after each statement with the number of columns that are done by it
Step = Callable[[int], None]


@dataclass(frozen=True)
class Numbers:
    """A numeric column. `quantiles` by their shares; `ranks` is there with a target."""

    name: str
    rows: int
    present: int
    mean: float | None
    std: float | None
    minimum: float | None
    maximum: float | None
    distinct: int = 0
    quantiles: dict[float, float] = field(default_factory=dict)
    ranks: RankSums | None = None

    @property
    def missing(self) -> int:
        return self.rows - self.present


@dataclass(frozen=True)
class Level:
    """A level of a category; `known` rows have a target, `positives` of them respond."""

    value: str
    count: int
    known: int = 0
    positives: int = 0


@dataclass(frozen=True)
class Levels:
    """A category: its most frequent levels, most frequent first (equal ones by name).

    `known` and `positives` count all rows that hold a level, also those of levels not listed.
    """

    name: str
    rows: int
    present: int
    distinct: int
    levels: tuple[Level, ...]
    known: int = 0
    positives: int = 0

    @property
    def missing(self) -> int:
        return self.rows - self.present


def count_rows(source: Source) -> int:
    return int(source.row(source.select(["COUNT(*)"]))[0])


def describe_numbers(
    source: Source,
    features: Sequence[FeatureSpec],
    *,
    shares: Sequence[float] = REPORTED,
    on_step: Step = lambda done: None,
) -> list[Numbers]:
    """Moments in one scan for a batch of columns, then order statistics from each column's value counts."""
    found: list[Numbers] = []
    for batch in batches(features, source.features_at_once):
        found += _moments(source, batch)
    described: list[Numbers] = []
    for group in batches(found, source.features_at_once):
        described += _orders(source, group, shares)
        on_step(len(group))
    return described


def describe_levels(
    source: Source,
    features: Sequence[FeatureSpec],
    *,
    most: int = TOP,
    on_step: Step = lambda done: None,
) -> list[Levels]:
    """Distinct levels of categories, and the counts of the `most` frequent ones."""
    found: list[Levels] = []
    for batch in batches(features, source.features_at_once):
        outputs = ["COUNT(*)", *(f"COUNT({column(item.name)})" for item in batch)]
        rows, *present = source.without_target.row(source.without_target.select(outputs))
        listed = _levels(source, batch, most)
        for number, item in enumerate(batch):
            distinct, known, positives, levels = listed.get(number, (0, 0, 0, ()))
            found.append(
                Levels(item.name, int(rows), int(present[number]), distinct, levels, known, positives)
            )
        on_step(len(batch))
    return found


def decile_edges(item: Numbers) -> list[float]:
    """Edges of at most ten quantile bins, equal ones merged; `item` was described with `DECILES`."""
    return sorted({item.quantiles[share] for share in DECILES}) if item.present else []


def tukey_edges(item: Numbers) -> list[float]:
    """Edges ``(.., e]`` that part the outliers off: below, within and above Tukey's fences."""
    if not item.present:
        return []
    reach = FENCE * (item.quantiles[0.75] - item.quantiles[0.25])
    low, high = item.quantiles[0.25] - reach, item.quantiles[0.75] + reach
    # a value on the lower fence is within: the bin before ends at the number just below it
    edges = math.nextafter(low, -math.inf), high
    return [edge for edge in edges if math.isfinite(edge)]


def outlier_share(item: Numbers, counts: Sequence[int]) -> float | None:
    """Share of the present values outside the fences, from counts by `tukey_edges`, missing last."""
    if not item.present:
        return None
    return (counts[0] + counts[2]) / item.present if len(counts) == 4 else 0.0


def _moments(source: Source, batch: Sequence[FeatureSpec]) -> list[Numbers]:
    outputs = ["COUNT(*)"]
    for item in batch:
        name = column(item.name)
        outputs += [f"{function}({name})" for function in ("COUNT", "MIN", "MAX", "AVG", "STDDEV_SAMP")]
    # the target changes no count: the plain rows are cheaper to read
    rows, *values = source.without_target.row(source.without_target.select(outputs))
    found = []
    for number, item in enumerate(batch):
        present, low, high, mean, std = values[5 * number : 5 * number + 5]
        found.append(
            Numbers(item.name, int(rows), int(present), _real(mean), _real(std), _real(low), _real(high))
        )
    return found


def _orders(source: Source, group: Sequence[Numbers], shares: Sequence[float]) -> list[Numbers]:
    """Distinct values, quantiles and rank sums: from value counts and their running total, column by column.

    That form needs no percentile function, which Impala lacks, and the same counts give the AUC.
    """
    wanted = [item for item in group if item.present]
    if not wanted:
        return list(group)
    positions = [_positions(item.present, shares) for item in wanted]
    parts = [
        _order_select(source, number, item.name, positions[number]) for number, item in enumerate(wanted)
    ]
    buckets: list[dict[int, list[Any]]] = [{} for _ in wanted]
    table = source.read(" UNION ALL ".join(parts))
    for number, bucket, *figures in zip(*(values.to_pylist() for values in table.columns), strict=True):
        buckets[int(number)][int(bucket)] = figures
    ordered = {
        item.name: _ordered(item, buckets[number], positions[number], shares)
        for number, item in enumerate(wanted)
    }
    return [ordered.get(item.name, item) for item in group]


def _ordered(
    item: Numbers, buckets: dict[int, list[Any]], positions: Sequence[int], shares: Sequence[float]
) -> Numbers:
    """A bucket holds the values up to one position; the value at a position is the least of the next ones."""
    at, least = {}, math.nan
    for number in range(len(positions), 0, -1):
        if number in buckets:
            least = float(buckets[number][1])
        at[positions[number - 1]] = least
    distinct = sum(int(figures[0]) for figures in buckets.values())
    # after the count and the least value come the rank sums, where there is a target
    sums = [float(sum(part)) for part in zip(*(figures[2:] for figures in buckets.values()), strict=True)]
    return replace(
        item,
        distinct=distinct,
        quantiles=_quantiles(item.present, at, shares),
        ranks=RankSums(*sums) if sums else None,
    )


def _order_select(source: Source, number: int, name: str, positions: Sequence[int]) -> str:
    """Distinct values, least value and rank sums of each bucket of one column."""
    value = column(name)
    bucket = bin_of("c", [str(position) for position in positions])
    if source.target_sql is None and source.store.engine == "duckdb":
        # it sorts a column faster than it counts the distinct values of one
        rows = source.select(
            [
                f"{value} AS v",
                f"ROW_NUMBER() OVER (ORDER BY {value}) AS c",
                f"CASE WHEN LAG({value}) OVER (ORDER BY {value}) = {value} THEN 0 ELSE 1 END AS d",
            ],
            where=f"{value} IS NOT NULL",
        )
        return (
            f"SELECT {number} AS f, q, SUM(d) AS d, MIN(v) AS v "  # noqa: S608
            f"FROM (SELECT {bucket} AS q, v, d FROM ({rows}) w) x GROUP BY q"
        )
    outputs = ["COUNT(*) AS d", "MIN(v) AS v"]
    inner, counts = ["v", f"SUM(n) {TO_HERE} AS c"], ["COUNT(*) AS n"]
    kept = "v"
    if source.target_sql is not None:
        inner += [
            "p",
            "k - p AS o",
            f"2 * SUM(k - p) {TO_HERE} - (k - p) AS a",
            f"2 * SUM(p) {TO_HERE} - p AS b",
        ]
        counts += [
            "CAST(COUNT(y.target) AS DOUBLE) AS k",
            "COALESCE(SUM(CAST(y.target AS DOUBLE)), CAST(0 AS DOUBLE)) AS p",
        ]
        outputs += ["SUM(p) AS s1", "SUM(o) AS s2", "SUM(p * a) AS s3", "SUM(p * a * a) AS s4"]
        outputs += ["SUM(o * b) AS s5", "SUM(o * b * b) AS s6"]
        kept = "v, p, o, a, b"
    grouped = source.select([f"{value} AS v", *counts], where=f"{value} IS NOT NULL") + f" GROUP BY {value}"
    totals = f"SELECT {', '.join(inner)} FROM ({grouped}) g"  # noqa: S608
    return (
        f"SELECT {number} AS f, q, {', '.join(outputs)} "  # noqa: S608
        f"FROM (SELECT {bucket} AS q, {kept} FROM ({totals}) w) x GROUP BY q"
    )


def _positions(present: int, shares: Sequence[float]) -> list[int]:
    """Places in the sorted values, from 0, that the quantiles lie at or between."""
    places: set[int] = set()
    for share in shares:
        place = (present - 1) * share
        places.add(math.floor(place))
        places.add(min(present - 1, math.floor(place) + 1))
    return sorted(places)


def _quantiles(present: int, at: dict[int, float], shares: Sequence[float]) -> dict[float, float]:
    """Type 7, in numpy's own order of operations, so that edges are the same to the last bit."""
    found = {}
    for share in shares:
        place = (present - 1) * share
        low = math.floor(place)
        below, above = at[low], at[min(present - 1, low + 1)]
        part, gap = place - low, above - below
        value = above - gap * (1 - part) if part >= 0.5 else below + gap * part
        # of -0.0 and 0.0, which are equal, each engine keeps another one
        found[share] = value + 0.0
    return found


def _levels(
    source: Source, batch: Sequence[FeatureSpec], most: int
) -> dict[int, tuple[int, int, int, tuple[Level, ...]]]:
    """By position: distinct levels, rows with a target, responders, and the most frequent levels."""
    counts, kept, totals = "COUNT(*) AS n", "v, n", "COUNT(*) OVER () AS d"
    if source.target_sql is not None:
        counts += ", COUNT(y.target) AS k, COALESCE(SUM(CAST(y.target AS DOUBLE)), CAST(0 AS DOUBLE)) AS p"
        kept, totals = "v, n, k, p", f"{totals}, SUM(k) OVER () AS tk, SUM(p) OVER () AS tp"
    else:
        totals += ", 0 AS tk, 0 AS tp"
    parts = []
    for number, item in enumerate(batch):
        name = column(item.name)
        grouped = source.select([f"{name} AS v", counts], where=f"{name} IS NOT NULL") + f" GROUP BY {name}"
        parts.append(
            f"SELECT {number} AS f, d, tk, tp, {kept} FROM (SELECT {kept}, {totals}, "  # noqa: S608
            f"ROW_NUMBER() OVER (ORDER BY n DESC, v) AS r FROM ({grouped}) g) w WHERE r <= {int(most)}"
        )
    rows: dict[int, list[tuple[Any, ...]]] = {}
    table = source.read(" UNION ALL ".join(parts))
    for row in zip(*(values.to_pylist() for values in table.columns), strict=True):
        rows.setdefault(int(row[0]), []).append(row[1:])
    found = {}
    for number, items in rows.items():
        distinct, known, positives = (int(figure) for figure in items[0][:3])
        levels = [
            Level(str(value), int(count), *(int(figure) for figure in figures))
            for _, _, _, value, count, *figures in items
        ]
        levels.sort(key=lambda level: (-level.count, level.value))
        found[number] = (distinct, known, positives, tuple(levels))
    return found


def _real(value: Any) -> float | None:
    """The engine's figure; some give NaN where there is none."""
    return float(value) + 0.0 if value is not None and math.isfinite(value) else None
