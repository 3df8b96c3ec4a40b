"""Waits, with a process of its own beside it, until the test lets it go on."""

import os
import subprocess
import sys
import time
from pathlib import Path

from mlopslib.steps.base import StepContext, StepResult


def run(ctx: StepContext) -> StepResult:
    folder = Path(os.environ["TOY_FOLDER"])
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    pids = folder / f"pids-{os.getpid()}"
    (folder / "writing").write_text(f"{os.getpid()} {helper.pid}")
    os.replace(folder / "writing", pids)
    while not (folder / "go on").exists():
        if (folder / "report").exists():
            ctx.progress(1, 2, "waiting")
        time.sleep(0.02)
    helper.kill()
    helper.wait()
    return StepResult("was let go", {}, {"slow": ctx.artifacts.put_json({"slow": True})})
