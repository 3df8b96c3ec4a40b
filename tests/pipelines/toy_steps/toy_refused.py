"""Writes an artefact, then finds data that it cannot work with, until the test lets it go on."""

import os
from pathlib import Path

from mlopslib.errors import EmptyMonth
from mlopslib.steps.base import StepContext, StepResult


def run(ctx: StepContext) -> StepResult:
    if (Path(os.environ["TOY_FOLDER"]) / "go on").exists():
        return StepResult("the month has rows now")
    ctx.artifacts.put_json({"never": "seen"})
    ctx.log("looking at the month")
    raise EmptyMonth(f"base month {ctx.base_ym} has no rows", field="base_ym")
