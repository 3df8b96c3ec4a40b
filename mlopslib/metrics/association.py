"""How much two columns say about each other, from counts and sums that were made elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlopslib.errors import InvalidInput

Floats = NDArray[np.float64]

#: what stands for a count of zero in a weight of evidence
HALF = 0.5


def cramers_v(table: ArrayLike, *, corrected: bool = True) -> float | None:
    """Cramer's V of a table of counts, 0 (independent) to 1 (each level tells the other).

    ``V = sqrt(phi2 / min(r - 1, c - 1))`` with ``phi2 = chi2 / n``. `corrected` takes the bias out that
    chance alone gives (Bergsma 2013, J. Korean Stat. Soc. 42): ``phi2 - (r - 1)(c - 1)/(n - 1)``, not
    below 0, over ``min(r', c') - 1`` with ``r' = r - (r - 1)^2/(n - 1)``. Levels without rows do not count.

    Returns
    -------
    float or None
        None where one of the two has a single level, or there are no rows.

    Examples
    --------
    >>> cramers_v([[10, 0], [0, 10]])
    1.0
    >>> cramers_v([[5, 5], [5, 5]])
    0.0
    """
    counts = np.asarray(table, dtype=np.float64)
    if counts.ndim != 2 or (counts < 0).any():
        raise InvalidInput("Cramer's V needs a table of counts", field="table")
    counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    rows, columns = counts.shape
    if min(rows, columns) < 2:
        return None
    n = float(counts.sum())
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0, keepdims=True) / n
    phi2 = float(((counts - expected) ** 2 / expected).sum()) / n
    most = min(rows, columns) - 1.0
    if corrected:
        phi2 = max(0.0, phi2 - (rows - 1) * (columns - 1) / (n - 1))
        most = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
        if most <= 0:
            return None
    return min(1.0, math.sqrt(phi2 / most))


def correlation_ratio(counts: ArrayLike, sums: ArrayLike, total_squares: float) -> float | None:
    """Correlation ratio (eta) of a category and a number, 0 to 1.

    ``eta^2 = sum_g n_g (mean_g - mean)^2 / sum_i (x_i - mean)^2``: the share of the number's variance that
    lies between the levels (Pearson 1905; Fisher's one-way analysis of variance).

    Parameters
    ----------
    counts, sums
        Rows of each level and the sum of the number over them.
    total_squares
        Sum of the squared numbers over the same rows. Centre the numbers first: digits are lost otherwise.

    Returns
    -------
    float or None
        None where the number is constant or fewer than two levels have rows.

    Examples
    --------
    >>> correlation_ratio([2, 2], [-2.0, 2.0], 4.0)  # -1, -1 in one level; 1, 1 in the other
    1.0
    """
    n, s = np.asarray(counts, dtype=np.float64), np.asarray(sums, dtype=np.float64)
    used = n > 0
    n, s = n[used], s[used]
    if len(n) < 2:
        return None
    mean_part = float(s.sum()) ** 2 / float(n.sum())
    total = total_squares - mean_part
    if total <= 1e-12 * max(total_squares, mean_part):
        return None
    between = float((s**2 / n).sum()) - mean_part
    return math.sqrt(min(1.0, max(0.0, between / total)))


def weight_of_evidence(rows: ArrayLike, positives: ArrayLike) -> tuple[Floats, Floats]:
    """Weight of evidence and the part of the information value, bin by bin.

    ``WoE_i = ln(p_i / q_i)`` and ``IV = sum_i (p_i - q_i) WoE_i`` with p and q the shares of the responders
    and of the others in bin i (Siddiqi, Credit Risk Scorecards, 2006). A class that a bin lacks counts as
    half a row there, so that the logarithm exists. A bin without rows has 0 and 0.

    Examples
    --------
    >>> woe, parts = weight_of_evidence([50, 50], [10, 30])  # shares 1/4, 3/4 against 2/3, 1/3
    >>> woe.round(4).tolist(), round(float(parts.sum()), 4)
    ([-0.9808, 0.8109], 0.7466)
    """
    n, hits = np.asarray(rows, dtype=np.float64), np.asarray(positives, dtype=np.float64)
    others = n - hits
    if not hits.sum() or not others.sum():
        raise InvalidInput("an information value needs responders and others", field="positives")
    used = n > 0
    p = np.where(hits > 0, hits, HALF) / hits.sum()
    q = np.where(others > 0, others, HALF) / others.sum()
    woe = np.where(used, np.log(p / q), 0.0)
    return woe, np.where(used, (p - q) * woe, 0.0)


@dataclass(frozen=True)
class RankSums:
    """Sums over the distinct values of a number that give its AUC and DeLong's variance, ties counted half.

    With `a` twice the others below a responder (an equal one counts 1) and `b` twice the responders below
    one of the others: the sums of a and a^2 over responders, of b and b^2 over the others.
    """

    positives: float
    others: float
    a: float
    a2: float
    b: float
    b2: float


def auc_of_sums(sums: RankSums, *, confidence: float = 0.95) -> tuple[float, float, float] | None:
    """AUC with its interval, as `mlopslib.metrics.ranking.auc_interval` gives from the rows.

    Returns
    -------
    tuple of float, or None
        ``(auc, low, high)``; None without both classes.

    Examples
    --------
    >>> auc_of_sums(RankSums(2, 2, 6, 20, 2, 4))[0]  # 0, 0 -> 1, 4; 1, 1 -> 3, 5: three of four pairs
    0.75
    """
    n1, n0 = sums.positives, sums.others
    if not n1 or not n0:
        return None
    value = sums.a / (2 * n1 * n0)
    if min(n1, n0) < 2:
        return value, 0.0, 1.0
    if value in (0.0, 1.0):
        slack = ((1 - confidence) / 2) ** (1 / min(n1, n0))
        return (value, slack, 1.0) if value == 1.0 else (value, 0.0, 1 - slack)
    variance = _variance(sums.a / (2 * n0), sums.a2 / (4 * n0**2), n1) / n1
    variance += _variance(sums.b / (2 * n1), sums.b2 / (4 * n1**2), n0) / n0
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(variance) / (value * (1 - value))
    centre = math.log(value / (1 - value))
    return value, _inverse_logit(centre - reach), _inverse_logit(centre + reach)


def merge_monotone(rows: Sequence[int], positives: Sequence[int], *, rising: bool) -> list[tuple[int, int]]:
    """Neighbouring bins merged until the rate of responders only rises (or only falls).

    Pool adjacent violators (Ayer et al. 1955): the result is the isotonic regression of the rates.

    Returns
    -------
    list of (first, last)
        The bins, both ends included, that make up each merged bin; bins without rows join the one before.

    Examples
    --------
    >>> merge_monotone([10, 10, 10], [1, 4, 3], rising=True)
    [(0, 0), (1, 2)]
    """
    blocks: list[list[float]] = []  # first, last, rows, positives
    sign = 1 if rising else -1
    for position, (n, hits) in enumerate(zip(rows, positives, strict=True)):
        blocks.append([position, position, n, hits])
        while len(blocks) > 1 and _violates(blocks[-2], blocks[-1], sign):
            later = blocks.pop()
            blocks[-1] = [blocks[-1][0], later[1], blocks[-1][2] + later[2], blocks[-1][3] + later[3]]
    return [(int(block[0]), int(block[1])) for block in blocks]


def _violates(earlier: list[float], later: list[float], sign: int) -> bool:
    if not earlier[2] or not later[2]:
        return True
    return sign * (later[3] / later[2] - earlier[3] / earlier[2]) <= 0


def _variance(total: float, squares: float, n: float) -> float:
    return max(0.0, (squares - total**2 / n) / (n - 1))


def _inverse_logit(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0
