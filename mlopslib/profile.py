"""What the features of a set looked like in one month, counted in the engine.

The PSI of a month is taken against a reference month of the same set. Which month that is, is decided once:
the first one that was ever profiled. A month that is filled in later, before it or after it, is held against
the same reference, so that figures made at different times compare.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mlopslib.definition import Dtype, FeatureSetSpec, FeatureSpec
from mlopslib.eda.bins import count_bins, fold
from mlopslib.eda.describe import (
    DECILES,
    REPORTED,
    Levels,
    Numbers,
    decile_edges,
    describe_levels,
    describe_numbers,
    outlier_share,
    tukey_edges,
)
from mlopslib.eda.source import Source
from mlopslib.errors import EmptyMonth
from mlopslib.metrics.fdr import benjamini_hochberg
from mlopslib.metrics.psi import PsiReference, PsiResult
from mlopslib.offline.base import OfflineStore

PARTITION = "base_ym"
#: levels of a category with a bin of their own; rarer ones of the reference fall in with the unseen
MOST_LEVELS = 1_000
#: levels whose counts are fetched; one that is rarer in its month counts as absent
_FETCHED_LEVELS = 10_000
#: levels that a profile names
_TOP = 10

IsCancelled = Callable[[], bool]


@dataclass(frozen=True)
class FeaturePsi:
    """PSI of one feature in a month. `q` is Benjamini-Hochberg's over the features looked at together."""

    result: PsiResult
    q: float

    @property
    def value(self) -> float:
        return self.result.value

    @property
    def p(self) -> float:
        return self.result.p


@dataclass(frozen=True)
class Profile:
    """One feature in one month.

    Attributes
    ----------
    mean, std, minimum, maximum
        None for categories and where all is missing.
    psi, psi_high, psi_p, psi_q
        Against the reference month; the 95 % point when nothing has moved; the chance of such a PSI then; and
        that chance after Benjamini-Hochberg over the set's features. None in the reference month itself.
    unseen
        Rows whose category is not one of the reference month's; None for numbers.
    histogram
        The bins of the reference month: ``{"labels": [...], "shares": [...], "reference_ym": "202210"}``; the
        shares, with the bin of the missing values, add up to 1.
    details
        ``{"quantiles": {"0.01": ...}, "outliers": share}`` of a number, ``{"top": [{"value", "count"}]}`` of
        a category.
    """

    feature: str
    rows: int
    missing: int
    distinct: int
    mean: float | None
    std: float | None
    minimum: float | None
    maximum: float | None
    psi: float | None
    psi_high: float | None
    psi_p: float | None
    psi_q: float | None
    unseen: int | None
    histogram: dict[str, Any]
    details: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class MonthProfiler:
    """Profiles the months of a feature set against one reference month.

    Make it before the first month of a run is written: the reference is then the month that earlier runs
    have used.

    Parameters
    ----------
    reference_ym
        The month that is on record as the reference. Without one, or where its partition is gone, it is
        the earliest month that stands in the store now; in an empty table the first month profiled.
    """

    def __init__(
        self,
        store: OfflineStore,
        feature_set: FeatureSetSpec,
        *,
        reference_ym: str | None = None,
        is_cancelled: IsCancelled | None = None,
    ) -> None:
        self._store = store
        self._feature_set = feature_set
        self._is_cancelled = is_cancelled
        standing = store.partitions(feature_set.table, PARTITION)
        recorded = reference_ym if reference_ym in standing else None
        self.reference_ym = recorded or next(iter(standing), None)
        self._references: dict[str, PsiReference] | None = None

    def profile(self, ym: str) -> list[Profile]:
        """Profiles of every feature of a month that stands in the store."""
        if self.reference_ym is None:
            self.reference_ym = ym
        if self._references is None or ym == self.reference_ym:
            self._references = month_references(
                self._store, self._feature_set, self.reference_ym, is_cancelled=self._is_cancelled
            )
        return profile_month(
            self._store,
            self._feature_set,
            ym,
            references=self._references,
            reference_ym=self.reference_ym,
            is_cancelled=self._is_cancelled,
        )

    def references_before(self, ym: str) -> dict[str, PsiReference] | None:
        """What the reference month holds before it is written again; None for other months."""
        if ym != self.reference_ym:
            return None
        return month_references(self._store, self._feature_set, ym, is_cancelled=self._is_cancelled)

    def has_moved(self, before: Mapping[str, PsiReference] | None) -> bool:
        """Whether the reference month holds something else than `before`, and other months refer to it."""
        standing = self._store.partitions(self._feature_set.table, PARTITION)
        return before is not None and len(standing) > 1 and before != self._references


def month_references(
    store: OfflineStore, feature_set: FeatureSetSpec, ym: str, *, is_cancelled: IsCancelled | None = None
) -> dict[str, PsiReference]:
    """Bins of a reference month: deciles of a number, the levels of a category.

    The same as `PsiReference.fit_numeric` and `fit_category` make of the rows, but that only the 1,000 most
    frequent levels have a bin of their own.
    """
    source = Source(
        store, feature_set.table, feature_set.entity_key, (PARTITION, ym), None, None, is_cancelled
    )
    numeric, category = _split(feature_set.features)
    edges = {item.name: decile_edges(item) for item in describe_numbers(source, numeric, shares=DECILES)}
    counted = count_bins(source, edges)
    found = {
        name: PsiReference("numeric", tuple(edges[name]), (), tuple(counted[name].rows.tolist()))
        for name in edges
    }
    for item in describe_levels(source, category, most=_FETCHED_LEVELS):
        kept = {level.value: level.count for level in item.levels[:MOST_LEVELS]}
        levels = tuple(sorted(kept))
        counts = [kept[level] for level in levels]
        rest = item.present - sum(counts)
        found[item.name] = PsiReference("category", (), levels, (*counts, rest, item.missing))
    return found


