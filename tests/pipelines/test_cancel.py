"""Cancelling: at once where nothing runs, within seconds where something does, and never both ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from apps.pipelines import child, executor
from apps.pipelines.errors import RunEnded
from apps.pipelines.models import Artifact, PipelineRun, StepRun
from apps.pipelines.services import cancel_run, resume_run
from mlopslib.errors import AccessDenied, StepCancelled
from mlopslib.steps.base import StepResult
from portal.models import AuditEvent
from tests.factories import make_user
from tests.pipelines.conftest import is_alive, pids_of_slow_step

pytestmark = pytest.mark.database

Start = Callable[..., PipelineRun]


def test_cancel_during_a_step_ends_its_process_and_all_it_started(
    start: Start, toys: Path, background: Callable[..., threading.Thread]
) -> None:
    run = start("toy_slow", "toy_second")
    thread = background(executor.work, run.steps.first().pk)
    pids = pids_of_slow_step(toys)
    asked = time.monotonic()
    run = cancel_run(actor=run.requested_by, run=run)
    assert run.status == "RUNNING" and run.cancel_requested_at
    cancel_run(actor=run.requested_by, run=run)
    thread.join()
    assert time.monotonic() - asked < 10
    run.refresh_from_db()
    assert run.status == "CANCELLED"
    assert [step.state for step in run.steps.all()] == ["CANCELLED", "CANCELLED"]
    assert not any(map(is_alive, pids))
    assert not Artifact.objects.exists()
    assert AuditEvent.objects.filter(action="run.cancel_requested").count() == 1
    assert AuditEvent.objects.filter(action="run.cancelled").count() == 1


def test_waiting_run_is_cancelled_at_once_and_can_be_resumed(start: Start) -> None:
    run = start("toy_first", "toy_second")
    run = cancel_run(actor=run.requested_by, run=run)
    assert run.status == "CANCELLED"
    assert executor.claim(run.steps.first().pk) is None
    with pytest.raises(RunEnded, match="CANCELLED already"):
        cancel_run(actor=run.requested_by, run=run)
    run = resume_run(actor=run.requested_by, run=run)
    assert [step.state for step in run.steps.all()] == ["READY", "PENDING"]
    assert executor.claim(run.steps.first().pk) == 1
    with pytest.raises(RunEnded, match="only a failed or cancelled"):
        resume_run(actor=run.requested_by, run=run)


def test_result_that_comes_after_the_cancel_is_not_kept(start: Start) -> None:
    run = start("toy_first")
    step = run.steps.get()
    fence = executor.claim(step.pk)
    step.refresh_from_db()
    cancel_run(actor=run.requested_by, run=run)
    with pytest.raises(StepCancelled):
        child.commit(step, fence, StepResult("too late"))
    step.refresh_from_db()
    assert (step.state, step.summary) == ("RUNNING", "")


def test_cancel_is_carried_out_by_the_reaper_where_the_worker_is_lost(start: Start) -> None:
    run = start("toy_first")
    step = run.steps.get()
    executor.claim(step.pk)
    cancel_run(actor=run.requested_by, run=run)
    StepRun.objects.filter(pk=step.pk).update(lease_until="2020-01-01T00:00:00Z")
    executor.reap()
    run.refresh_from_db()
    assert (run.status, run.steps.get().state) == ("CANCELLED", "CANCELLED")


def test_cancel_against_finish_has_one_winner(
    start: Start, background: Callable[..., threading.Thread]
) -> None:
    ends = set()
    for _ in range(8):
        run = start("toy_first")
        step = run.steps.get()
        fence = executor.claim(step.pk)
        step.refresh_from_db()
        together = threading.Barrier(2)

        def finish(barrier: threading.Barrier, step: StepRun, fence: int) -> None:
            barrier.wait()
            try:
                child.commit(step, fence, StepResult("done"))
            except StepCancelled:
                executor.states.cancel(step.pk, fence)

        def cancel(barrier: threading.Barrier, run: PipelineRun) -> None:
            barrier.wait()
            try:
                cancel_run(actor=run.requested_by, run=run)
            except RunEnded:
                return

        threads = [background(finish, together, step, fence), background(cancel, together, run)]
        for thread in threads:
            thread.join()
        run.refresh_from_db()
        assert run.status == run.steps.get().state
        ends.add(run.status)
    assert ends <= {"CANCELLED", "SUCCEEDED"}


def test_viewer_cannot_cancel(start: Start) -> None:
    run = start("toy_first")
    with pytest.raises(AccessDenied):
        cancel_run(actor=make_user("viewer"), run=run)
    run.refresh_from_db()
    assert run.cancel_requested_at is None
