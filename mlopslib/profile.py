"""What a feature looked like in one month: counts, range, histogram, PSI against a reference month."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlopslib.definition import Dtype
from mlopslib.metrics.psi import PsiReference


@dataclass(frozen=True)
class Profile:
    """One feature in one month. `mean`, `minimum`, `maximum` are None for categories and all missing.

    `psi` is None in the reference month itself. `histogram` holds the bins of the reference month:
    ``{"labels": [...], "shares": [...], "reference_ym": "202210"}``; the shares, with the bin of the
    missing values, add up to 1.
    """

    feature: str
    rows: int
    missing: int
    distinct: int
    mean: float | None
    minimum: float | None
    maximum: float | None
    psi: float | None
    histogram: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def reference_of(values: pa.ChunkedArray, dtype: Dtype) -> PsiReference:
    """Bins of a reference month: quantiles of a numeric column, the levels of a category."""
    if dtype == "numeric":
        return PsiReference.fit_numeric(_numbers(values))
    return PsiReference.fit_category(_words(values))


def profile_column(
    feature: str,
    values: pa.ChunkedArray,
    dtype: Dtype,
    *,
    reference: PsiReference,
    reference_ym: str,
    is_reference: bool = False,
) -> Profile:
    """Profile one column of one month against the bins of a reference month.

    Parameters
    ----------
    values
        DOUBLE for a numeric feature, STRING for a category; NULL is missing.
    reference, reference_ym
        From `reference_of`, and the month that it was made of.
    """
    result = reference.psi(_numbers(values) if dtype == "numeric" else _words(values))
    present = pc.drop_null(values)
    is_measured = dtype == "numeric" and len(present) > 0
    extremes = pc.min_max(present) if is_measured else None
    return Profile(
        feature=feature,
        rows=len(values),
        missing=values.null_count,
        distinct=int(pc.count_distinct(values).as_py()),
        mean=float(pc.mean(present).as_py()) if is_measured else None,
        minimum=float(extremes["min"].as_py()) if extremes is not None else None,
        maximum=float(extremes["max"].as_py()) if extremes is not None else None,
        psi=None if is_reference else result.value,
        histogram={
            "labels": [item.label for item in result.bins],
            "shares": [item.actual for item in result.bins],
            "reference_ym": reference_ym,
        },
    )


def _numbers(values: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """Float64 with NaN where a value is missing."""
    filled: np.ndarray[Any, Any] = pc.fill_null(values, float("nan")).to_numpy()
    return filled


def _words(values: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """Objects with None where a value is missing."""
    words: np.ndarray[Any, Any] = np.asarray(values.to_pylist(), dtype=object)
    return words
