"""Whether a score of 0.1 means that one customer in ten responds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mlopslib.errors import InvalidInput
from mlopslib.metrics.inputs import Bools, Floats, check_target_and_score


@dataclass(frozen=True)
class CalibrationRow:
    """One bin of scores, the lowest first: what was predicted, what happened, and its 95 % interval."""

    bin: int
    n: int
    responders: int
    mean_score: float
    rate: float
    low: float
    high: float


def brier(target: ArrayLike, score: ArrayLike) -> float:
    """Brier score, ``mean (p - y)^2`` (Brier 1950). 0 is perfect.

    Parameters
    ----------
    target : array-like of shape (n,)
        1 for a responder, 0 for the others.
    score : array-like of shape (n,)
        Predicted probability, 0 to 1.

    Raises
    ------
    InvalidInput
        If there are no rows, a value is missing, or a score lies outside 0..1.

    Examples
    --------
    >>> brier([0, 1], [0.5, 0.75])
    0.15625
    """
    responded, scores = _check(target, score)
    return float(np.mean((scores - responded) ** 2))


def calibration_table(target: ArrayLike, score: ArrayLike, *, n: int = 10) -> list[CalibrationRow]:
    """Mean score against observed rate, by bins of equal size.

    Bins are quantiles of the score, ``(e_{i-1}, e_i]``; equal edges are merged, so that rows with one
    score stay together and there may be fewer than `n` bins. The interval of the rate is Wilson's (1927),
    95 %.

    Raises
    ------
    InvalidInput
        As `brier`; also if `n` is below one.

    Examples
    --------
    >>> table = calibration_table([0, 0, 1, 1], [0.25, 0.25, 0.5, 1], n=2)
    >>> [(row.n, row.mean_score, row.rate) for row in table]
    [(2, 0.25, 0.0), (2, 0.75, 1.0)]
    """
    responded, scores = _check(target, score)
    if n < 1:
        raise InvalidInput(f"the number of bins must be at least 1, not {n}", field="n")
    edges = np.unique(np.quantile(scores, np.arange(1, n) / n)) if n > 1 else np.array([])
    bins = np.searchsorted(edges, scores, side="left")
    rows: list[CalibrationRow] = []
    for found in np.unique(bins):
        inside = bins == found
        size, hits = int(inside.sum()), int(responded[inside].sum())
        low, high = wilson_interval(hits, size)
        rows.append(
            CalibrationRow(len(rows) + 1, size, hits, float(scores[inside].mean()), hits / size, low, high)
        )
    return rows


def calibration_error(target: ArrayLike, score: ArrayLike, *, n: int = 10) -> float:
    """Expected calibration error, ``sum_b n_b / N * |mean score_b - rate_b|`` over `calibration_table`.

    Biased upwards on few rows. Errors: as `calibration_table`.

    Examples
    --------
    >>> calibration_error([0, 0, 1, 1], [0.25, 0.25, 0.5, 1], n=2)
    0.25
    """
    rows = calibration_table(target, score, n=n)
    return sum(row.n * abs(row.mean_score - row.rate) for row in rows) / sum(row.n for row in rows)


def wilson_interval(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share.

    Examples
    --------
    >>> [round(bound, 4) for bound in wilson_interval(5, 10)]
    [0.2366, 0.7634]
    """
    if n == 0:
        return 0.0, 1.0
    z = 1.959963984540054
    share = hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - reach), min(1.0, centre + reach)


def _check(target: ArrayLike, score: ArrayLike) -> tuple[Bools, Floats]:
    responded, scores = check_target_and_score(target, score, needs="any")
    if ((scores < 0) | (scores > 1)).any():
        raise InvalidInput("a probability lies between 0 and 1", field="score")
    return responded, scores
