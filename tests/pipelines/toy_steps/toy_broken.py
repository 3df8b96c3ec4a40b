"""Fails in a way that nobody planned."""

from mlopslib.steps.base import StepContext, StepResult


def run(ctx: StepContext) -> StepResult:
    return {}["no such key"]
