"""Runs of toy steps in real processes, on the test's own database."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection

from apps.pipelines import executor
from apps.pipelines.models import Pipeline, PipelineRun, StepRun
from apps.pipelines.services import start_run
from mlopslib.steps import TEMPLATES
from tests.factories import make_feature_set, make_user
from tests.parts import ROOT

#: seconds; short, so that a lost lease is soon seen
LEASE = 4


def database_url() -> str:
    """The test's database, as another process has to name it."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any, transactional_db: None) -> Path:
    """Let processes that the test starts see its database and the toy steps; returns their folder."""
    settings.GIJUN_HOME = tmp_path / "home"
    settings.ARTIFACT_ROOT = tmp_path / "artifacts"
    settings.STEP_LEASE_SECONDS = LEASE
    monkeypatch.setenv("DATABASE_URL", database_url())
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.pipelines.settings")
    monkeypatch.setenv("GIJUN_HOME", str(settings.GIJUN_HOME))
    monkeypatch.setenv("STEP_LEASE_SECONDS", str(LEASE))
    monkeypatch.setenv("ARTIFACT_ROOT", str(settings.ARTIFACT_ROOT))
    monkeypatch.setenv("OFFLINE_URL", f"delta://{tmp_path / 'offline'}")
    monkeypatch.setenv("TOY_FOLDER", str(tmp_path))
    return tmp_path


@pytest.fixture
def start(toys: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., PipelineRun]:
    """Start a run of these toy steps."""

    def start_toys(*names: str, **params: Any) -> PipelineRun:
        monkeypatch.setitem(TEMPLATES, "materialise", names)
        person = make_user("data_scientist")
        pipeline = Pipeline.objects.create(
            name=f"{'-'.join(names)} {Pipeline.objects.count()}"[:120],
            template="materialise",
            feature_set=make_feature_set(),
            owner=person,
        )
        return start_run(actor=person, pipeline=pipeline, base_ym="202610", trigger="MANUAL", params=params)

    return start_toys


@pytest.fixture
def background(toys: Path) -> Iterator[Callable[..., threading.Thread]]:
    """Call something in a thread that closes its own connection and ends with the test."""
    threads: list[threading.Thread] = []

    def call(function: Callable[..., Any], *args: Any) -> threading.Thread:
        thread = threading.Thread(target=_and_close, args=(function, args))
        threads.append(thread)
        thread.start()
        return thread

    yield call
    executor.stopping.set()
    for thread in threads:
        thread.join()


def _and_close(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    try:
        function(*args)
    finally:
        connection.close()


@pytest.fixture
def worker(toys: Path) -> Iterator[Callable[[int], subprocess.Popen[bytes]]]:
    """Another process that works on a step, as a Celery worker would; killed with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start_worker(step_id: int) -> subprocess.Popen[bytes]:
        code = f"import django; django.setup(); from apps.pipelines import executor; executor.work({step_id})"
        started.append(subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, start_new_session=True))
        return started[-1]

    yield start_worker
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture(autouse=True)
def not_stopping() -> Iterator[None]:
    yield
    executor.stopping.clear()


def eventually(claim: Callable[[], Any], *, seconds: float = 20) -> Any:
    """Wait until `claim` gives something true, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := claim()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


def drive(run: PipelineRun, *, seconds: float = 30) -> PipelineRun:
    """Do what worker and beat do, here, until the run has ended."""

    def has_ended() -> bool:
        executor.reap()
        for step_id in StepRun.objects.due().values_list("pk", flat=True):
            executor.work(step_id)
        run.refresh_from_db()
        return run.is_terminal

    eventually(has_ended, seconds=seconds)
    return run


def pids_of_slow_step(folder: Path, *, other_than: tuple[int, ...] = ()) -> tuple[int, int]:
    """The process of a toy_slow step and the helper that it started, once it runs."""

    def found() -> tuple[int, int] | None:
        pairs = [tuple(map(int, path.read_text().split())) for path in folder.glob("pids-*")]
        return next(((a, b) for a, b in pairs if a not in other_than), None)

    return eventually(found)


def is_alive(pid: int) -> bool:
    """Whether a process is there and not only waiting to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
