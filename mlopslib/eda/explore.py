"""One month of a feature table, explored in the engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlopslib.definition import FeatureSpec
from mlopslib.eda.bins import BinCounts, count_bins, fold
from mlopslib.eda.describe import (
    DECILES,
    REPORTED,
    TOP,
    Levels,
    Numbers,
    count_rows,
    decile_edges,
    describe_levels,
    describe_numbers,
    outlier_share,
    tukey_edges,
)
from mlopslib.eda.mixed import correlation_ratios, cramers, is_capped
from mlopslib.eda.pairs import SPEARMAN_ROWS, PairFigures, pearson, spearman
from mlopslib.eda.report import (
    Between,
    Categories,
    Correlations,
    Described,
    EdaReport,
    Matrix,
    Pair,
    PairKind,
    TargetReport,
)
from mlopslib.eda.source import Source
from mlopslib.eda.target import by_name, check_target, target_of_category, target_of_number
from mlopslib.errors import EmptyMonth
from mlopslib.offline.base import OfflineStore

Floats = NDArray[np.float64]
Progress = Callable[[float, float, str], None]

#: bins of a histogram
BINS = 20
#: pairs that a report names, strongest first
MOST_PAIRS = 100
#: interquartile ranges beyond the quartiles at which a histogram's even bins end
FAR_FENCE = 3.0


def explore(
    store: OfflineStore,
    table: str,
    features: Sequence[FeatureSpec],
    *,
    key: str,
    partition: tuple[str, str] | None = None,
    target: tuple[str, str] | None = None,
    on_progress: Progress = lambda done, total, text: None,
    is_cancelled: Callable[[], bool] | None = None,
    spearman_rows: int = SPEARMAN_ROWS,
) -> EdaReport:
    """Distributions, correlations and association with a target, computed in the engine.

    Numbers: moments, exact quantiles, histogram, share outside Tukey's fences; Pearson over the rows that
    hold both, Spearman of average ranks. Categories: most frequent levels, bias-corrected Cramer's V; between
    the two the correlation ratio. With a target: information value, and AUC with DeLong's interval.

    Parameters
    ----------
    table, partition
        Where the rows are: ``("base_ym", "202210")``; None reads the whole table.
    features
        Columns to look at: DOUBLE for a number, STRING for a category.
    key
        The column that names the entity, once in each row.
    target
        A label, and a rendered SELECT that gives the key and ``target`` (0, 1 or NULL).
    spearman_rows
        Spearman of more rows than this is taken on about this many, picked by a hash of the key;
        `EdaReport.correlation` says how many.

    Raises
    ------
    EmptyMonth
        There are no rows.
    DataError, SingleClassTarget
        The target cannot be used: see the message.
    SqlRejected, TableNotFound, QueryFailed, QueryCancelled
        As `OfflineStore.read_sql`.
    """
    plain = Source(store, table, key, partition, is_cancelled=is_cancelled)
    rows = count_rows(plain)
    if not rows:
        where = f" in {partition[1]}" if partition else ""
        raise EmptyMonth(f"{table} has no rows{where}: materialise the month first", field="base_ym")
    source = replace(plain, target_sql=target[1].strip().rstrip(";")) if target else plain
    known, positives = check_target(source) if target else (0, 0)
    numeric = [item for item in features if item.dtype == "numeric"]
    category = [item for item in features if item.dtype == "category"]
    clock = _Clock(on_progress, len(numeric), len(category))
    shares = sorted({*REPORTED, *DECILES}) if target else REPORTED
    numbers = describe_numbers(
        source, numeric, shares=shares, on_step=clock.part("Describing the numbers", 4.0)
    )
    levels = describe_levels(source, category, on_step=clock.part("Describing the categories", 0.5))
    described, deciles = _shapes(source, numbers, clock)
    described |= {item.name: _describe_category(item) for item in levels}
    correlation, strongest = _correlate(plain, numbers, clock, spearman_rows)
    categories, between, mixed = _mix(plain, numbers, levels, clock)
    order = [item.name for item in features]
    report = None
    if target:
        found = [target_of_number(item, *deciles[item.name]) for item in numbers]
        found += [target_of_category(item, known, positives) for item in levels]
        report = TargetReport(target[0], known, positives, by_name(found, order))
    clock.finish()
    pairs = sorted(strongest + mixed, key=lambda pair: (-abs(pair.value), pair.a, pair.b))
    return EdaReport(
        rows=rows,
        features=tuple(described[name] for name in order),
        correlation=correlation,
        categories=categories,
        between=between,
        pairs=tuple(pairs[:MOST_PAIRS]),
        target=report,
    )


class _Clock:
    """Progress in parts of the work, each by about the seconds that it takes."""

    def __init__(self, on_progress: Progress, numbers: int, categories: int) -> None:
        self._on_progress = on_progress
        self._done = 0.0
        pairs = numbers * (numbers + 1) / 2
        self.total = 4.5 * numbers + 0.5 * categories + numbers + 0.12 * pairs
        self.total += 0.25 * categories * (categories - 1) / 2 + 0.1 * numbers * categories
        self.total = max(self.total, 1.0)

    def part(self, text: str, weight: float) -> Callable[[int], None]:
        self._on_progress(min(self._done, self.total), self.total, text)

        def step(done: int) -> None:
            self._done += weight * done
            self._on_progress(min(self._done, self.total), self.total, text)

        return step

    def finish(self) -> None:
        self._on_progress(self.total, self.total, "")


def _shapes(
    source: Source, numbers: Sequence[Numbers], clock: _Clock
) -> tuple[dict[str, Described], dict[str, tuple[list[float], BinCounts]]]:
    """Histograms and outliers; and counts by decile, from the same scan."""
    inner = {item.name: _histogram_edges(item) for item in numbers}
    decile: dict[str, list[float]] = {name: [] for name in inner}
    if source.target_sql is not None:
        decile |= {item.name: decile_edges(item) for item in numbers}
    fences = {item.name: tukey_edges(item) for item in numbers}
    fine = {name: sorted({*inner[name], *decile[name], *fences[name]}) for name in inner}
    counted = count_bins(source, fine, on_step=clock.part("Drawing the histograms", 1.0))
    shapes, deciles = {}, {}
    for item in numbers:
        name = item.name
        histogram = fold(inner[name], fine[name], counted[name])
        share = outlier_share(item, fold(fences[name], fine[name], counted[name]).rows.tolist())
        shapes[name] = _describe_number(item, inner[name], histogram, share)
        if source.target_sql is not None:
            deciles[name] = (decile[name], fold(decile[name], fine[name], counted[name]))
    return shapes, deciles


def _histogram_edges(item: Numbers) -> list[float]:
    """Inner edges of the histogram, rising; none where there is one value."""
    if not item.present or item.minimum is None or item.maximum is None or item.minimum == item.maximum:
        return []
    low, high = item.quantiles[0.25], item.quantiles[0.75]
    reach = FAR_FENCE * (high - low)
    low, high = max(item.minimum, low - reach), min(item.maximum, high + reach)
    if reach == 0:  # half of the values are one and the same
        low, high = item.minimum, item.maximum
    edges = np.linspace(low, high, BINS + 1)[1:-1]
    return [float(edge) for edge in np.unique(edges) if math.isfinite(edge)]


def _describe_number(
    item: Numbers, inner: list[float], counts: BinCounts, outliers: float | None
) -> Described:
    edges: tuple[float, ...] = ()
    bars: tuple[int, ...] = ()
    if item.minimum is not None and item.maximum is not None:
        edges, bars = (item.minimum, *inner, item.maximum), tuple(counts.rows[:-1].tolist())
    return Described(
        name=item.name,
        dtype="numeric",
        rows=item.rows,
        missing=item.missing,
        distinct=item.distinct,
        mean=item.mean,
        std=item.std,
        minimum=item.minimum,
        maximum=item.maximum,
        quantiles={str(share): item.quantiles[share] for share in REPORTED} if item.present else {},
        edges=edges,
        counts=bars,
        outlier_share=outliers,
    )


def _describe_category(item: Levels) -> Described:
    return Described(
        name=item.name,
        dtype="category",
        rows=item.rows,
        missing=item.missing,
        distinct=item.distinct,
        top=tuple((level.value, level.count) for level in item.levels[:TOP]),
    )


def _correlate(
    source: Source, numbers: Sequence[Numbers], clock: _Clock, spearman_rows: int
) -> tuple[Correlations, list[Pair]]:
    if not numbers:
        return Correlations(), []
    linear = pearson(source, numbers, on_step=clock.part("Correlating the numbers", 0.1))
    rows = numbers[0].rows
    is_sampled = rows > spearman_rows
    sample = source.sampled(spearman_rows / rows) if is_sampled else source
    ranked, ranked_rows = spearman(sample, numbers, on_step=clock.part("Correlating the ranks", 0.5))
    order = cluster_order(linear.values)
    grid = np.ix_(order, order)
    names = [item.name for item in numbers]
    correlations = Correlations(
        names=tuple(names[place] for place in order),
        pearson=_matrix(linear.values[grid]),
        spearman=_matrix(ranked.values[grid]),
        rows=linear.rows[grid].tolist(),
        spearman_rows=ranked_rows,
        is_sampled=is_sampled,
    )
    return correlations, _pairs(names, names, linear, "pearson", is_square=True)


def _mix(
    source: Source, numbers: Sequence[Numbers], levels: Sequence[Levels], clock: _Clock
) -> tuple[Categories, Between, list[Pair]]:
    if not levels:
        return Categories(), Between(), []
    v = cramers(source, levels, on_step=clock.part("Correlating the categories", 0.25))
    eta = correlation_ratios(
        source, numbers, levels, on_step=clock.part("Categories against numbers", 0.1 * len(numbers))
    )
    number_names = [item.name for item in numbers]
    category_names = [item.name for item in levels]
    order = cluster_order(v.values)
    names = tuple(category_names[place] for place in order)
    capped = tuple(item.name for item in levels if is_capped(item))
    found = _pairs(category_names, category_names, v, "cramers_v", is_square=True)
    found += _pairs(number_names, category_names, eta, "correlation_ratio", is_square=False)
    return (
        Categories(names, _matrix(v.values[np.ix_(order, order)]), capped),
        Between(tuple(number_names), tuple(category_names), _matrix(eta.values)),
        found,
    )


def cluster_order(values: Floats) -> list[int]:
    """Positions so that columns that go together stand together.

    Average linkage on the distance ``1 - |r|``, leaves in the optimal order (Bar-Joseph et al. 2001);
    a correlation that does not exist counts as none.
    """
    if len(values) < 3:
        return list(range(len(values)))
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    distance = 1 - np.abs(np.nan_to_num(values, nan=0.0))
    distance = np.clip((distance + distance.T) / 2, 0.0, 1.0)
    np.fill_diagonal(distance, 0.0)
    condensed = squareform(distance, checks=False)
    tree = optimal_leaf_ordering(linkage(condensed, method="average"), condensed)
    return [int(place) for place in leaves_list(tree)]


def _pairs(
    left: Sequence[str], right: Sequence[str], figures: PairFigures, kind: PairKind, *, is_square: bool
) -> list[Pair]:
    found = []
    for a, one in enumerate(left):
        for b in range(a + 1 if is_square else 0, len(right)):
            value = float(figures.values[a, b])
            if math.isfinite(value):
                found.append(Pair(one, right[b], kind, value, int(figures.rows[a, b])))
    return found


def _matrix(values: Floats) -> Matrix:
    rows: list[list[Any]] = values.tolist()
    return [[None if math.isnan(value) else value for value in row] for row in rows]
