"""How many responders the best-scored part of the customers holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mlopslib.errors import InvalidInput
from mlopslib.metrics.inputs import Bools, Floats, check_target_and_score


@dataclass(frozen=True)
class LiftRow:
    """One group of customers, the best-scored group first.

    `n` and `responders` need not be whole: a tie on a cut is shared. `rate` is responders / n; `lift` is
    rate over the rate of all; `cumulative_lift` is that of this and all better groups; `capture` is their
    share of all responders.
    """

    decile: int
    n: float
    responders: float
    rate: float
    lift: float
    cumulative_lift: float
    capture: float


def lift_table(target: ArrayLike, score: ArrayLike, *, n: int = 10) -> list[LiftRow]:
    """Lift by groups of equal size, by descending score.

    ``lift_d = (r_d / n_d) / (R / N)``, ``capture(q) = responders in the top q / R``,
    ``cumulative_lift(q) = capture(q) / q``. The cuts lie exactly at N * d / n: the row on a cut is shared
    fractionally, and rows that tie are shared equally, whatever their order. So the mean of the lifts is 1
    for every N.

    Parameters
    ----------
    target : array-like of shape (N,)
        1 for a responder, 0 for the others.
    score : array-like of shape (N,)
        Higher means likelier to respond.
    n
        Number of groups.

    Raises
    ------
    SingleClassTarget
        If no row is a responder.
    InvalidInput
        If a value is missing, the lengths differ, or `n` is below one.

    Examples
    --------
    >>> for row in lift_table([1, 1, 0, 1, 0, 0, 0, 0], [8, 7, 6, 5, 4, 3, 2, 1], n=4):
    ...     print(row.decile, row.responders, round(row.lift, 3), round(row.capture, 3))
    1 2.0 2.667 0.667
    2 1.0 1.333 1.0
    3 0.0 0.0 1.0
    4 0.0 0.0 1.0
    """
    responded, scores = check_target_and_score(target, score, needs="responder")
    if n < 1:
        raise InvalidInput(f"the number of groups must be at least 1, not {n}", field="n")
    total, size = int(responded.sum()), len(scores) / n
    captured = responders_in_top(responded, scores, np.arange(n + 1) / n)
    rows = []
    for group in range(1, n + 1):
        responders = float(captured[group] - captured[group - 1])
        rate, capture = responders / size, float(captured[group]) / total
        rows.append(
            LiftRow(
                decile=group,
                n=size,
                responders=responders,
                rate=rate,
                lift=rate / (total / len(scores)),
                cumulative_lift=capture * n / group,
                capture=capture,
            )
        )
    return rows


def lift_at(target: ArrayLike, score: ArrayLike, *, share: float = 0.1) -> float:
    """Cumulative lift of the best-scored `share` of the rows.

    ``C(q) = G(q) / q``, G the share of all responders found there. Between 0 and ``min(1/q, N/R)``; 1 is
    what a score without information gives. Ties are shared as in `lift_table`; errors too.

    Examples
    --------
    >>> lift_at([1, 1, 0, 1, 0, 0, 0, 0], [8, 7, 6, 5, 4, 3, 2, 1], share=0.25)
    2.6666666666666665
    >>> lift_at([1, 0, 0, 0], [5, 5, 5, 5], share=0.1)
    1.0
    """
    responded, scores = check_target_and_score(target, score, needs="responder")
    if not 0 < share <= 1:
        raise InvalidInput(f"share lies above 0 and up to 1, not at {share}", field="share")
    captured = responders_in_top(responded, scores, np.array([share]))[0]
    return float(captured / responded.sum() / share)


def responders_in_top(responded: Bools, scores: Floats, shares: Floats) -> Floats:
    """Expected responders among the best-scored shares of the rows, ties in random order."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    rows = np.append(0, ends + 1)
    hits = np.append(0, np.cumsum(responded[order])[ends])
    return np.asarray(np.interp(shares * len(scores), rows, hits), dtype=np.float64)


def top_membership(scores: Floats, *, share: float = 0.1) -> Floats:
    """How much of each row lies in the best-scored `share`: 1, 0, or a part where the cut meets a tie.

    Adds up to ``share * len(scores)``.

    Examples
    --------
    >>> import numpy as np
    >>> top_membership(np.array([3.0, 2.0, 2.0, 1.0]), share=0.5).tolist()
    [1.0, 0.5, 0.5, 0.0]
    """
    ordered = np.sort(-scores)
    before = np.searchsorted(ordered, -scores, side="left")
    through = np.searchsorted(ordered, -scores, side="right")
    part = (share * len(scores) - before) / (through - before)
    return np.asarray(np.clip(part, 0.0, 1.0))
