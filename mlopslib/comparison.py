"""Champion against challenger on months that are fair to both: figures, intervals, and a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlopslib.dates import validate_ym
from mlopslib.errors import InvalidInput
from mlopslib.metrics.inputs import Bools, Floats
from mlopslib.metrics.lift import lift_at, lift_table, top_membership
from mlopslib.metrics.ranking import (
    PairedAuc,
    auc_interval,
    ks,
    paired_delong,
    paired_delong_clustered,
)
from mlopslib.metrics.resample import REPLICATES, resample_differences

Verdict = Literal["BETTER", "NOT_WORSE", "WORSE", "CANNOT_TELL"]

#: the best-scored share that lift and the swap set are taken of
TOP_SHARE = 0.1
#: standard errors between no difference and one that 80 % of such samples would show at 95 %
_POWER_80 = 1.959963984540054 + 0.8416212335729143


@dataclass(frozen=True)
class MonthScores:
    """Both models' scores of the customers of one base month, row by row.

    `target` is 1, 0 or NaN; rows without a target are counted and left out of every figure.
    """

    entity: NDArray[Any]
    target: NDArray[Any]
    champion: NDArray[Any]
    challenger: NDArray[Any]


@dataclass(frozen=True)
class ComparisonReport:
    """What a reviewer sees. Every difference is challenger minus champion.

    Attributes
    ----------
    champion, challenger
        Their labels.
    months
        One dict for each fair month, oldest first: ``base_ym, n, positives, without_target``,
        ``auc_champion`` and ``auc_challenger`` ``{value, low, high}``, ``auc_difference``
        ``{value, low, high, p}``, ``ks_champion, ks_challenger, lift10_champion, lift10_challenger``
        (numbers), ``ks_difference, lift10_difference`` ``{value, low, high}``, ``verdict``, ``reason``.
        A month without both classes has None for its figures, CANNOT_TELL, and says why.
    pooled
        The same keys over all rows of the months that could be measured, and ``customers``; None when
        there is no such month.
    excluded
        Month -> why it does not judge both models fairly.
    margin_auc
        The loss of AUC that still counts as not worse, fixed before the look.
    mde_auc
        The smallest AUC difference that such data would show in 80 % of cases; None when unknown.
    deciles
        ``champion`` and ``challenger``: rows of `mlopslib.metrics.lift.lift_table` over the pooled rows.
    swap_set
        ``in_n, in_responders``: customers (rows) that enter the best-scored tenth of the pooled rows when
        the challenger takes over; ``out_n, out_responders``: those that leave it. Ties on the cut count in
        parts. Exactly: responders captured by the challenger minus those by the champion =
        ``in_responders - out_responders``. None when nothing could be measured.
    verdict, sentence
        The decision and one sentence of it.
    worse_months
        Months in which the challenger's AUC was below the champion's, by however little; the month's own
        verdict tells whether by more than chance.
    """

    champion: str
    challenger: str
    months: list[dict[str, Any]]
    pooled: dict[str, Any] | None
    excluded: dict[str, str]
    margin_auc: float
    mde_auc: float | None
    deciles: dict[str, list[dict[str, Any]]]
    swap_set: dict[str, float] | None
    verdict: Verdict
    sentence: str
    worse_months: list[str]

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it: no NaN, no infinity."""
        return asdict(self)


def verdict_of(low: float, high: float, *, margin: float) -> Verdict:
    """The verdict that the 95 % interval of an AUC difference (challenger minus champion) gives.

    - BETTER: the whole interval is above 0;
    - NOT_WORSE: the whole interval is above ``-margin``;
    - WORSE: the whole interval is below 0, and it is not NOT_WORSE: a loss surely smaller than the margin
      is accepted;
    - CANNOT_TELL: everything else.

    Examples
    --------
    >>> verdict_of(0.001, 0.02, margin=0.005), verdict_of(-0.004, 0.02, margin=0.005)
    ('BETTER', 'NOT_WORSE')
    >>> verdict_of(-0.004, -0.001, margin=0.005), verdict_of(-0.03, -0.01, margin=0.005)
    ('NOT_WORSE', 'WORSE')
    >>> verdict_of(-0.03, 0.01, margin=0.005)
    'CANNOT_TELL'
    """
    if low > 0:
        return "BETTER"
    if low > -margin:
        return "NOT_WORSE"
    return "WORSE" if high < 0 else "CANNOT_TELL"


