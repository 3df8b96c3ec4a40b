"""Steps in real processes: what is kept when all goes well."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from apps.pipelines import executor
from apps.pipelines.models import Artifact, PipelineRun, StepLog
from mlopslib.artifacts import ArtifactStore
from portal.models import AuditEvent

pytestmark = pytest.mark.database


def test_a_run_goes_through_its_steps_and_hands_artefacts_on(
    start: Callable[..., PipelineRun], toys: Path
) -> None:
    run = start("toy_first", "toy_second")
    executor.work(run.steps.get(position=1).pk)
    run.refresh_from_db()
    first, second = run.steps.all()
    assert (run.status, first.state, second.state) == ("SUCCEEDED", "SUCCEEDED", "SUCCEEDED"), run.error
    assert (first.summary, first.metrics, first.attempt) == ("made one artefact", {"rows": 3}, 1)
    assert (second.summary, second.metrics) == ("read 202610", {"inputs": ["first"]})
    assert (first.progress_done, first.progress_total) == (2, 2)
    assert run.started_at and run.finished_at and first.finished_at <= second.started_at
    artifact = Artifact.objects.get(step=first)
    assert ArtifactStore(toys / "artifacts").read_json(artifact.sha256) == {"base_ym": "202610"}
    assert StepLog.objects.get(step=first).text == "base month 202610, last day 20261031"
    assert list(toys.glob("home/work/*")) == []
    assert AuditEvent.objects.filter(action="run.succeeded", object_id=run.pk).exists()
