"""Rows of numeric columns by bins whose edges are known: one scan for a batch of columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mlopslib.eda.describe import Step
from mlopslib.eda.source import Source, batches, bin_of, column, number

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class BinCounts:
    """One count for each interval ``(edges[i-1], edges[i]]``, the outer ones open, then missing.

    `known` and `positives` count the rows with a target and the responders; zeros without a target.
    """

    rows: Counts
    known: Counts
    positives: Counts


def count_bins(
    source: Source, edges: Mapping[str, Sequence[float]], *, on_step: Step = lambda done: None
) -> dict[str, BinCounts]:
    """Counts of every column in `edges`, whose edges rise.

    The columns of a batch are crossed with their numbers and counted together, so the rows are read once.
    """
    found: dict[str, BinCounts] = {}
    for batch in batches(list(edges), source.features_at_once):
        found |= _count_batch(source, {name: edges[name] for name in batch})
        on_step(len(batch))
    return found


def fold(edges: Sequence[float], fine: Sequence[float], counts: BinCounts) -> BinCounts:
    """Counts by `edges` from counts by finer edges, which hold all of `edges`."""
    bounds = [0, *(fine.index(edge) + 1 for edge in edges), len(fine) + 1]

    def merged(values: Counts) -> Counts:
        sums = [int(values[low:high].sum()) for low, high in pairwise(bounds)]
        return np.array([*sums, int(values[-1])], dtype=np.int64)

    return BinCounts(merged(counts.rows), merged(counts.known), merged(counts.positives))


def _count_batch(source: Source, edges: Mapping[str, Sequence[float]]) -> dict[str, BinCounts]:
    has_target = source.target_sql is not None
    names = list(edges)
    outputs = [f"{column(name)} AS x{place}" for place, name in enumerate(names)]
    if has_target:
        outputs.append("CAST(y.target AS DOUBLE) AS y")
    chains = " ".join(f"WHEN {place} THEN {_chain(place, edges[name])}" for place, name in enumerate(names))
    numbers = " UNION ALL ".join(f"SELECT {place} AS f" for place in range(len(names)))
    target = ", COUNT(y) AS k, SUM(y) AS p" if has_target else ""
    sql = (
        f"SELECT f, b, COUNT(*) AS n{target} FROM ("  # noqa: S608
        f"SELECT g.f AS f, CASE g.f {chains} END AS b{', s.y AS y' if has_target else ''} "
        f"FROM ({source.select(outputs)}) s CROSS JOIN ({numbers}) g) w GROUP BY f, b"
    )
    counts = {name: np.zeros((3, len(edges[name]) + 2), dtype=np.int64) for name in names}
    table = source.read(sql)
    for row in zip(*(values.to_pylist() for values in table.columns), strict=True):
        place, bin_number, *figures = row
        # the bin of the missing rows is -1: the last one
        counts[names[int(place)]][: len(figures), int(bin_number)] = [int(figure or 0) for figure in figures]
    return {name: BinCounts(*counts[name]) for name in names}


def _chain(place: int, edges: Sequence[float]) -> str:
    found = bin_of(f"s.x{place}", [number(edge) for edge in edges])
    return f"CASE WHEN s.x{place} IS NULL THEN -1 ELSE {found} END"
