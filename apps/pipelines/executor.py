"""Run steps: claim a row, start its process, keep the lease, and settle what the process left behind.

The supervisor here is light: the step itself runs in a process of its own (`manage.py run_step`), started
afresh and never forked, because LightGBM's threads do not survive a fork. Whatever kills that process
kills a step, not a worker; and whatever kills the worker ends the process too.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from enum import StrEnum
from pathlib import Path

from django.conf import settings
from django.db import Error as AnyDatabaseError
from django.db import connection

from apps.pipelines import states
from apps.pipelines.errors import EXIT_MEMORY, EXIT_STOPPED
from apps.pipelines.models import StepLog, StepRun

logger = logging.getLogger(__name__)

#: set when the worker is asked to leave: running steps are handed back, no new one is taken
stopping = threading.Event()
_slots = threading.BoundedSemaphore(settings.STEP_SLOTS)

_POLL_SECONDS = 0.1
_LOOK_SECONDS = 1.0
_GRACE_SECONDS = 5.0
_TAIL_BYTES = 4000

claim = states.claim


class _End(StrEnum):
    """Why a supervisor stopped watching."""

    EXITED = "exited"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    LEAVING = "leaving"
    LOST = "lost"


def work(step_id: int) -> None:
    """Run this step, then whatever else is due, as long as this process has a free slot.

    Without a free slot the step stays READY: the slot that comes free next looks at the rows itself.
    """
    next_id: int | None = step_id
    while next_id is not None and not stopping.is_set():
        if not _slots.acquire(blocking=False):
            return
        try:
            _drain(next_id)
        finally:
            _slots.release()
        # a bell may have found the slot taken just before it came free
        next_id = _next_due()


def _drain(step_id: int | None) -> None:
    while step_id is not None and not stopping.is_set():
        fence = claim(step_id)
        if fence is not None:
            supervise(step_id, fence)
        step_id = _next_due()


def _next_due() -> int | None:
    return StepRun.objects.due().values_list("pk", flat=True).first()


def supervise(step_id: int, fence: int) -> None:
    """Run a claimed step in its own process until it ends, is cancelled, too slow, or no longer ours."""
    folder = _fresh_folder(step_id, fence)
    child = spawn(step_id, fence, folder)
    try:
        end = _watch(child, step_id, fence)
        _stop(child, at_once=end in (_End.EXITED, _End.LOST))
        _settle(end, child.returncode, step_id, fence, folder)
    finally:
        _stop(child, at_once=True)
        shutil.rmtree(folder, ignore_errors=True)


def reap() -> int:
    """Take back steps whose supervisor no longer keeps the lease; returns how many."""
    taken = 0
    for step_id, fence in list(StepRun.objects.expired().values_list("pk", "fence")):
        state = states.lose(step_id, fence, "its worker was lost", only_expired=True)
        if state is None:
            continue
        logger.warning("step %s: its worker was lost, now %s", step_id, state)
        taken += 1
    return taken


def spawn(step_id: int, fence: int, folder: Path) -> subprocess.Popen[bytes]:
    """Start the step's process in a session of its own; it ends itself when its stdin closes."""
    with open(folder / "output.log", "wb") as output:
        return subprocess.Popen(
            [
                *(sys.executable, "-X", "faulthandler", str(settings.BASE_DIR / "manage.py"), "run_step"),
                *(str(step_id), str(fence), "--folder", str(folder)),
            ],
            cwd=settings.BASE_DIR,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _fresh_folder(step_id: int, fence: int) -> Path:
    """A folder for this attempt; those of attempts that can no longer count are removed."""
    root: Path = settings.GIJUN_HOME / "work"
    for stale in root.glob(f"step-{step_id}-*"):
        shutil.rmtree(stale, ignore_errors=True)
    folder = root / f"step-{step_id}-{fence}"
    (folder / "work").mkdir(parents=True)
    return folder


def _watch(child: subprocess.Popen[bytes], step_id: int, fence: int) -> _End:
    """Keep the lease until there is a reason to stop."""
    lease = settings.STEP_LEASE_SECONDS
    started = kept = looked = time.monotonic()
    while not _has_ended(child):
        now = time.monotonic()
        if stopping.is_set():
            return _End.LEAVING
        if now - started > settings.STEP_TIMEOUT_SECONDS:
            return _End.TIMEOUT
        if now - kept > lease * 2 / 3:
            # better dead than double: nobody else may start before the lease ends
            logger.error("step %s: no heartbeat for %.0f s, giving it up", step_id, now - kept)
            return _End.LOST
        if now - looked < min(_LOOK_SECONDS, lease / 3):
            continue
        looked = now
        try:
            held = StepRun.objects.held(step_id, fence).values("run__cancel_requested_at").first()
            if held is None:
                return _recorded_or_lost(child)
            if held["run__cancel_requested_at"]:
                return _End.CANCELLED
            if now - kept >= lease / 3 and states.keep_lease(step_id, fence):
                kept = now
        except AnyDatabaseError as error:
            logger.warning("step %s: no heartbeat: %s", step_id, error)
            connection.close()
    return _End.EXITED


def _recorded_or_lost(child: subprocess.Popen[bytes]) -> _End:
    """The row is not held: the process has just recorded its result and is leaving, or it is fenced off."""
    deadline = time.monotonic() + _GRACE_SECONDS
    while time.monotonic() < deadline:
        if _has_ended(child):
            return _End.EXITED
    return _End.LOST


def _has_ended(child: subprocess.Popen[bytes]) -> bool:
    try:
        child.wait(_POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _stop(child: subprocess.Popen[bytes], *, at_once: bool) -> None:
    """End the process and everything it started (a JVM, for one)."""
    if not at_once and child.poll() is None:
        child.terminate()
        deadline = time.monotonic() + _GRACE_SECONDS
        while time.monotonic() < deadline and not _has_ended(child):
            pass
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if child.stdin:
        child.stdin.close()


def _settle(end: _End, code: int, step_id: int, fence: int, folder: Path) -> None:
    """Record what the process could not record itself; where it did, nothing here changes a row."""
    if end is _End.CANCELLED:
        states.cancel(step_id, fence)
    elif end is _End.TIMEOUT:
        states.fail(step_id, fence, _timeout_error(step_id))
    elif end is _End.LEAVING:
        states.hand_back(step_id, fence)
    elif end is _End.EXITED and code != 0:
        step = StepRun.objects.held(step_id, fence).first()
        if step is None:
            return
        reason = _death(code)
        _keep_tail(step, folder, reason)
        logger.warning("%s: %s, now %s", step, reason, states.lose(step_id, fence, reason))


def _timeout_error(step_id: int) -> dict[str, object]:
    name = StepRun.objects.values_list("name", flat=True).get(pk=step_id)
    message = f"not done after {settings.STEP_TIMEOUT_SECONDS:,} s, the limit of STEP_TIMEOUT_SECONDS"
    return {"code": "timeout", "message": message, "field": None, "step": name}


def _death(code: int) -> str:
    if code == EXIT_MEMORY:
        return "it ran out of memory"
    if code == EXIT_STOPPED:
        return "its process was told to stop"
    if code == -signal.SIGKILL:
        return "its process was killed (where memory is short, the system kills the largest)"
    if code < 0:
        return f"its process died of {signal.Signals(-code).name}"
    return f"its process ended with code {code}"


def _keep_tail(step: StepRun, folder: Path, reason: str) -> None:
    """What the process printed last goes to the step's log: nothing else can tell why it died."""
    data = (folder / "output.log").read_bytes()[-_TAIL_BYTES:]
    tail = data.decode(errors="replace").replace("\x00", "").strip()
    StepLog.objects.create(step=step, attempt=step.attempt, text="\n".join(filter(None, [tail, reason])))
