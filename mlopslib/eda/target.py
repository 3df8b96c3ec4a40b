"""How much each column says about a target: information value and AUC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlopslib.eda.bins import BinCounts
from mlopslib.eda.describe import Levels, Numbers
from mlopslib.eda.report import TargetBin, TargetFeature
from mlopslib.eda.source import Source
from mlopslib.errors import DataError, SingleClassTarget
from mlopslib.metrics.association import auc_of_sums, merge_monotone, weight_of_evidence
from mlopslib.metrics.psi import MISSING

#: levels of a category that have a bin of their own
TARGET_LEVELS = 20
REST = "all others"


def check_target(source: Source) -> tuple[int, int]:
    """Rows of the source with a known target, and how many of them respond.

    Raises
    ------
    DataError
        The target query gives an entity twice, a value that is not 0, 1 or NULL, or fits no row.
    SingleClassTarget
        All rows with a target are of one class.
    """
    query = f"(\n{source.target_sql}\n) q"
    value = "CAST(q.target AS DOUBLE)"
    rows, entities, odd = source.row(
        f"SELECT COUNT(*), COUNT(DISTINCT q.`{source.key}`), "  # noqa: S608
        f"COALESCE(SUM(CASE WHEN q.target IS NULL OR {value} = 0 OR {value} = 1 THEN 0 ELSE 1 END), 0) "
        f"FROM {query}"
    )
    if rows != entities:
        raise DataError(
            f"the target query gives {rows:,} rows for {entities:,} entities: one row for each "
            f"{source.key} is needed",
            field="target",
        )
    if odd:
        raise DataError("the target is something else than 0, 1 or NULL", field="target")
    known, positives = source.row(
        source.select(["COUNT(y.target)", "COALESCE(SUM(CAST(y.target AS DOUBLE)), 0)"])
    )
    known, positives = int(known), int(positives)
    if not known:
        raise DataError(
            f"no row has a target: does the target query cover this month, and is {source.key} of the same "
            "type in it?",
            field="target",
        )
    if positives in (0, known):
        raise SingleClassTarget(
            f"the target is {int(positives > 0)} in all of {known:,} rows: both 0 and 1 are needed",
            field="target",
        )
    return known, positives


def target_of_number(item: Numbers, edges: Sequence[float], counts: BinCounts) -> TargetFeature:
    """From counts by quantile bins (missing last) and the sums over ranks."""
    labels = [*_interval_labels(edges), MISSING]
    bins = _bins(labels, counts.known.tolist(), counts.positives.tolist())
    auc = auc_of_sums(item.ranks) if item.ranks else None
    rows, hits = counts.known[:-1].tolist(), counts.positives[:-1].tolist()
    merged = merge_monotone(rows, hits, rising=auc is None or auc[0] >= 0.5)
    spans = [(first, last) for first, last in merged if sum(rows[first : last + 1])]
    names = [_span_label(edges, first, last) for first, last in spans]
    monotone = _bins(
        [*names, MISSING],
        [*(sum(rows[first : last + 1]) for first, last in spans), int(counts.known[-1])],
        [*(sum(hits[first : last + 1]) for first, last in spans), int(counts.positives[-1])],
    )
    value, low, high = auc or (None, None, None)
    return TargetFeature(item.name, sum(b.iv for b in bins), value, low, high, tuple(bins), tuple(monotone))


def target_of_category(item: Levels, known: int, positives: int) -> TargetFeature:
    """From the counts of its levels; `known` and `positives` are those of all rows with a target."""
    kept = item.levels[:TARGET_LEVELS]
    labels = [level.value for level in kept]
    rows = [level.known for level in kept]
    hits = [level.positives for level in kept]
    if item.distinct > len(kept):
        labels.append(REST)
        rows.append(item.known - sum(rows))
        hits.append(item.positives - sum(hits))
    # what no level holds has no category
    bins = _bins([*labels, MISSING], [*rows, known - sum(rows)], [*hits, positives - sum(hits)])
    return TargetFeature(item.name, sum(b.iv for b in bins), None, None, None, tuple(bins))


def by_name(features: Sequence[TargetFeature], order: Sequence[str]) -> tuple[TargetFeature, ...]:
    found: Mapping[str, TargetFeature] = {item.name: item for item in features}
    return tuple(found[name] for name in order if name in found)


def _bins(labels: Sequence[str], rows: Sequence[int], positives: Sequence[int]) -> list[TargetBin]:
    woe, parts = weight_of_evidence(rows, positives)
    found = [
        TargetBin(label, n, hits, hits / n if n else None, float(weight), float(part))
        for label, n, hits, weight, part in zip(labels, rows, positives, woe, parts, strict=True)
    ]
    # a bin of missing rows that no row is in is not worth a line
    return found if rows[-1] else found[:-1]


def _interval_labels(edges: Sequence[float]) -> list[str]:
    return [_span_label(edges, place, place) for place in range(len(edges) + 1)]


def _span_label(edges: Sequence[float], first: int, last: int) -> str:
    low = f"{edges[first - 1]:.6g}" if first else None
    high = f"{edges[last]:.6g}" if last < len(edges) else None
    if low is None and high is None:
        return "any value"
    if low is None:
        return f"<= {high}"
    return f"> {low}" if high is None else f"({low}, {high}]"
