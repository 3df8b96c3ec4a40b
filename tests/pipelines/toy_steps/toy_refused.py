"""Writes an artefact, then finds data that it cannot work with."""

from mlopslib.errors import EmptyMonth
from mlopslib.steps.base import StepContext, StepResult


def run(ctx: StepContext) -> StepResult:
    ctx.artifacts.put_json({"never": "seen"})
    ctx.log("looking at the month")
    raise EmptyMonth(f"base month {ctx.base_ym} has no rows", field="base_ym")
