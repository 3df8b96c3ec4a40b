"""Figures of a set of scored rows, in the shape that the catalog keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from mlopslib.metrics.calibration import brier, calibration_error, calibration_table
from mlopslib.metrics.lift import lift_at, lift_table
from mlopslib.metrics.psi import PsiReference
from mlopslib.metrics.ranking import auc_interval, ks, paired_delong_clustered

Floats = npt.NDArray[np.float64]


def evaluation(
    dataset: str,
    base_ym: str,
    score: Floats,
    target: Floats,
    *,
    reference: PsiReference | None = None,
    entity: npt.NDArray[Any] | None = None,
) -> dict[str, Any]:
    """One row of figures.

    Parameters
    ----------
    dataset, base_ym
        ``TRAIN``, ``TEST``, ``OOT`` or ``PRODUCTION``; the month, or "" where months are pooled.
    target
        1, 0 or NaN. Rows without a target are counted, not measured; with none at all `positives` is None.
    reference
        Frozen bins of the score, for its PSI.
    entity
        Where given, the interval of AUC allows for customers who come back each month.
    """
    known = ~np.isnan(target)
    details: dict[str, Any] = {"without_target": int((~known).sum())}
    row: dict[str, Any] = {
        "dataset": dataset,
        "base_ym": base_ym,
        "rows": len(score),
        "positives": int(target[known].sum()) if known.any() else None,
        **dict.fromkeys(("auc", "auc_low", "auc_high", "ks", "lift_at_10", "score_psi")),
        "details": details,
    }
    if reference is not None and len(score):
        psi = reference.psi(score)
        row["score_psi"] = psi.value
        details["score_psi"] = psi.to_dict()
    y, s = target[known], score[known]
    if len(np.unique(y)) < 2:
        if known.any():
            details["reason"] = "all rows with a target are of one class"
        return row
    value, low, high = auc_interval(y, s) if entity is None else _clustered_auc(y, s, entity[known])
    row |= {"auc": value, "auc_low": low, "auc_high": high, "ks": ks(y, s), "lift_at_10": lift_at(y, s)}
    details |= {
        "deciles": [asdict(item) for item in lift_table(y, s)],
        "calibration": [asdict(item) for item in calibration_table(y, s)],
        "brier": brier(y, s),
        "calibration_error": calibration_error(y, s),
    }
    return row


def feature_drift(
    base_ym: str, references: Mapping[str, Any], inputs: Mapping[str, npt.NDArray[Any]]
) -> list[dict[str, Any]]:
    """PSI of each input of a month against the references frozen with a version."""
    rows = []
    for name, reference in references.items():
        result = PsiReference.from_dict(reference).psi(inputs[name])
        rows.append({"base_ym": base_ym, "feature": name, "psi": result.value, "details": result.to_dict()})
    return rows


def _clustered_auc(y: Floats, s: Floats, entity: npt.NDArray[Any]) -> tuple[float, float, float]:
    # against a constant score, whose AUC is one half and does not vary
    paired = paired_delong_clustered(y, s, np.zeros_like(s), entity)
    return paired.auc_a, max(0.0, 0.5 + paired.low), min(1.0, 0.5 + paired.high)