def profile_month(
    store: OfflineStore,
    feature_set: FeatureSetSpec,
    ym: str,
    *,
    references: Mapping[str, PsiReference],
    reference_ym: str,
    is_cancelled: IsCancelled | None = None,
) -> list[Profile]:
    """Profiles of every feature of a materialised month, as it stands in the store.

    Nothing of the month is fetched but figures: moments and counts by bin come from one scan for a batch of
    features, quantiles and distinct values from each one's value counts.

    Raises
    ------
    EmptyMonth
        The month has no rows.
    """
    source = Source(
        store, feature_set.table, feature_set.entity_key, (PARTITION, ym), None, None, is_cancelled
    )
    numeric, category = _split(feature_set.features)
    numbers = describe_numbers(source, numeric, shares=REPORTED)
    levels = describe_levels(source, category, most=_FETCHED_LEVELS)
    edges = {item.name: references[item.name].edges for item in numbers}
    fences = {item.name: tukey_edges(item) for item in numbers}
    fine = {name: sorted({*edges[name], *fences[name]}) for name in edges}
    counted = count_bins(source, fine)
    counts = {name: fold(edges[name], fine[name], counted[name]).rows.tolist() for name in edges}
    outliers = {
        item.name: outlier_share(
            item, fold(fences[item.name], fine[item.name], counted[item.name]).rows.tolist()
        )
        for item in numbers
    }
    drift = _psi(source, ym, references, counts | _level_counts(levels, references))
    by_name: dict[str, Numbers | Levels] = {item.name: item for item in numbers}
    by_name |= {item.name: item for item in levels}
    return [
        _profile(by_name[item.name], drift[item.name], outliers.get(item.name), ym, reference_ym)
        for item in feature_set.features
    ]


def feature_psi(
    store: OfflineStore,
    table: str,
    ym: str,
    references: Mapping[str, PsiReference],
    *,
    key: str = "",
    is_cancelled: IsCancelled | None = None,
) -> dict[str, FeaturePsi]:
    """PSI of the features of a month against frozen references, counted in the engine.

    Parameters
    ----------
    table
        A materialised feature set's table.
    references
        By column: of a reference month, or those frozen with a model version.

    Raises
    ------
    EmptyMonth
        The month has no rows.
    """
    source = Source(store, table, key, (PARTITION, ym), None, None, is_cancelled)
    category = [FeatureSpec(name, "category") for name, item in references.items() if item.kind == "category"]
    levels = describe_levels(source, category, most=_FETCHED_LEVELS)
    edges = {name: item.edges for name, item in references.items() if item.kind == "numeric"}
    counts = {name: found.rows.tolist() for name, found in count_bins(source, edges).items()}
    return _psi(source, ym, references, counts | _level_counts(levels, references))


def _level_counts(levels: list[Levels], references: Mapping[str, PsiReference]) -> dict[str, list[int]]:
    counts = {}
    for item in levels:
        held = {level.value: level.count for level in item.levels}
        own = [held.get(level, 0) for level in references[item.name].levels]
        counts[item.name] = [*own, item.present - sum(own), item.missing]
    return counts


def _psi(
    source: Source, ym: str, references: Mapping[str, PsiReference], counts: Mapping[str, list[int]]
) -> dict[str, FeaturePsi]:
    if any(sum(found) == 0 for found in counts.values()):
        raise EmptyMonth(f"{source.table} has no rows in {ym}: materialise the month first", field="base_ym")
    results = {name: references[name].psi_of_counts(found) for name, found in counts.items()}
    q_values = benjamini_hochberg([result.p for result in results.values()])
    return {
        name: FeaturePsi(result, 1.0 if q is None else q)
        for (name, result), q in zip(results.items(), q_values, strict=True)
    }


def _profile(
    item: Numbers | Levels, drift: FeaturePsi, outliers: float | None, ym: str, reference_ym: str
) -> Profile:
    result = drift.result
    details: dict[str, Any]
    if isinstance(item, Numbers):
        moments = (item.mean, item.std, item.minimum, item.maximum)
        quantiles = {str(share): value for share, value in item.quantiles.items()}
        details, unseen = {"quantiles": quantiles, "outliers": outliers}, None
    else:
        moments = (None, None, None, None)
        top = [{"value": level.value, "count": level.count} for level in item.levels[:_TOP]]
        details, unseen = {"top": top}, result.bins[-2].actual_count
    is_reference = ym == reference_ym
    mean, std, minimum, maximum = moments
    return Profile(
        feature=item.name,
        rows=item.rows,
        missing=item.missing,
        distinct=item.distinct,
        mean=mean,
        std=std,
        minimum=minimum,
        maximum=maximum,
        psi=None if is_reference else result.value,
        psi_high=None if is_reference else result.high,
        psi_p=None if is_reference else drift.p,
        psi_q=None if is_reference else drift.q,
        unseen=unseen,
        histogram={
            "labels": [part.label for part in result.bins],
            "shares": [part.actual for part in result.bins],
            "reference_ym": reference_ym,
        },
        details=details,
    )


def _split(features: tuple[FeatureSpec, ...]) -> tuple[list[FeatureSpec], list[FeatureSpec]]:
    def of(dtype: Dtype) -> list[FeatureSpec]:
        return [item for item in features if item.dtype == dtype]

    return of("numeric"), of("category")