def compare_models(
    months: Mapping[str, MonthScores],
    *,
    margin_auc: float,
    excluded: Mapping[str, str] | None = None,
    champion_label: str = "champion",
    challenger_label: str = "challenger",
    seed: int = 20261122,
    replicates: int = REPLICATES,
) -> ComparisonReport:
    """Compare two models on the same customers in the same months.

    A month's AUC difference has the interval of the paired DeLong test. The pooled one is taken over the
    rows of all months together; because a customer returns each month, its variance adds DeLong's placement
    values within each customer first (`paired_delong_clustered`). Intervals of KS and lift differences come
    from `replicates` draws of whole customers. All intervals are two-sided 95 %, for one look; a policy that
    looks each month and acts on the first BETTER will be wrong more often than one in forty.

    The verdict is that of the pooled AUC interval (`verdict_of`): BETTER if it lies above 0, NOT_WORSE if
    above ``-margin_auc``, WORSE if below 0 without being NOT_WORSE, else CANNOT_TELL. CANNOT_TELL also when
    no month could be measured.

    Parameters
    ----------
    months
        Base month -> scores, for the fair months only (`mlopslib.oot.fair_months`).
    margin_auc
        The largest loss of AUC that still counts as not worse; not negative.
    excluded
        Months that are not fair, with the reason; passed on to the report.
    champion_label, challenger_label
        Names for the sentence, such as ``"v3"``.
    seed
        Of the draws; a month's draws do not depend on which other months there are.
    replicates
        How many draws; AUC, verdict and sentence need none.

    Raises
    ------
    InvalidInput
        If arrays differ in length, a score is missing, a target is not 0, 1 or missing, or the margin is
        negative.

    Examples
    --------
    >>> rng = np.random.default_rng(7)
    >>> target = (rng.random(4000) < 0.2).astype(float)
    >>> signal = target + rng.normal(size=4000)
    >>> scores = MonthScores(
    ...     entity=np.arange(4000), target=target, champion=signal + rng.normal(size=4000), challenger=signal
    ... )
    >>> report = compare_models({"202210": scores}, margin_auc=0.005, challenger_label="v2")
    >>> report.verdict, report.worse_months
    ('BETTER', [])
    """
    if not margin_auc >= 0:
        raise InvalidInput(f"margin_auc is {margin_auc}: it may not be negative", field="margin_auc")
    clean = {validate_ym(ym): _clean(ym, months[ym]) for ym in sorted(months)}
    rows = [_month(ym, scores, margin_auc, seed, replicates) for ym, scores in clean.items()]
    worse = [row["base_ym"] for row in rows if row["auc_difference"] and row["auc_difference"]["value"] < 0]
    measured = [clean[row["base_ym"]] for row in rows if row["auc_difference"]]
    report: dict[str, Any] = {
        "champion": champion_label,
        "challenger": challenger_label,
        "months": rows,
        "excluded": dict(sorted((excluded or {}).items())),
        "margin_auc": float(margin_auc),
        "worse_months": worse,
    }
    if not measured:
        reason = "no month could be measured" if rows else "no month judges both models fairly"
        sentence = (
            f"It cannot be told yet whether {challenger_label} is better than {champion_label}: {reason}."
        )
        return ComparisonReport(
            **report,
            pooled=None,
            mde_auc=None,
            deciles={"champion": [], "challenger": []},
            swap_set=None,
            verdict="CANNOT_TELL",
            sentence=sentence,
        )
    pool = _concatenate(measured)
    paired = paired_delong_clustered(pool.target, pool.challenger, pool.champion, pool.cluster)
    verdict = verdict_of(paired.low, paired.high, margin=margin_auc)
    pooled = _figures(pool, paired, np.random.default_rng([seed, 0]), replicates)
    pooled |= {"verdict": verdict, "reason": "", "customers": int(pool.cluster.max()) + 1}
    mde = _POWER_80 * paired.standard_error
    return ComparisonReport(
        **report,
        pooled=pooled,
        mde_auc=_finite(mde),
        deciles={
            "champion": [asdict(row) for row in lift_table(pool.target, pool.champion)],
            "challenger": [asdict(row) for row in lift_table(pool.target, pool.challenger)],
        },
        swap_set=_swap_set(pool),
        verdict=verdict,
        sentence=_sentence(verdict, report, pooled, mde),
    )


