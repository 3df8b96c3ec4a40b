"""Whatever dies, a run ends with one result of each step, or with the reason why there is none."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from apps.pipelines import child, executor, states
from apps.pipelines.errors import EXIT_STOPPED, FenceLost
from apps.pipelines.models import Artifact, PipelineRun, StepLog, StepRun
from mlopslib.artifacts import ArtifactStore
from mlopslib.steps.base import StepResult
from tests.pipelines.conftest import LEASE, drive, eventually, is_alive, pids_of_slow_step

pytestmark = pytest.mark.database

Start = Callable[..., PipelineRun]


def test_step_killed_between_its_artefact_and_its_commit_is_done_again(
    start: Start, toys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_DEATHS", "1")
    run = drive(start("toy_killed"))
    step = run.steps.get()
    assert (run.status, step.summary, step.attempt, step.deaths) == ("SUCCEEDED", "survived", 2, 1)
    assert Artifact.objects.filter(step=step).count() == 1
    assert "about to be killed" in StepLog.objects.get(step=step, attempt=1).text


def test_step_that_dies_twice_is_not_tried_a_third_time(
    start: Start, toys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_DEATHS", "9")
    run = drive(start("toy_killed", "toy_second"))
    killed, second = run.steps.all()
    assert (run.status, killed.state, killed.attempt, second.state) == ("FAILED", "FAILED", 2, "PENDING")
    assert (run.error["code"], run.error["step"]) == ("worker-lost", "toy_killed")
    assert "2 times" in run.error["message"]
    assert not Artifact.objects.exists()
    assert (toys / "deaths").read_text() == "2"


def test_step_without_memory_fails_with_that_reason(start: Start) -> None:
    run = start("toy_hungry")
    run.steps.update(deaths=1)
    assert drive(run).status == "FAILED"
    assert "out of memory" in run.error["message"]


def test_killed_worker_takes_its_step_along_and_another_does_it(
    start: Start, toys: Path, worker: Callable[[int], Any]
) -> None:
    run = start("toy_slow")
    step = run.steps.get()
    lost = worker(step.pk)
    pids = pids_of_slow_step(toys)
    lost.kill()
    eventually(lambda: not any(map(is_alive, pids)), seconds=5)
    step.refresh_from_db()
    assert step.state == "RUNNING"
    (toys / "go on").touch()
    drive(run)
    step.refresh_from_db()
    assert (run.status, step.attempt, step.fence, step.deaths) == ("SUCCEEDED", 2, 2, 1)
    assert list(toys.glob("home/work/*")) == []


def test_zombie_that_wakes_after_its_lease_changes_nothing(
    start: Start, toys: Path, worker: Callable[[int], Any]
) -> None:
    run = start("toy_slow")
    step = run.steps.get()
    zombie = worker(step.pk)
    process, helper = pids_of_slow_step(toys)
    for pid in (zombie.pid, process):
        os.kill(pid, signal.SIGSTOP)
    (toys / "go on").touch()
    drive(run)
    step.refresh_from_db()
    committed = Artifact.objects.get(step=step).pk
    assert (run.status, step.fence) == ("SUCCEEDED", 2)
    finished_at = step.finished_at
    for pid in (process, zombie.pid):
        os.kill(pid, signal.SIGCONT)
    assert zombie.wait(15) == 0
    eventually(lambda: not is_alive(process) and not is_alive(helper), seconds=5)
    step.refresh_from_db()
    assert (step.state, step.fence, step.finished_at) == ("SUCCEEDED", 2, finished_at)
    assert Artifact.objects.get(step=step).pk == committed


def test_commit_under_an_old_fence_leaves_no_row(start: Start, toys: Path) -> None:
    run = start("toy_first", "toy_second")
    step = run.steps.get(position=1)
    old = executor.claim(step.pk)
    StepRun.objects.filter(pk=step.pk).update(lease_until="2020-01-01T00:00:00Z")
    assert executor.reap() == 1
    StepRun.objects.filter(pk=step.pk).update(not_before=None)
    new = executor.claim(step.pk)
    assert (old, new) == (1, 2)
    artifact = ArtifactStore(toys / "artifacts").put_json({"late": True})
    step.refresh_from_db()
    with pytest.raises(FenceLost):
        child.commit(step, old, StepResult("late", {}, {"late": artifact}))
    assert child.run_step(step.pk, old, toys) == EXIT_STOPPED
    assert not states.fail(step.pk, old, {"code": "late"})
    assert not states.keep_lease(step.pk, old)
    step.refresh_from_db()
    assert (step.state, step.summary, step.fence) == ("RUNNING", "", 2)
    assert not Artifact.objects.exists()
    assert run.steps.get(position=2).state == "PENDING"


def test_of_two_claimers_one_wins(start: Start, background: Callable[..., threading.Thread]) -> None:
    run = start(*["toy_first"] * 10)
    StepRun.objects.filter(run=run).update(state="READY")
    for step in run.steps.all():
        together, fences = threading.Barrier(4), []

        def claim(step_id: int, barrier: threading.Barrier, won: list[int | None]) -> None:
            barrier.wait()
            won.append(executor.claim(step_id))

        threads = [background(claim, step.pk, together, fences) for _ in range(4)]
        for thread in threads:
            thread.join()
        assert sorted(fences, key=str) == [1, None, None, None]
    assert set(run.steps.values_list("attempt", flat=True)) == {1}


def test_step_longer_than_its_lease_is_kept(
    start: Start, toys: Path, background: Callable[..., threading.Thread]
) -> None:
    run = start("toy_slow")
    thread = background(executor.work, run.steps.get().pk)
    pids_of_slow_step(toys)
    (toys / "report").touch()
    until = time.monotonic() + 1.5 * LEASE
    while time.monotonic() < until:
        assert executor.reap() == 0
        time.sleep(0.1)
    step = run.steps.get()
    assert (step.progress_done, step.progress_total, step.progress_text) == (1, 2, "waiting")
    (toys / "go on").touch()
    thread.join()
    step.refresh_from_db()
    assert (step.state, step.attempt) == ("SUCCEEDED", 1)


def test_supervisor_that_cannot_heartbeat_ends_its_step_before_the_lease_does(
    start: Start, toys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, really_keep = [time.monotonic()], states.keep_lease

    def keep_until_the_step_runs(step_id: int, fence: int) -> bool:
        if list(toys.glob("pids-*")):
            raise OperationalError("the database is away")
        kept.append(time.monotonic())
        return really_keep(step_id, fence)

    monkeypatch.setattr(states, "keep_lease", keep_until_the_step_runs)
    run = start("toy_slow")
    step = run.steps.get()
    executor.supervise(step.pk, executor.claim(step.pk))
    assert time.monotonic() - kept[-1] < LEASE
    assert not any(map(is_alive, pids_of_slow_step(toys)))
    step.refresh_from_db()
    assert step.state == "RUNNING"


def test_database_that_goes_away_for_a_moment_costs_no_step(
    start: Start, toys: Path, background: Callable[..., threading.Thread]
) -> None:
    run = start("toy_slow")
    thread = background(executor.work, run.steps.get().pk)
    pids_of_slow_step(toys)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    else:
        with transaction.atomic():  # nobody else can write meanwhile
            time.sleep(LEASE / 2)
    (toys / "go on").touch()
    thread.join()
    step = run.steps.get()
    assert (step.state, step.attempt) == ("SUCCEEDED", 1)


def test_step_that_takes_too_long_fails(start: Start, toys: Path, settings: Any) -> None:
    settings.STEP_TIMEOUT_SECONDS = 2
    run = drive(start("toy_slow"))
    assert (run.status, run.error["code"], run.error["step"]) == ("FAILED", "timeout", "toy_slow")
    pids = [int(pid) for path in toys.glob("pids-*") for pid in path.read_text().split()]
    assert not any(map(is_alive, pids))


def test_worker_that_leaves_in_good_order_hands_its_step_back(
    start: Start, toys: Path, background: Callable[..., threading.Thread]
) -> None:
    run = start("toy_slow")
    thread = background(executor.work, run.steps.get().pk)
    pids = pids_of_slow_step(toys)
    executor.stopping.set()
    thread.join()
    step = run.steps.get()
    assert (step.state, step.deaths, step.lease_until) == ("READY", 0, None)
    assert not any(map(is_alive, pids))
    executor.stopping.clear()
    (toys / "go on").touch()
    assert drive(run).status == "SUCCEEDED"


def test_worker_takes_what_waits_when_its_slot_comes_free(
    start: Start, toys: Path, background: Callable[..., threading.Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "_slots", threading.BoundedSemaphore(1))
    slow, waiting = start("toy_slow"), start("toy_first")
    thread = background(executor.work, slow.steps.get().pk)
    pids_of_slow_step(toys)
    executor.work(waiting.steps.get().pk)
    waiting.refresh_from_db()
    assert waiting.status == "PENDING"
    (toys / "go on").touch()
    thread.join()
    waiting.refresh_from_db()
    assert waiting.status == "SUCCEEDED"
