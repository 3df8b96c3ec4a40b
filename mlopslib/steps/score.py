"""Score the months of a monitoring run with the package that serves."""

from __future__ import annotations

from mlopslib.package.read import read_package
from mlopslib.scoring import load_scorer
from mlopslib.steps.base import StepContext, StepResult
from mlopslib.steps.tables import get_frame, own_columns, put_frame, spec_of


def run(ctx: StepContext) -> StepResult:
    """Artefact ``scores``: the entity key, ``base_ym``, ``part``, ``target``, ``score``."""
    spec = spec_of(ctx)
    frame = get_frame(ctx, "dataset")
    ctx.progress(0, 1, f"Scoring {len(frame):,} rows")
    package = read_package(ctx.artifacts, ctx.params["package_sha256"])
    score = load_scorer(package).score_columns(own_columns(frame, spec))
    scores = frame[[spec.entity_key, "base_ym", "part", "target"]].assign(score=score)
    ctx.progress(1, 1, "")
    return StepResult(
        summary=f"{len(scores):,} rows scored by {package.sha256[:12]}, mean score {score.mean():.4f}",
        metrics={"rows": len(scores), "mean_score": float(score.mean())},
        artifacts={"scores": put_frame(ctx, scores, "scores")},
    )