@dataclass(frozen=True)
class _Scores:
    """Checked rows with a target; `cluster` numbers the customers from 0."""

    entity: NDArray[Any]
    cluster: NDArray[np.intp]
    target: Bools
    champion: Floats
    challenger: Floats
    without_target: int


def _clean(ym: str, scores: MonthScores) -> _Scores:
    entity = np.asarray(scores.entity)
    target = np.asarray(scores.target, dtype=np.float64)
    champion = np.asarray(scores.champion, dtype=np.float64)
    challenger = np.asarray(scores.challenger, dtype=np.float64)
    if not entity.shape == target.shape == champion.shape == challenger.shape or target.ndim != 1:
        raise InvalidInput(f"month {ym}: entity, target and both scores must have one length", field=ym)
    known = ~np.isnan(target)
    if not np.isin(target[known], (0.0, 1.0)).all():
        raise InvalidInput(f"month {ym}: target must be 0, 1 or missing", field=ym)
    for name, score in (("champion", champion), ("challenger", challenger)):
        if not np.isfinite(score[known]).all():
            raise InvalidInput(f"month {ym}: a score of the {name} is missing or infinite", field=ym)
    return _Scores(
        entity=entity[known],
        cluster=_numbered(entity[known]),
        target=target[known] == 1.0,
        champion=champion[known],
        challenger=challenger[known],
        without_target=int((~known).sum()),
    )


def _numbered(entity: NDArray[Any]) -> NDArray[np.intp]:
    keys = entity.astype(str) if entity.dtype == object else entity
    return np.unique(keys, return_inverse=True)[1]


def _concatenate(months: list[_Scores]) -> _Scores:
    entity = np.concatenate([month.entity for month in months])
    return _Scores(
        entity=entity,
        cluster=_numbered(entity),
        target=np.concatenate([month.target for month in months]),
        champion=np.concatenate([month.champion for month in months]),
        challenger=np.concatenate([month.challenger for month in months]),
        without_target=sum(month.without_target for month in months),
    )


def _month(ym: str, scores: _Scores, margin: float, seed: int, replicates: int) -> dict[str, Any]:
    positives = int(scores.target.sum())
    if not 0 < positives < len(scores.target):
        return {"base_ym": ym, **_no_figures(scores, positives)}
    paired = paired_delong(scores.target, scores.challenger, scores.champion)
    verdict = verdict_of(paired.low, paired.high, margin=margin)
    figures = _figures(scores, paired, np.random.default_rng([seed, int(ym)]), replicates)
    return {"base_ym": ym, **figures, "verdict": verdict, "reason": ""}


_FIGURES = (
    *("auc_champion", "auc_challenger", "auc_difference"),
    *("ks_champion", "ks_challenger", "ks_difference"),
    *("lift10_champion", "lift10_challenger", "lift10_difference"),
)


def _no_figures(scores: _Scores, positives: int) -> dict[str, Any]:
    n = len(scores.target)
    if n == 0:
        reason = "no row has a target"
    elif positives == 0:
        reason = f"none of the {n:,} rows is a responder"
    else:
        reason = f"all {n:,} rows are responders"
    counts = {"n": n, "positives": positives, "without_target": scores.without_target}
    return {**counts, **dict.fromkeys(_FIGURES), "verdict": "CANNOT_TELL", "reason": reason}


