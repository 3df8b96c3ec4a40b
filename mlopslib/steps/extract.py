"""Join the feature sets by entity at each base month with the target of that month."""

from __future__ import annotations

from mlopslib.errors import SingleClassTarget
from mlopslib.oot import plan_months
from mlopslib.steps.base import StepContext, StepResult
from mlopslib.steps.monthly import MonthReader
from mlopslib.steps.tables import champion_of, check_columns, dataset_columns, put_frame, spec_of
from mlopslib.training import read_params


def run(ctx: StepContext) -> StepResult:
    """Months that are not in the offline store yet are made first; then every table is pinned.

    Artefact ``dataset``: the entity key, ``base_ym``, ``part`` (train, oot, recent), ``target`` and the
    inputs of the model and of its champion.
    """
    spec = spec_of(ctx)
    check_columns(spec)
    # before an hour of reading, not after it
    read_params(spec.params)
    champion = champion_of(ctx)
    plan = plan_months(ctx.base_ym, spec.windows)
    parts = {
        **dict.fromkeys(plan.train, "train"),
        **dict.fromkeys(plan.oot, "oot"),
        **dict.fromkeys(plan.recent, "recent"),
    }
    ctx.log(f"train {_span(plan.train)}, OOT {_span(plan.oot)}, without labels yet {_span(plan.recent)}")
    reader = MonthReader(ctx, spec, dataset_columns(spec, champion[1] if champion else None))
    frame = reader.read(parts, with_target=(*plan.train, *plan.oot))
    for part in ("train", "oot"):
        known = frame.loc[(frame["part"] == part) & frame["target"].notna(), "target"]
        if known.nunique() < 2:
            value = f"{known.iloc[0]:.0f} in all of {len(known):,} rows" if len(known) else "nowhere"
            raise SingleClassTarget(
                f"the target is {value} of the {part} months: both 0 and 1 are needed", field="target"
            )
    rows = frame.groupby("part").size().to_dict()
    rate = frame.loc[frame["part"] == "train", "target"].mean()
    made = f", {len(reader.materialised)} partitions made first" if reader.materialised else ""
    return StepResult(
        summary=f"{len(frame):,} rows in {len(parts)} months; {rate:.1%} of the training rows respond{made}",
        metrics={
            "months": {
                "train": list(plan.train),
                "embargo": list(plan.embargo),
                "oot": list(plan.oot),
                "recent": list(plan.recent),
            },
            "rows": {part: int(rows.get(part, 0)) for part in ("train", "oot", "recent")},
            "positives": int(frame["target"].sum()),
            "tables": reader.versions,
            "materialised": reader.materialised,
        },
        artifacts={"dataset": put_frame(ctx, frame, "dataset")},
    )


def _span(months: tuple[str, ...]) -> str:
    if not months:
        return "none"
    return months[0] if len(months) == 1 else f"{months[0]} to {months[-1]}"
