"""The monitored month, and the month whose labels have become complete."""

from __future__ import annotations

from collections.abc import Sequence

from mlopslib.definition import Windows
from mlopslib.oot import fair_months, latest_mature
from mlopslib.steps.base import StepContext, StepResult
from mlopslib.steps.monthly import MonthReader
from mlopslib.steps.tables import check_columns, dataset_columns, put_frame, spec_of


def run(ctx: StepContext) -> StepResult:
    """Artefact ``dataset``: part ``recent`` is the run's base month, which has no labels yet; part ``mature``
    the youngest month that has, unless the version was trained on it or too close to it.
    """
    spec = spec_of(ctx)
    check_columns(spec)
    mature = latest_mature(ctx.base_ym, spec.windows)
    reason = _not_fair(mature, ctx.params.get("train_months", ()), spec.windows, ctx.base_ym)
    parts = {ctx.base_ym: "recent"}
    if reason:
        ctx.log(f"{mature} is not measured: {reason}")
    else:
        parts[mature] = "mature"
    reader = MonthReader(ctx, spec, dataset_columns(spec, None))
    frame = reader.read(parts, with_target=() if reason else (mature,))
    words = f"{mature} is not measured: {reason}" if reason else f"labels of {mature}"
    return StepResult(
        summary=f"{len(frame):,} rows: {ctx.base_ym} without labels; {words}",
        metrics={
            "months": parts,
            "tables": reader.versions,
            "rows": len(frame),
            "materialised": reader.materialised,
        },
        artifacts={"dataset": put_frame(ctx, frame, "dataset")},
    )


def _not_fair(month: str, train_months: Sequence[str], windows: Windows, at_base_ym: str) -> str:
    """Why figures of the month would flatter the version; empty where they would not."""
    found = fair_months(
        [month],
        champion_train=train_months,
        challenger_train=train_months,
        windows=windows,
        at_base_ym=at_base_ym,
    )
    return found.excluded.get(month, "").replace("the champion", "the version")
