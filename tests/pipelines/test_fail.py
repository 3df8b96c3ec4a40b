"""Steps that cannot do their work: the reason is kept, nothing half-written is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from apps.pipelines.models import Artifact, PipelineRun, StepLog
from apps.pipelines.services import resume_run
from portal.models import AuditEvent
from tests.pipelines.conftest import drive

pytestmark = pytest.mark.database

Start = Callable[..., PipelineRun]


def test_refused_data_ends_the_run_with_its_reason_and_a_resumed_run_keeps_what_succeeded(
    start: Start, toys: Path
) -> None:
    run = drive(start("toy_first", "toy_refused", "toy_second"))
    reason = {
        "code": "empty-month",
        "message": "base month 202610 has no rows",
        "field": "base_ym",
        "step": "toy_refused",
    }
    first, refused, second = run.steps.all()
    assert (run.status, run.error) == ("FAILED", reason)
    assert (first.state, refused.state, second.state) == ("SUCCEEDED", "FAILED", "PENDING")
    assert (refused.error, refused.attempt, refused.metrics, refused.summary) == (reason, 1, {}, "")
    assert list(Artifact.objects.values_list("name", flat=True)) == ["first"]
    assert "looking at the month" in StepLog.objects.get(step=refused).text
    assert AuditEvent.objects.get(action="run.failed").data["error"] == reason

    (toys / "go on").touch()
    run = resume_run(actor=run.requested_by, run=run)
    assert (run.status, run.error, run.finished_at) == ("PENDING", {}, None)
    assert drive(run).status == "SUCCEEDED"
    assert list(run.steps.values_list("attempt", flat=True)) == [1, 2, 1]
    assert run.steps.get(position=1).finished_at == first.finished_at
    assert run.steps.get(position=3).metrics == {"inputs": ["first"]}


def test_unplanned_error_is_named_and_its_traceback_is_in_the_log(start: Start) -> None:
    run = drive(start("toy_broken"))
    assert run.status == "FAILED"
    assert run.error["code"] == "unexpected"
    assert run.error["message"] == "KeyError: 'no such key'"
    assert "Traceback" in StepLog.objects.get(step__run=run).text


def test_result_that_json_cannot_hold_is_refused_whole(start: Start) -> None:
    run = drive(start("toy_nan"))
    assert (run.status, run.error["code"]) == ("FAILED", "result-invalid")
    assert not Artifact.objects.exists()
