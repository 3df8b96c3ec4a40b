"""Intervals of KS and lift differences, by drawing customers again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlopslib.metrics.inputs import Bools, Floats

REPLICATES = 400


@dataclass(frozen=True)
class ResampledDifferences:
    """95 % intervals of score a minus score b."""

    ks: tuple[float, float]
    lift: tuple[float, float]


def resample_differences(
    responded: Bools,
    score_a: Floats,
    score_b: Floats,
    cluster: NDArray[np.intp],
    *,
    rng: np.random.Generator,
    share: float = 0.1,
    replicates: int = REPLICATES,
) -> ResampledDifferences:
    """Percentile intervals from a bootstrap of whole clusters (customers).

    Each replicate draws as many clusters as there are, with replacement, and gives every row its cluster's
    count as a weight; both scores see the same draw, so the difference is paired. Scores are sorted once.

    Parameters
    ----------
    cluster
        Number of each row's cluster, 0 .. G-1.
    share
        The best-scored share that the lift is taken of.
    """
    count = int(cluster.max()) + 1
    first = _SortedScore(responded, score_a, cluster)
    second = _SortedScore(responded, score_b, cluster)
    ks = np.full(replicates, np.nan)
    lift = np.full(replicates, np.nan)
    for replicate in range(replicates):
        weights = np.bincount(rng.integers(0, count, count), minlength=count).astype(np.float64)
        drawn_a, drawn_b = first.figures(weights, share), second.figures(weights, share)
        if drawn_a is not None and drawn_b is not None:
            ks[replicate], lift[replicate] = drawn_a[0] - drawn_b[0], drawn_a[1] - drawn_b[1]
    return ResampledDifferences(ks=_interval(ks), lift=_interval(lift))


class _SortedScore:
    """One score by descending order, with the ends of its ties."""

    def __init__(self, responded: Bools, score: Floats, cluster: NDArray[np.intp]) -> None:
        order = np.argsort(-score, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
        self._cluster = cluster[order]
        self._responded = responded[order].astype(np.float64)
        self._ends = None if len(ends) == len(score) else ends

    def figures(self, weights: Floats, share: float) -> tuple[float, float] | None:
        """KS and lift of one draw; None when it holds a single class."""
        row_weights = weights[self._cluster]
        rows = np.cumsum(row_weights)
        hits = np.cumsum(row_weights * self._responded)
        if self._ends is not None:
            rows, hits = rows[self._ends], hits[self._ends]
        total, positives = rows[-1], hits[-1]
        if positives in (0.0, total):
            return None
        others = total - positives
        # hits / positives - (rows - hits) / others, with fewer passes over the rows
        gap = hits * (1 / positives + 1 / others) - rows / others
        ks = max(gap.max(), -gap.min())
        # only the tie around the cut matters: the first end at or beyond it, and the one before
        cut = share * total
        at = int(np.searchsorted(rows, cut))
        rows_before, hits_before = (rows[at - 1], hits[at - 1]) if at else (0.0, 0.0)
        part = (cut - rows_before) / (rows[at] - rows_before)
        captured = hits_before + part * (hits[at] - hits_before)
        return float(ks), float(captured / positives / share)


def _interval(draws: Floats) -> tuple[float, float]:
    usable = draws[~np.isnan(draws)]
    if not len(usable):
        return -np.inf, np.inf
    low, high = np.quantile(usable, (0.025, 0.975))
    return float(low), float(high)
