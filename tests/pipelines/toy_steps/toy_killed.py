"""Killed after its artefact is written and before anything is committed, as often as the params say."""

import os
import signal
from pathlib import Path

from mlopslib.steps.base import StepContext, StepResult


def run(ctx: StepContext) -> StepResult:
    artifact = ctx.artifacts.put_json({"whole": True})
    deaths = Path(os.environ["TOY_FOLDER"]) / "deaths"
    before = int(deaths.read_text()) if deaths.exists() else 0
    if before < int(os.environ["TOY_DEATHS"]):
        deaths.write_text(str(before + 1))
        print("about to be killed", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return StepResult("survived", {}, {"whole": artifact})
