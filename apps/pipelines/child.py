"""What happens inside a step's own process: build its context, run it, commit what it found."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection, transaction

from apps.pipelines import recorders, states
from apps.pipelines.dispatch import ring_on_commit
from apps.pipelines.errors import EXIT_MEMORY, EXIT_STOPPED, FenceLost, ResultInvalid
from apps.pipelines.models import Artifact as ArtifactRow
from apps.pipelines.models import PipelineRun, StepRun
from apps.pipelines.reporter import Reporter
from mlopslib.artifacts import Artifact, ArtifactStore, canonical_json
from mlopslib.definition import FeatureSetSpec, ModelSpec
from mlopslib.errors import GijunError, StepCancelled
from mlopslib.offline import Limits, open_store
from mlopslib.steps import get_step
from mlopslib.steps.base import StepContext, StepResult

logger = logging.getLogger(__name__)

#: pauses before a commit is tried again while the database is away
_RETRIES = (0.5, 2.0, 5.0, 10.0)


def run_step(step_id: int, fence: int, workdir: Path) -> int:
    """Run a claimed step and record how it ended; returns the exit code of the process."""
    step = StepRun.objects.held(step_id, fence).select_related("run__pipeline").first()
    if step is None:
        return EXIT_STOPPED
    try:
        with Reporter(step) as reporter:
            _run(step, fence, workdir, reporter)
    except (StepCancelled, FenceLost):
        return EXIT_STOPPED
    except MemoryError:
        return EXIT_MEMORY
    return 0


def _run(step: StepRun, fence: int, workdir: Path, reporter: Reporter) -> None:
    try:
        run_function = get_step(step.run.template, step.name)
        context = build_context(step, workdir, reporter)
        context.on_partial = partial(_patiently, partial(commit_partial, step, fence))
        result = run_function(context)
        reporter.flush()
        _patiently(partial(commit, step, fence, result))
    except (StepCancelled, FenceLost, MemoryError):
        raise
    except GijunError as error:
        reporter.log(f"{error.code}: {error.message}")
        _fail(step, fence, error.code, error.message, error.field)
    except Exception as error:
        reporter.log(traceback.format_exc())
        _fail(step, fence, "unexpected", f"{type(error).__name__}: {error}", None)


def build_context(step: StepRun, workdir: Path, reporter: Reporter) -> StepContext:
    run = step.run
    definition = run.params.get("definition")
    return StepContext(
        base_ym=run.base_ym,
        dates=run.dates,
        params=run.params,
        spec=ModelSpec.from_dict(definition) if definition else None,
        feature_sets=tuple(FeatureSetSpec.from_dict(item) for item in run.params.get("feature_sets", ())),
        store=open_store(
            settings.OFFLINE_URL, limits=Limits(settings.QUERY_SECONDS, memory=settings.QUERY_MEMORY)
        ),
        artifacts=ArtifactStore(settings.ARTIFACT_ROOT),
        inputs=earlier_artifacts(run, step.position),
        workdir=workdir,
        on_progress=reporter.progress,
        on_log=reporter.log,
        online_url=settings.ONLINE_URL,
        online_prefix=settings.REDIS_PREFIX,
        reported=step.metrics,
    )


def earlier_artifacts(run: PipelineRun, position: int) -> dict[str, Artifact]:
    """Artefacts of the steps before `position`, by name; a later step's stands for an earlier one's."""
    rows = ArtifactRow.objects.filter(step__run=run, step__position__lt=position)
    return {row.name: Artifact(row.sha256, row.size, row.kind) for row in rows.order_by("step__position")}


def commit(step: StepRun, fence: int, result: StepResult) -> int | None:
    """Everything that a step found, in one transaction; returns the id of the step that is READY now.

    Raises FenceLost where the step belongs to somebody else by now, StepCancelled where a person was
    quicker; then nothing of the result is kept.
    """
    metrics = _checked_json(result.metrics)
    _check_artifacts(result)
    with transaction.atomic():
        run = states.lock_run(step.run_id)
        if run.cancel_requested_at:
            raise StepCancelled("the run was cancelled before this step was recorded")
        states.succeed(run, step, fence, summary=result.summary.replace("\x00", ""), metrics=metrics)
        ArtifactRow.objects.bulk_create(
            ArtifactRow(step=step, name=name, sha256=artifact.sha256, size=artifact.size, kind=artifact.kind)
            for name, artifact in result.artifacts.items()
        )
        recorders.record_result(run, step, metrics)
        next_id = states.advance(run, step)
        if next_id is not None:
            ring_on_commit(next_id)
    return next_id


def commit_partial(step: StepRun, fence: int, found: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
    """What a step has finished so far, under the fence. Raises FenceLost, StepCancelled."""
    found, kept = _checked_json(found), _checked_json(kept)
    with transaction.atomic():
        run = states.lock_run(step.run_id)
        if not states.keep_partial(step, fence, metrics=kept):
            raise FenceLost(f"step {step.name} of run {run.pk} is no longer held under fence {fence}")
        recorders.record_partial(run, step, found)
    if run.cancel_requested_at:
        # after its record: the month stands in the store, whoever stops the rest
        raise StepCancelled("the run was cancelled")


def _patiently(commit: Callable[..., Any], *arguments: Any) -> None:
    """Commit; a database that restarts or is busy gets time. The fence makes a second try safe."""
    for pause in (*_RETRIES, None):
        try:
            commit(*arguments)
            return
        except OperationalError as error:
            if pause is None:
                raise
            logger.warning("the database is away (%s), again in %.1f s", error, pause)
            connection.close()
            time.sleep(pause)


def _checked_json(metrics: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return dict(json.loads(canonical_json(dict(metrics))))
    except (TypeError, ValueError) as error:
        raise ResultInvalid(
            f"the step's metrics are not JSON: {error}; use None for what is not a number"
        ) from error


def _check_artifacts(result: StepResult) -> None:
    store = ArtifactStore(settings.ARTIFACT_ROOT)
    for name, artifact in result.artifacts.items():
        if not store.exists(artifact.sha256):
            raise ResultInvalid(f"the step named artefact {name!r} but did not write it to the store")


def _fail(step: StepRun, fence: int, code: str, message: str, field: str | None) -> None:
    error = {"code": code, "message": message.replace("\x00", ""), "field": field, "step": step.name}
    if not states.fail(step.pk, fence, error):
        raise FenceLost(f"step {step.name} is no longer held under fence {fence}")