def _figures(scores: _Scores, paired: PairedAuc, rng: np.random.Generator, replicates: int) -> dict[str, Any]:
    target, champion, challenger = scores.target, scores.champion, scores.challenger
    drawn = resample_differences(
        target, challenger, champion, scores.cluster, rng=rng, share=TOP_SHARE, replicates=replicates
    )
    ks_both = ks(target, champion), ks(target, challenger)
    lift_both = (
        lift_at(target, champion, share=TOP_SHARE),
        lift_at(target, challenger, share=TOP_SHARE),
    )
    return {
        "n": len(target),
        "positives": int(target.sum()),
        "without_target": scores.without_target,
        "auc_champion": _value_with(*auc_interval(target, champion)),
        "auc_challenger": _value_with(*auc_interval(target, challenger)),
        "auc_difference": {**_value_with(paired.difference, paired.low, paired.high), "p": paired.p},
        "ks_champion": ks_both[0],
        "ks_challenger": ks_both[1],
        "ks_difference": _value_with(ks_both[1] - ks_both[0], *drawn.ks),
        "lift10_champion": lift_both[0],
        "lift10_challenger": lift_both[1],
        "lift10_difference": _value_with(lift_both[1] - lift_both[0], *drawn.lift),
    }


def _swap_set(pool: _Scores) -> dict[str, float]:
    moved = top_membership(pool.challenger, share=TOP_SHARE) - top_membership(pool.champion, share=TOP_SHARE)
    entering, leaving = np.clip(moved, 0, None), np.clip(-moved, 0, None)
    return {
        "in_n": float(entering.sum()),
        "out_n": float(leaving.sum()),
        "in_responders": float(entering[pool.target].sum()),
        "out_responders": float(leaving[pool.target].sum()),
    }


def _sentence(verdict: Verdict, report: Mapping[str, Any], pooled: Mapping[str, Any], mde: float) -> str:
    champion, challenger = report["champion"], report["challenger"]
    claim = {
        "BETTER": f"{challenger} is better than {champion}",
        "NOT_WORSE": f"{challenger} is not worse than {champion} (it may lose {report['margin_auc']:g} AUC)",
        "WORSE": f"{challenger} is worse than {champion}",
        "CANNOT_TELL": f"It cannot be told yet whether {challenger} is better than {champion}",
    }[verdict]
    difference = pooled["auc_difference"]
    measured = [month for month in report["months"] if month["auc_difference"]]
    count = f"{len(measured)} month" + ("" if len(measured) == 1 else "s")
    reached = f"{pooled['auc_challenger']['value']:.4f} against {pooled['auc_champion']['value']:.4f}"
    interval = f"{difference['value']:+.4f} (95% {difference['low']:+.4f} to {difference['high']:+.4f})"
    customers = f"{pooled['customers']:,} customers"
    words = f"{claim}: AUC {reached}, {interval} over {count} and {customers}."
    if verdict == "CANNOT_TELL" and math.isfinite(mde):
        words += f" A difference below {mde:.4f} would often not show on this data."
    return f"{words} {_worse_words(measured, len(report['worse_months']))}"


def _worse_words(measured: list[dict[str, Any]], worse: int) -> str:
    if not worse:
        return "It was worse in no month."
    named = []
    for month in measured:
        lost = -month["auc_difference"]["value"]
        if lost > 0:
            sure = ", more than chance" if month["auc_difference"]["high"] < 0 else ""
            named.append(f"{month['base_ym'][:4]}-{month['base_ym'][4:]} (by {lost:.4f}{sure})")
    return f"It was worse in {' and '.join(filter(None, (', '.join(named[:-1]), named[-1])))}."


def _value_with(value: float, low: float, high: float) -> dict[str, float | None]:
    return {"value": _finite(value), "low": _finite(low), "high": _finite(high)}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
