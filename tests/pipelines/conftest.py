"""Runs of toy steps in real processes, on the test's own database."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection

from apps.pipelines import executor
from apps.pipelines.models import Pipeline, PipelineRun
from apps.pipelines.services import start_run
from mlopslib.steps import TEMPLATES
from tests.factories import make_feature_set, make_user


def test_database_url() -> str:
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
    settings.STEP_LEASE_SECONDS = 3
    monkeypatch.setenv("DATABASE_URL", test_database_url())
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.pipelines.settings")
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
            name="-".join(names), template="materialise", feature_set=make_feature_set(), owner=person
        )
        return start_run(actor=person, pipeline=pipeline, base_ym="202610", trigger="MANUAL", params=params)

    return start_toys


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


def is_alive(pid: int) -> bool:
    """Whether a process is there and not only waiting to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
