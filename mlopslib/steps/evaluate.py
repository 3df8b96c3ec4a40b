"""Figures of the trained model on the training months: learned rows, and customers held out."""

from __future__ import annotations

from mlopslib.scoring import NativeScorer
from mlopslib.steps.base import StepContext, StepResult
from mlopslib.steps.figures import evaluation
from mlopslib.steps.tables import get_frame, get_json, get_text, own_columns, spec_of


def run(ctx: StepContext) -> StepResult:
    """Artefact ``evaluation``; evaluations TRAIN and TEST, by the scorer that will serve."""
    spec = spec_of(ctx)
    prepared = get_frame(ctx, "prepared")
    scorer = NativeScorer(get_json(ctx, "preparation")["contract"], get_text(ctx, "booster"))
    rows = []
    for number, part in enumerate(("train", "test")):
        ctx.progress(number, 2, f"Scoring the {part} rows")
        frame = prepared[prepared["part"] == part]
        if frame.empty:
            continue
        score = scorer.score_columns(own_columns(frame, spec))
        entity = frame[spec.entity_key].to_numpy(dtype=object)
        row = evaluation(part.upper(), "", score, frame["target"].to_numpy(dtype="float64"), entity=entity)
        rows.append(row)
        ctx.log(f"{part}: {_sentence(row)}")
    ctx.progress(2, 2, "")
    return StepResult(
        summary="; ".join(f"{row['dataset']} {_sentence(row)}" for row in rows),
        metrics={"evaluations": rows},
        artifacts={"evaluation": ctx.artifacts.put_json({"evaluations": rows})},
    )


def _sentence(row: dict[str, object]) -> str:
    if row["auc"] is None:
        return f"{row['rows']:,} rows, one class only"
    return f"AUC {row['auc']:.3f}, KS {row['ks']:.3f}, lift at 10% {row['lift_at_10']:.2f}"
