"""Runs out of memory."""

from mlopslib.steps.base import StepContext, StepResult


def run(ctx: StepContext) -> StepResult:
    raise MemoryError
