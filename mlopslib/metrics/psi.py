"""Population stability index: how far a distribution has moved from its frozen reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlopslib.errors import InvalidInput

#: share that stands for an empty bin, where the other sample is not empty
FLOOR = 1e-4
#: categories with no more levels than a number has bins are tested as they are
_FEW_LEVELS = 12
#: rows that a level must be expected to have in the smaller sample to be tested alone
_ENOUGH_ROWS = 20
MISSING, UNSEEN = "missing", "unseen"

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class PsiBin:
    """One bin: shares of both samples (0..1), their counts, and its part of the PSI."""

    label: str
    expected: float
    actual: float
    contribution: float
    expected_count: int
    actual_count: int


@dataclass(frozen=True)
class PsiResult:
    """A PSI with the noise that samples of these sizes have.

    Attributes
    ----------
    value
        The PSI.
    n_reference, n_actual
        Rows of the two samples, missing included.
    bins
        The bins in order; their contributions add up to `value`.
    low, high
        Where 95 % of the PSIs lie when nothing has moved: 0 and the 95 % point of
        ``(1/n + 1/m) * chi2(B - 1)``, B the number of bins that hold any row. Of a category with more than
        10 levels the rare ones (fewer than 20 rows expected in the smaller sample) count as one bin here,
        and what they add to the PSI beyond that counts as noise: the distribution does not hold for them.
    floor_used
        Whether an empty bin's share was replaced by 0.0001.
    p
        The chance of a PSI of this size or more when nothing has moved, by the same distribution.
    """

    value: float
    n_reference: int
    n_actual: int
    bins: list[PsiBin]
    low: float
    high: float
    floor_used: bool
    p: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class PsiReference:
    """Bins and counts of the development sample, frozen with a model version.

    Attributes
    ----------
    kind
        ``"numeric"`` or ``"category"``.
    edges
        Inner edges of a numeric reference, rising. Bin i holds ``(edges[i-1], edges[i]]``; the outer
        bins are open to both sides.
    levels
        Levels of a category reference, sorted.
    reference_counts
        Rows of the reference by bin. Numeric: one for each interval, then missing. Category: one for each
        level, then unseen (0), then missing.
    """

    kind: Literal["numeric", "category"]
    edges: tuple[float, ...]
    levels: tuple[str, ...]
    reference_counts: tuple[int, ...]

    @classmethod
    def fit_numeric(cls, values: ArrayLike, bins: int = 10) -> PsiReference:
        """Freeze quantile bins of a numeric sample.

        Edges are the quantiles i/bins, i = 1 .. bins-1, of the finite values (linear interpolation, numpy's
        default); equal edges are merged, so `bins` is the most there can be. Missing has a bin of its own.

        Raises
        ------
        InvalidInput
            If there are no values or fewer than two bins are asked for.

        Examples
        --------
        >>> reference = PsiReference.fit_numeric([1, 2, 3, 4, 5, 6, 7, 8], bins=4)
        >>> reference.edges, reference.reference_counts
        ((2.75, 4.5, 6.25), (2, 2, 2, 2, 0))
        """
        numbers = _numbers(values)
        if bins < 2:
            raise InvalidInput(f"PSI needs at least 2 bins, not {bins}", field="bins")
        finite = numbers[np.isfinite(numbers)]
        quantiles = np.quantile(finite, np.arange(1, bins) / bins) if len(finite) else np.array([])
        edges = np.unique(quantiles) + 0.0  # no -0.0, which would be written as -0
        counts = _numeric_counts(numbers, edges)
        return cls("numeric", tuple(edges.tolist()), (), tuple(counts.tolist()))

    @classmethod
    def fit_category(cls, values: ArrayLike) -> PsiReference:
        """Freeze the levels of a category sample; None and NaN are missing.

        Examples
        --------
        >>> reference = PsiReference.fit_category(["B", "A", None, "A"])
        >>> reference.levels, reference.reference_counts
        (('A', 'B'), (2, 1, 0, 1))
        """
        texts = _texts(values)
        levels = tuple(sorted({text for text in texts if text is not None}))
        return cls("category", (), levels, tuple(_category_counts(texts, levels).tolist()))

    @property
    def labels(self) -> list[str]:
        """Names of the bins, in the order of the counts."""
        if self.kind == "category":
            return [*self.levels, UNSEEN, MISSING]
        if not self.edges:
            return ["any value", MISSING]
        texts = [f"{edge:.6g}" for edge in self.edges]
        between = [f"({low}, {high}]" for low, high in pairwise(texts)]
        return [f"<= {texts[0]}", *between, f"> {texts[-1]}", MISSING]

    def counts(self, values: ArrayLike) -> Counts:
        """Rows of another sample by bin, in the order of `labels`."""
        if self.kind == "category":
            return _category_counts(_texts(values), self.levels)
        return _numeric_counts(_numbers(values), np.asarray(self.edges))

    def psi(self, values: ArrayLike) -> PsiResult:
        """PSI of another sample against this reference.

        Raises
        ------
        InvalidInput
            If there are no values.

        Examples
        --------
        >>> reference = PsiReference.fit_numeric([1, 2, 3, 4, 5, 6, 7, 8], bins=2)
        >>> result = reference.psi([1, 2, 3, 4, 5, 5, 5, 5, 5, 5])  # shares .5, .5 -> .4, .6
        >>> round(result.value, 4)
        0.0405
        >>> result.value < result.high  # ten rows cannot show more
        True
        """
        return self.psi_of_counts(self.counts(values))

    def psi_of_counts(self, counts: Sequence[int] | Counts) -> PsiResult:
        """PSI of a sample whose rows were counted elsewhere (in the engine), in the order of `labels`."""
        expected = np.asarray(self.reference_counts, dtype=np.int64)
        actual = np.asarray(counts, dtype=np.int64)
        if actual.shape != expected.shape:
            raise InvalidInput(f"{len(expected)} counts are needed, {len(actual)} were given", field="counts")
        return _result(self.labels, expected, actual, self.kind)

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "edges": list(self.edges),
            "levels": list(self.levels),
            "reference_counts": list(self.reference_counts),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PsiReference:
        return cls(
            kind=data["kind"],
            edges=tuple(float(edge) for edge in data["edges"]),
            levels=tuple(data["levels"]),
            reference_counts=tuple(int(count) for count in data["reference_counts"]),
        )


def psi(expected: ArrayLike, actual: ArrayLike, *, bins: int = 10) -> float:
    """Population stability index of two samples.

    ``PSI = sum_i (q_i - p_i) * ln(q_i / p_i)`` with p and q the shares of `expected` and `actual` in bin i
    (Siddiqi, Credit Risk Scorecards, 2006). Bins come from `expected` alone: quantiles for numbers, levels
    for texts; missing is a bin, all levels unseen in `expected` are one bin. An empty bin counts as a share
    of 0.0001; nothing is renormalised.

    Parameters
    ----------
    expected, actual
        One-dimensional samples. Texts are categories; everything else is numbers.
    bins
        Quantile bins of a numeric sample, at most.

    Returns
    -------
    float
        0 when the shares are equal. 0.1 and 0.25 are the habitual bands, not tests: see `PsiResult.high`
        for the noise of samples of these sizes.

    Raises
    ------
    InvalidInput
        If a sample is empty.

    Examples
    --------
    >>> round(psi(["A", "A", "B", "B"], ["A", "B", "B", "B"]), 6)  # .25 * ln 2 + .25 * ln 1.5
    0.274653
    """
    if _is_category(expected):
        return PsiReference.fit_category(expected).psi(actual).value
    return PsiReference.fit_numeric(expected, bins).psi(actual).value


def _result(
    labels: list[str], expected: Counts, actual: Counts, kind: Literal["numeric", "category"]
) -> PsiResult:
    n, m = int(expected.sum()), int(actual.sum())
    if n == 0 or m == 0:
        which = "reference" if n == 0 else "sample"
        raise InvalidInput(f"PSI needs rows in both samples: the {which} is empty", field="values")
    parts, floored = _parts(expected, actual)
    value = float(parts.sum())
    tested, held = value, int(((expected > 0) | (actual > 0)).sum())
    if kind == "category" and held > _FEW_LEVELS:
        pooled = _pool_rare(expected, actual)
        tested, held = float(_parts(*pooled)[0].sum()), int((pooled[0] + pooled[1] > 0).sum())
    rows = zip(labels, expected.tolist(), actual.tolist(), parts.tolist(), strict=True)
    bins = [PsiBin(label, e / n, a / m, part, e, a) for label, e, a, part in rows]
    return PsiResult(
        value=value,
        n_reference=n,
        n_actual=m,
        bins=bins,
        low=0.0,
        high=_null_95(held, n, m) + max(0.0, value - tested),
        floor_used=floored,
        p=_null_p(tested, held, n, m),
    )


def _parts(expected: Counts, actual: Counts) -> tuple[NDArray[np.float64], bool]:
    """Each bin's part of the PSI, and whether an empty bin's share was replaced."""
    used = (expected > 0) | (actual > 0)
    floored = used & ((expected == 0) | (actual == 0))
    p = np.where(expected == 0, FLOOR, expected / expected.sum())
    q = np.where(actual == 0, FLOOR, actual / actual.sum())
    return np.where(used, (q - p) * np.log(q / p), 0.0), bool(floored.any())


def _pool_rare(expected: Counts, actual: Counts) -> tuple[Counts, Counts]:
    """Counts with the rare levels and the unseen in one bin, for the test.

    What is rare is judged by both samples together: judged by the reference alone, the levels that are
    frequent there by chance would be kept, and their return to the mean would look like a move.
    """
    n, m = int(expected.sum()), int(actual.sum())
    rare = (expected + actual) * (min(n, m) / (n + m)) < _ENOUGH_ROWS
    rare[-2], rare[-1] = True, False  # unseen goes with the rare; missing is a bin whatever its size
    return (
        np.append(expected[~rare], expected[rare].sum()),
        np.append(actual[~rare], actual[rare].sum()),
    )


def _null_95(bins: int, n: int, m: int) -> float:
    """95 % point of PSI when nothing moved (Yurdakul 2018): (1/n + 1/m) chi2 with bins - 1 degrees."""
    from scipy.special import chdtri

    return float(chdtri(bins - 1, 0.05)) * (1 / n + 1 / m) if bins > 1 else 0.0


def _null_p(value: float, bins: int, n: int, m: int) -> float:
    from scipy.special import chdtrc

    return float(chdtrc(bins - 1, max(0.0, value) / (1 / n + 1 / m))) if bins > 1 else 1.0


def _numeric_counts(numbers: NDArray[np.float64], edges: NDArray[np.float64]) -> Counts:
    missing = np.isnan(numbers)
    bins = np.searchsorted(edges, numbers[~missing], side="left")
    counts = np.bincount(bins, minlength=len(edges) + 1)
    return np.append(counts, missing.sum()).astype(np.int64)


def _category_counts(texts: list[str | None], levels: tuple[str, ...]) -> Counts:
    position = {level: index for index, level in enumerate(levels)}
    unseen, missing = len(levels), len(levels) + 1
    bins = [missing if text is None else position.get(text, unseen) for text in texts]
    return np.bincount(np.asarray(bins, dtype=np.int64), minlength=len(levels) + 2).astype(np.int64)


def _numbers(values: ArrayLike) -> NDArray[np.float64]:
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput("the values are not numbers: use fit_category", field="values") from error
    return _some(numbers)


def _texts(values: ArrayLike) -> list[str | None]:
    found = _some(np.asarray(values, dtype=object))
    return [None if value is None or value != value else str(value) for value in found.tolist()]


def _some(values: NDArray[Any]) -> NDArray[Any]:
    if values.ndim != 1 or not len(values):
        raise InvalidInput("PSI needs a one-dimensional sample with at least one row", field="values")
    return values


def _is_category(values: ArrayLike) -> bool:
    found = np.asarray(values)
    if found.dtype != object:
        return found.dtype.kind in "US"
    return any(isinstance(value, str) for value in found.ravel().tolist())
