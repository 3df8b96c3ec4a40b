"""`manage.py run_step STEP_ID FENCE`: the process of one step. Workers start it; people do not."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from mlopslib.errors import StepCancelled

_PR_SET_PDEATHSIG = 1


class Command(BaseCommand):
    help = "Run one claimed step and record its result (started by the workers)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("step_id", type=int)
        parser.add_argument("fence", type=int)
        parser.add_argument("--folder", type=Path, help="given by the supervisor: end when stdin closes")

    def handle(self, *args: Any, step_id: int, fence: int, folder: Path | None, **options: Any) -> None:
        signal.signal(signal.SIGTERM, _stop)
        if folder is not None:
            _die_with_supervisor()
        from apps.pipelines.child import run_step  # after the watch is set: its imports take a while

        if folder is not None:
            sys.exit(run_step(step_id, fence, folder / "work"))
        with tempfile.TemporaryDirectory() as workdir:
            sys.exit(run_step(step_id, fence, Path(workdir)))


def _stop(signum: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise StepCancelled("told to stop")


def _die_with_supervisor() -> None:
    """No orphan at work: the kernel's parent-death signal, and end-of-file on the pipe from the supervisor.

    The signal reaches this process alone; the pipe's thread then ends the whole group, a JVM included.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    pipe = os.dup(0)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    threading.Thread(target=_kill_group_at_end_of, args=(pipe,), name="supervised", daemon=True).start()


def _kill_group_at_end_of(pipe: int) -> None:
    while os.read(pipe, 1):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)
