"""What an exploration found, in the shape that pages and files keep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

#: a square or oblong of figures; None where a figure does not exist
Matrix = list[list[float | None]]
PairKind = Literal["pearson", "cramers_v", "correlation_ratio"]


@dataclass(frozen=True)
class Described:
    """One column by itself.

    Attributes
    ----------
    rows, missing, distinct
        Counts; missing is not a distinct value.
    mean, std, minimum, maximum
        None for categories and where every value is missing; `std` has n - 1 below and needs two rows.
    quantiles
        Linear interpolation (type 7, numpy's and pandas' default), by ``"0.01"`` to ``"0.99"``.
    edges, counts
        Histogram: bin i holds ``(edges[i], edges[i+1]]``, the first bin its lower edge too. The bins are
        equally wide between the Tukey far fences (quartiles -/+ 3 interquartile ranges) or the extremes,
        whichever are nearer; what lies beyond is counted in the outer bins, whose edges are the extremes.
    top
        The most frequent levels of a category, most frequent first.
    outlier_share
        Share of the present values outside Tukey's fences, quartiles -/+ 1.5 interquartile ranges.
    """

    name: str
    dtype: str
    rows: int
    missing: int
    distinct: int
    mean: float | None = None
    std: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    quantiles: dict[str, float] = field(default_factory=dict)
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    top: tuple[tuple[str, int], ...] = ()
    outlier_share: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "dtype": self.dtype,
            "rows": self.rows,
            "missing": self.missing,
            "distinct": self.distinct,
            "mean": finite(self.mean),
            "std": finite(self.std),
            "minimum": finite(self.minimum),
            "maximum": finite(self.maximum),
            "quantiles": self.quantiles,
            "histogram": {"edges": list(self.edges), "counts": list(self.counts)},
            "top": [{"value": value, "count": count} for value, count in self.top],
            "outlier_share": self.outlier_share,
        }


@dataclass(frozen=True)
class Correlations:
    """Numbers against numbers, in the order of a clustering by 1 - |r|, so that like stands by like.

    `spearman` correlates the average ranks that a value has among the present values of its column; above
    `sample_limit` rows it is taken on a fixed sample of `spearman_rows` rows, chosen by a hash of the key.
    """

    names: tuple[str, ...] = ()
    pearson: Matrix = field(default_factory=list)
    spearman: Matrix = field(default_factory=list)
    rows: list[list[int]] = field(default_factory=list)
    spearman_rows: int = 0
    is_sampled: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {
            "names": list(self.names),
            "pearson": rounded(self.pearson),
            "spearman": rounded(self.spearman),
            "spearman_rows": self.spearman_rows,
            "is_sampled": self.is_sampled,
        }


@dataclass(frozen=True)
class Categories:
    """Cramer's V, bias-corrected. `capped` levels: only the most frequent stand alone, the rest is one."""

    names: tuple[str, ...] = ()
    cramers_v: Matrix = field(default_factory=list)
    capped: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "names": list(self.names),
            "cramers_v": rounded(self.cramers_v),
            "capped": list(self.capped),
        }


@dataclass(frozen=True)
class Between:
    """Correlation ratio: one row for each number, one column for each category."""

    numeric: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    ratio: Matrix = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {
            "numeric": list(self.numeric),
            "category": list(self.category),
            "ratio": rounded(self.ratio),
        }


@dataclass(frozen=True)
class Pair:
    """Two columns that go together; `n` is the rows that hold both."""

    a: str
    b: str
    kind: PairKind
    value: float
    n: int

    def to_dict(self) -> dict[str, Any]:
        return {"a": self.a, "b": self.b, "kind": self.kind, "value": round(self.value, 6), "n": self.n}


@dataclass(frozen=True)
class TargetBin:
    """Rows with a known target in one bin. `rate` is None without rows."""

    label: str
    rows: int
    positives: int
    rate: float | None
    woe: float
    iv: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "rows": self.rows,
            "positives": self.positives,
            "rate": self.rate,
            "woe": self.woe,
            "iv": self.iv,
        }


@dataclass(frozen=True)
class TargetFeature:
    """One column against the target, over the rows whose target is known.

    `iv` over `bins`: at most ten quantile bins of all rows, or the most frequent levels and the rest; missing
    is a bin. `auc` is that of the number itself (below 0.5: responders have smaller values) over the rows
    that hold it; categories have none. `monotone`: the bins of a number merged until the rate only rises or
    only falls, missing apart.
    """

    name: str
    iv: float | None
    auc: float | None
    auc_low: float | None
    auc_high: float | None
    bins: tuple[TargetBin, ...] = ()
    monotone: tuple[TargetBin, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "iv": self.iv,
            "auc": self.auc,
            "auc_low": self.auc_low,
            "auc_high": self.auc_high,
            "bins": [item.to_dict() for item in self.bins],
            "monotone": [item.to_dict() for item in self.monotone],
        }


@dataclass(frozen=True)
class TargetReport:
    """`rows` have a known target, `positives` of them respond."""

    label: str
    rows: int
    positives: int
    features: tuple[TargetFeature, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "rows": self.rows,
            "positives": self.positives,
            "features": [item.to_dict() for item in self.features],
        }


@dataclass(frozen=True)
class EdaReport:
    """Everything that `mlopslib.eda.explore` found; `to_dict` is JSON without NaN."""

    rows: int
    features: tuple[Described, ...]
    correlation: Correlations = Correlations()
    categories: Categories = Categories()
    between: Between = Between()
    pairs: tuple[Pair, ...] = ()
    target: TargetReport | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "features": [item.to_dict() for item in self.features],
            "correlation": self.correlation.to_dict(),
            "categories": self.categories.to_dict(),
            "between": self.between.to_dict(),
            "pairs": [item.to_dict() for item in self.pairs],
            "target": self.target.to_dict() if self.target else None,
        }


def finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def rounded(matrix: Sequence[Sequence[float | None]]) -> Matrix:
    """Six decimals: more than the noise of any sample, a third of the bytes."""
    return [[None if value is None else round(value, 6) for value in row] for row in matrix]
