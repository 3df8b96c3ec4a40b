"""Many tests at once: how many of the alarms are false."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mlopslib.errors import InvalidInput


def benjamini_hochberg(p_values: Sequence[float | None]) -> list[float | None]:
    """Benjamini-Hochberg q-values, in the order of the p-values.

    ``q_(i) = min over j >= i of m * p_(j) / j`` with the m p-values sorted (Benjamini and Hochberg 1995,
    J. R. Stat. Soc. B 57). Calling every feature with q <= 0.05 moved keeps the expected share of false
    calls at 5 % or less, for independent and for positively dependent tests.

    Parameters
    ----------
    p_values
        Between 0 and 1. None (and NaN) is a test that could not be made: it stays None and does not count.

    Raises
    ------
    InvalidInput
        If a p-value lies outside 0..1.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03, None])
    [0.03, 0.04, 0.04, None]
    """
    known: list[tuple[float, int]] = []
    for position, p in enumerate(p_values):
        if p is None or math.isnan(p):
            continue
        if not 0 <= p <= 1:
            raise InvalidInput(f"a p-value lies between 0 and 1, not {p}", field="p_values")
        known.append((p, position))
    found: list[float | None] = [None] * len(p_values)
    smallest = 1.0
    for rank, (p, position) in zip(range(len(known), 0, -1), sorted(known, reverse=True), strict=True):
        smallest = min(smallest, p * len(known) / rank)
        found[position] = smallest
    return found
