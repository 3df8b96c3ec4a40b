"""Returns a figure that JSON cannot hold."""

from mlopslib.steps.base import StepContext, StepResult


def run(ctx: StepContext) -> StepResult:
    return StepResult("done", {"auc": float("nan")}, {"report": ctx.artifacts.put_json({})})
