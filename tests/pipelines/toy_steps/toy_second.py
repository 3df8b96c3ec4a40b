"""Reads what the first step left."""

from mlopslib.steps.base import StepContext, StepResult


def run(ctx: StepContext) -> StepResult:
    found = ctx.artifacts.read_json(ctx.inputs["first"].sha256)
    return StepResult(f"read {found['base_ym']}", {"inputs": sorted(ctx.inputs)})
