"""The only place where a run's status and a step's state change.

A change is an UPDATE that names the state (and fence) it starts from: whoever comes second changes
nothing. Each begins by locking the run's row, so that two changes of one run never wait for each other
crosswise. SQLite has no row locks; its IMMEDIATE transactions stand one behind the other.

    PENDING -> READY -> RUNNING -> SUCCEEDED | FAILED | CANCELLED;  RUNNING -> READY when its process is lost
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce, Now

from apps.common.audit import record
from apps.pipelines.errors import FenceLost, RunEnded
from apps.pipelines.models import PipelineRun, StepRun

State = StepRun.State
Status = PipelineRun.Status
_ACTIVE = (Status.PENDING, Status.RUNNING)

#: after so many processes died without a word, a step is not tried again
MAX_DEATHS = 2
_NO_PROGRESS = {"progress_done": 0, "progress_total": 0, "progress_text": ""}


def lock_run(run_id: int) -> PipelineRun:
    """The run, held until the end of the transaction."""
    return PipelineRun.objects.select_for_update(no_key=True).get(pk=run_id)


def claim(step_id: int) -> int | None:
    """Take a READY step for this process; returns its new fence, or None where it is not to be had."""
    with transaction.atomic():
        run = _lock_run_of(step_id)
        if run is None or run.status not in _ACTIVE or run.cancel_requested_at:
            return None
        due = Q(not_before__isnull=True) | Q(not_before__lte=Now())
        taken = StepRun.objects.filter(due, pk=step_id, state=State.READY).update(
            state=State.RUNNING,
            fence=F("fence") + 1,
            attempt=F("attempt") + 1,
            lease_until=_lease(),
            started_at=Now(),
            finished_at=None,
            error={},
            **_NO_PROGRESS,
        )
        if not taken:
            return None
        PipelineRun.objects.filter(pk=run.pk, status__in=_ACTIVE).update(
            status=Status.RUNNING, started_at=Coalesce("started_at", Now())
        )
        return StepRun.objects.values_list("fence", flat=True).get(pk=step_id)


def keep_lease(step_id: int, fence: int) -> bool:
    """Prolong the lease; False where the step is no longer this process's to run."""
    return bool(StepRun.objects.held(step_id, fence).update(lease_until=_lease()))


def keep_partial(step: StepRun, fence: int, *, metrics: dict[str, Any]) -> bool:
    """Keep what a running step has finished; False where it is no longer held."""
    return bool(StepRun.objects.held(step.pk, fence).update(metrics=metrics))


def succeed(run: PipelineRun, step: StepRun, fence: int, *, summary: str, metrics: dict[str, Any]) -> None:
    """RUNNING -> SUCCEEDED; call it inside the transaction of the result, with the run locked."""
    changed = StepRun.objects.held(step.pk, fence).update(
        state=State.SUCCEEDED,
        summary=summary,
        metrics=metrics,
        lease_until=None,
        finished_at=Now(),
        progress_done=F("progress_total"),
    )
    if not changed:
        raise FenceLost(f"step {step.name} of run {run.pk} is no longer held under fence {fence}")


def advance(run: PipelineRun, step: StepRun) -> int | None:
    """Make the next step READY and return its id, or end the run; inside the same transaction."""
    following = StepRun.objects.filter(run=run, position__gt=step.position).order_by("position").first()
    if following is None:
        _end_run(run, Status.SUCCEEDED)
        return None
    StepRun.objects.filter(pk=following.pk, state=State.PENDING).update(state=State.READY)
    return following.pk


def fail(step_id: int, fence: int, error: dict[str, Any]) -> bool:
    """RUNNING -> FAILED, and the run with it; False where the step was no longer held."""
    with transaction.atomic():
        run = _lock_run_of(step_id)
        if run is None:
            return False
        return _end_step(run, StepRun.objects.held(step_id, fence), State.FAILED, error)


def cancel(step_id: int, fence: int) -> bool:
    """RUNNING -> CANCELLED, and the run with it, once its process has stopped."""
    with transaction.atomic():
        run = _lock_run_of(step_id)
        if run is None:
            return False
        return _end_step(run, StepRun.objects.held(step_id, fence), State.CANCELLED)


def hand_back(step_id: int, fence: int) -> bool:
    """RUNNING -> READY without blame: its worker is leaving in good order."""
    with transaction.atomic():
        run = _lock_run_of(step_id)
        if run is None:
            return False
        held = StepRun.objects.held(step_id, fence)
        if run.cancel_requested_at:
            return _end_step(run, held, State.CANCELLED)
        return bool(
            held.update(state=State.READY, lease_until=None, not_before=None, rung_at=None, **_NO_PROGRESS)
        )


