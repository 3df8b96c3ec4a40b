"""How well a score orders responders before the others: AUC, Gini, KS, and their uncertainty."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlopslib.errors import InvalidInput
from mlopslib.metrics.inputs import Bools, Floats, check_target_and_score


@dataclass(frozen=True)
class PairedAuc:
    """Two scores of the same rows: their AUCs, and ``difference = auc_a - auc_b`` with its 95 % interval."""

    auc_a: float
    auc_b: float
    difference: float
    low: float
    high: float
    z: float
    p: float
    standard_error: float


def auc(target: ArrayLike, score: ArrayLike) -> float:
    """Area under the ROC curve.

    ``AUC = P(s1 > s0) + P(s1 = s0) / 2``, s1 the score of a random responder, s0 of another (the
    Mann-Whitney statistic over n1 * n0).

    Parameters
    ----------
    target : array-like of shape (n,)
        1 for a responder, 0 for the others.
    score : array-like of shape (n,)
        Higher means likelier to respond.

    Raises
    ------
    SingleClassTarget
        If all rows, or none, are responders.
    InvalidInput
        If a value is missing, or the lengths differ.

    Examples
    --------
    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    >>> auc([0, 1], [0.5, 0.5])
    0.5
    """
    responded, scores = check_target_and_score(target, score)
    return float(_placements(responded, scores)[0].mean())


def gini(target: ArrayLike, score: ArrayLike) -> float:
    """Gini coefficient (accuracy ratio), ``2 * AUC - 1``.

    Examples
    --------
    >>> gini([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.5
    """
    return 2 * auc(target, score) - 1


def ks(target: ArrayLike, score: ArrayLike) -> float:
    """Kolmogorov-Smirnov distance, ``max_s |F1(s) - F0(s)|`` over the distinct scores.

    F1 and F0 are the distribution functions of the score among responders and others. Rows that share a
    score enter together: counting row by row overstates KS when scores tie. The distance is two-sided;
    ``max(TPR - FPR)`` equals it only where the ROC curve stays above the diagonal.

    Parameters, errors: as `auc`.

    Examples
    --------
    >>> ks([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.5
    >>> ks([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5])
    0.0
    """
    responded, scores = check_target_and_score(target, score)
    order = np.argsort(scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) > 0, True))
    hits = np.cumsum(responded[order])[ends]
    others = ends + 1 - hits
    return float(np.abs(hits / hits[-1] - others / others[-1]).max())


def delong_variance(target: ArrayLike, score: ArrayLike) -> float:
    """Variance of the AUC after DeLong, DeLong and Clarke-Pearson (1988), ``S10/n1 + S01/n0``.

    S10 and S01 are the variances of the placement values: for a responder the share of others scored
    below (ties half), for another the share of responders scored above. Computed from midranks in
    O(n log n) (Sun and Xu, 2014).

    Raises
    ------
    SingleClassTarget, InvalidInput
        As `auc`; InvalidInput also when a class has a single row.

    Examples
    --------
    >>> delong_variance([0, 0, 0, 1, 1, 1], [0.1, 0.2, 0.6, 0.3, 0.7, 0.8])
    0.024691358024691357
    """
    responded, scores = check_target_and_score(target, score)
    n1 = int(responded.sum())
    if min(n1, len(scores) - n1) < 2:
        raise InvalidInput("the variance of an AUC needs two rows of each class", field="target")
    above, below = _placements(responded, scores)
    return float(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below))


def auc_interval(
    target: ArrayLike, score: ArrayLike, *, confidence: float = 0.95
) -> tuple[float, float, float]:
    """AUC with its interval.

    DeLong's variance on the logit scale, so that the bounds stay inside 0..1. An AUC of exactly 1 (or 0)
    has no DeLong variance: the bound is then the exact binomial one for as many trials as the smaller class
    has rows. With a single row in a class the interval is 0 to 1.

    Returns
    -------
    tuple of float
        ``(auc, low, high)``.

    Raises
    ------
    SingleClassTarget, InvalidInput
        As `auc`.

    Examples
    --------
    >>> found = auc_interval([0, 0, 0, 1, 1, 1], [0.1, 0.2, 0.6, 0.3, 0.7, 0.8])
    >>> [round(value, 3) for value in found]
    [0.889, 0.261, 0.995]
    """
    responded, scores = check_target_and_score(target, score)
    value = auc(responded, scores)
    smaller = int(min(responded.sum(), (~responded).sum()))
    if smaller < 2:
        return value, 0.0, 1.0
    if value in (0.0, 1.0):
        slack = ((1 - confidence) / 2) ** (1 / smaller)
        return (value, slack, 1.0) if value == 1.0 else (value, 0.0, 1 - slack)
    error = math.sqrt(delong_variance(responded, scores)) / (value * (1 - value))
    reach = _quantile(confidence) * error
    centre = math.log(value / (1 - value))
    return value, _inverse_logit(centre - reach), _inverse_logit(centre + reach)


def paired_delong(target: ArrayLike, score_a: ArrayLike, score_b: ArrayLike) -> PairedAuc:
    """Compare the AUCs of two scores of the same rows (DeLong et al. 1988).

    ``z = (A - B) / sqrt(S_AA + S_BB - 2 S_AB)``; the interval is ``A - B`` plus or minus 1.96 standard
    errors. Because the rows are the same, the standard error is smaller than that of two independent AUCs.

    Returns
    -------
    PairedAuc
        Two scores that order all rows alike have difference 0, z 0, p 1. With a single row in a class the
        interval is -1 to 1.

    Raises
    ------
    SingleClassTarget, InvalidInput
        As `auc`.

    Examples
    --------
    >>> found = paired_delong([0, 0, 0, 1, 1, 1], [1, 2, 5, 4, 6, 7], [1, 5, 6, 2, 4, 7])
    >>> round(found.difference, 4), round(found.z, 4), round(found.p, 4)
    (0.3333, 1.2247, 0.2207)
    """
    responded, a = check_target_and_score(target, score_a)
    _, b = check_target_and_score(target, score_b)
    n1 = int(responded.sum())
    a1, a0 = _placements(responded, a)
    b1, b0 = _placements(responded, b)
    if min(n1, len(a) - n1) < 2:
        difference = float(a1.mean() - b1.mean())
        return PairedAuc(float(a1.mean()), float(b1.mean()), difference, -1.0, 1.0, 0.0, 1.0, math.inf)
    variance = float((a1 - b1).var(ddof=1) / len(a1) + (a0 - b0).var(ddof=1) / len(a0))
    return _paired(float(a1.mean()), float(b1.mean()), variance)


def paired_delong_clustered(
    target: ArrayLike, score_a: ArrayLike, score_b: ArrayLike, cluster: ArrayLike
) -> PairedAuc:
    """`paired_delong` where rows of one cluster (one customer, several months) are not independent.

    The AUC difference is, to first order, a sum over rows of centred placement differences, divided by the
    size of the row's class. These parts are added within each cluster c and the variance is
    ``G / (G - 1) * sum_c (sum of parts)^2`` over the G clusters (Obuchowski 1997, Biometrics 53: clustered
    DeLong). With one row to a cluster it is DeLong's up to n / (n - 1).

    Parameters
    ----------
    cluster : array-like of shape (n,)
        The customer of each row.

    Examples
    --------
    >>> found = paired_delong_clustered(
    ...     [0, 0, 0, 1, 1, 1], [1, 2, 5, 4, 6, 7], [1, 5, 6, 2, 4, 7], ["x", "x", "y", "y", "z", "z"]
    ... )
    >>> round(found.difference, 4)
    0.3333
    """
    responded, a = check_target_and_score(target, score_a)
    _, b = check_target_and_score(target, score_b)
    groups = np.unique(np.asarray(cluster), return_inverse=True)[1]
    if groups.shape != a.shape:
        raise InvalidInput(f"cluster has {len(groups)} rows, score {len(a)}", field="cluster")
    a1, a0 = _placements(responded, a)
    b1, b0 = _placements(responded, b)
    parts = np.empty(len(a))
    for rows, difference in ((responded, a1 - b1), (~responded, a0 - b0)):
        parts[rows] = (difference - difference.mean()) / len(difference)
    count = int(groups.max()) + 1
    if min(len(a1), len(a0), count) < 2:
        difference_ab = float(a1.mean() - b1.mean())
        return PairedAuc(float(a1.mean()), float(b1.mean()), difference_ab, -1.0, 1.0, 0.0, 1.0, math.inf)
    sums = np.bincount(groups, weights=parts, minlength=count)
    variance = float((sums**2).sum()) * count / (count - 1)
    return _paired(float(a1.mean()), float(b1.mean()), variance)


def _paired(auc_a: float, auc_b: float, variance: float) -> PairedAuc:
    difference, error = auc_a - auc_b, math.sqrt(variance)
    if error == 0.0:
        z = 0.0 if difference == 0.0 else math.copysign(math.inf, difference)
    else:
        z = difference / error
    p = math.erfc(abs(z) / math.sqrt(2))
    reach = _quantile(0.95) * error
    return PairedAuc(auc_a, auc_b, difference, difference - reach, difference + reach, z, p, error)


def _placements(responded: Bools, scores: Floats) -> tuple[Floats, Floats]:
    """For each responder the share of others below; for each other the share of responders above."""
    hits, others = scores[responded], scores[~responded]
    return _share_below(hits, np.sort(others)), 1 - _share_below(others, np.sort(hits))


def _share_below(values: Floats, ordered: Floats) -> Floats:
    below: NDArray[np.intp] = np.searchsorted(ordered, values, side="left")
    not_above: NDArray[np.intp] = np.searchsorted(ordered, values, side="right")
    return np.asarray((below + not_above) / (2.0 * len(ordered)))


def _quantile(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise InvalidInput("confidence lies between 0 and 1", field="confidence")
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _inverse_logit(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0
