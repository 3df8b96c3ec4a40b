"""Pipelines and runs with their steps."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from apps.features.models import FeatureSet
from apps.models.models import RegisteredModel
from apps.pipelines.models import Pipeline, PipelineRun, StepLog, StepRun
from mlopslib.dates import date_params
from portal.models import User
from tests.factories.features import make_feature_set
from tests.factories.people import numbers
from tests.factories.registry import make_model

_TRAINING = "extract validate_data prepare train evaluate validate_oot package register compare"
STEPS = {
    "training": tuple(_TRAINING.split()),
    "monitoring": ("extract", "score", "monitor"),
    "materialise": ("materialise",),
}


def make_pipeline(
    template: str = "training",
    *,
    model: RegisteredModel | None = None,
    feature_set: FeatureSet | None = None,
    owner: User | None = None,
    **fields: Any,
) -> Pipeline:
    """A pipeline of a model, or of a feature set for the template `materialise`."""
    if template == "materialise":
        feature_set = feature_set or FeatureSet.objects.filter(is_current=True).first() or make_feature_set()
        subject, people = feature_set.name, feature_set.owner
    else:
        model = model or RegisteredModel.objects.first() or make_model()
        subject, people = model.name, model.owner
    values = {
        "name": f"{subject} {template} {next(numbers)}",
        "policy": {"request_review": "always"} if template == "training" else {},
    } | fields
    return Pipeline.objects.create(
        template=template,
        registered_model=None if template == "materialise" else model,
        feature_set=feature_set if template == "materialise" else None,
        owner=owner or people,
        **values,
    )


def make_run(
    pipeline: Pipeline | None = None,
    *,
    status: str = "PENDING",
    base_ym: str = "202606",
    failed_step: int = 3,
    **fields: Any,
) -> PipelineRun:
    """A run with its steps in states that fit `status`; a RUNNING one is in its third step."""
    pipeline = pipeline or make_pipeline()
    is_over = status in ("SUCCEEDED", "FAILED", "CANCELLED")
    now = timezone.now()
    values: dict[str, Any] = {
        "trigger": "MANUAL",
        "dates": date_params(base_ym),
        "params": {},
        "requested_by": pipeline.owner,
        "started_at": None if status == "PENDING" else now,
        "finished_at": now if is_over else None,
    } | fields
    names = STEPS[pipeline.template]
    failed_step = min(failed_step, len(names))
    if status == "FAILED" and "error" not in values:
        values["error"] = {
            "code": "empty-month",
            "message": f"cust_balance has no rows for {base_ym}",
            "field": "base_ym",
            "step": names[failed_step - 1],
        }
    run = PipelineRun.objects.create(
        pipeline=pipeline, template=pipeline.template, base_ym=base_ym, status=status, **values
    )
    for position, name in enumerate(names, start=1):
        state = _step_state(status, position, failed_step)
        is_begun = state in ("RUNNING", "SUCCEEDED", "FAILED")
        step = StepRun.objects.create(
            run=run,
            position=position,
            name=name,
            state=state,
            attempt=1 if is_begun else 0,
            fence=1 if is_begun else 0,
            lease_until=now + timedelta(seconds=30) if state == "RUNNING" else None,
            progress_done=1 if state == "SUCCEEDED" else 0.4 if state == "RUNNING" else 0,
            progress_total=1 if is_begun else 0,
            progress_text="month 2 of 4" if state == "RUNNING" else "",
            summary=f"{name} done" if state == "SUCCEEDED" else "",
            error=run.error if state == "FAILED" else {},
            started_at=now if is_begun else None,
            finished_at=now if state in ("SUCCEEDED", "FAILED") else None,
        )
        if is_begun:
            StepLog.objects.create(step=step, attempt=1, text=f"{name}: started\n{name}: 20,000 rows\n")
    return run


def _step_state(status: str, position: int, turn: int) -> str:
    if status == "SUCCEEDED" or (status in ("RUNNING", "FAILED", "CANCELLED") and position < turn):
        return "SUCCEEDED"
    if status in ("FAILED", "CANCELLED"):
        return status if position == turn else "CANCELLED" if status == "CANCELLED" else "PENDING"
    if status == "RUNNING":
        return "RUNNING" if position == turn else "PENDING"
    return "READY" if position == 1 else "PENDING"