def lose(step_id: int, fence: int, reason: str, *, only_expired: bool = False) -> str | None:
    """What becomes of a step whose process died: another try, FAILED at the second death, or CANCELLED.

    Returns the new state, or None where somebody else was first.
    """
    with transaction.atomic():
        run = _lock_run_of(step_id)
        if run is None:
            return None
        held = StepRun.objects.held(step_id, fence)
        if only_expired:
            held = held.expired()
        step = held.first()
        if step is None:
            return None
        if run.cancel_requested_at:
            return State.CANCELLED if _end_step(run, held, State.CANCELLED) else None
        deaths = step.deaths + 1
        if deaths >= MAX_DEATHS:
            error = {
                "code": "worker-lost",
                "message": f"{reason}; that was {deaths} times, so it is not tried again",
                "field": None,
                "step": step.name,
            }
            return State.FAILED if _end_step(run, held, State.FAILED, error, deaths=deaths) else None
        changed = held.update(
            state=State.READY,
            deaths=deaths,
            lease_until=None,
            not_before=Now() + timedelta(seconds=settings.STEP_LEASE_SECONDS / 6),
            rung_at=None,
            **_NO_PROGRESS,
        )
        return State.READY if changed else None


def request_cancel(run_id: int) -> tuple[PipelineRun, bool]:
    """Ask a run to stop: waiting steps at once, a running one as soon as its supervisor has seen it.

    Returns the run, and whether this call was the one that asked. Raises RunEnded.
    """
    run = lock_run(run_id)
    if run.is_terminal:
        raise RunEnded(
            f"run {run.pk} is {run.status} already: only a waiting or running one can be cancelled"
        )
    if run.cancel_requested_at:
        return run, False
    PipelineRun.objects.filter(pk=run.pk).update(cancel_requested_at=Now())
    StepRun.objects.filter(run=run, state__in=[State.PENDING, State.READY]).update(
        state=State.CANCELLED, finished_at=Now()
    )
    if not StepRun.objects.filter(run=run, state=State.RUNNING).exists():
        _end_run(run, Status.CANCELLED)
    run.refresh_from_db()
    return run, True


def resume(run_id: int) -> tuple[PipelineRun, int]:
    """A FAILED or CANCELLED run goes on where it stopped; returns it and the step that is READY now."""
    run = lock_run(run_id)
    if run.status not in (Status.FAILED, Status.CANCELLED):
        raise RunEnded(f"run {run.pk} is {run.status}: only a failed or cancelled one can be resumed")
    rest = StepRun.objects.filter(run=run).exclude(state=State.SUCCEEDED)
    first = rest.order_by("position").first()
    if first is None:
        raise RunEnded(f"every step of run {run.pk} has succeeded: there is nothing to resume")
    rest.update(
        state=State.PENDING,
        error={},
        deaths=0,
        lease_until=None,
        not_before=None,
        rung_at=None,
        started_at=None,
        finished_at=None,
        **_NO_PROGRESS,
    )
    StepRun.objects.filter(pk=first.pk).update(state=State.READY)
    PipelineRun.objects.filter(pk=run.pk).update(
        status=Status.PENDING, error={}, cancel_requested_at=None, finished_at=None
    )
    run.refresh_from_db()
    return run, first.pk


def _lock_run_of(step_id: int) -> PipelineRun | None:
    run_id = StepRun.objects.filter(pk=step_id).values_list("run_id", flat=True).first()
    return None if run_id is None else lock_run(run_id)


def _end_step(
    run: PipelineRun,
    held: QuerySet[StepRun],
    state: str,
    error: dict[str, Any] | None = None,
    **more: Any,
) -> bool:
    changed = held.update(state=state, error=error or {}, lease_until=None, finished_at=Now(), **more)
    if changed:
        _end_run(run, Status(state), error)
    return bool(changed)


def _end_run(run: PipelineRun, status: PipelineRun.Status, error: dict[str, Any] | None = None) -> None:
    changed = PipelineRun.objects.filter(pk=run.pk, status__in=_ACTIVE).update(
        status=status, error=error or {}, finished_at=Now()
    )
    if changed:
        record(None, f"run.{status.lower()}", run, **({"error": error} if error else {}))


def _lease() -> Any:
    return Now() + timedelta(seconds=settings.STEP_LEASE_SECONDS)
