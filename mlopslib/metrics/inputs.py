"""What every metric checks before it counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlopslib.errors import InvalidInput, SingleClassTarget

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def check_target_and_score(
    target: ArrayLike, score: ArrayLike, *, needs: str = "both"
) -> tuple[Bools, Floats]:
    """Arrays of one length: who responded, and a finite score.

    `needs` is ``"both"`` (responders and others), ``"responder"`` (at least one) or ``"any"``.
    Raises InvalidInput, SingleClassTarget.
    """
    responded = _target(target)
    values = _floats(score, "score")
    if responded.shape != values.shape:
        raise InvalidInput(f"target has {len(responded)} rows, score {len(values)}", field="score")
    if not len(values):
        raise InvalidInput("there are no rows to measure", field="target")
    if not np.isfinite(values).all():
        raise InvalidInput("a score is missing or infinite", field="score")
    positives = int(responded.sum())
    if needs in ("both", "responder") and positives == 0:
        raise SingleClassTarget(f"none of {len(values):,} rows is a responder: there is nothing to rank")
    if needs == "both" and positives == len(values):
        raise SingleClassTarget(f"all {len(values):,} rows are responders: there is nothing to rank")
    return responded, values


def _target(target: ArrayLike) -> Bools:
    values = _floats(target, "target")
    if np.isnan(values).any():
        raise InvalidInput("target has missing values: leave out the rows without a target", field="target")
    if not np.isin(values, (0.0, 1.0)).all():
        raise InvalidInput("target must be 0 or 1", field="target")
    return np.asarray(values == 1.0)


def _floats(values: ArrayLike, name: str) -> Floats:
    try:
        found: NDArray[Any] = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{name} must be numbers", field=name) from error
    if found.ndim != 1:
        raise InvalidInput(f"{name} must have one dimension, not {found.ndim}", field=name)
    return found
