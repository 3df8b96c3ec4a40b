"""Due moments. A tick is a row under a unique key, so any number of beats start one run for it."""

from __future__ import annotations

import logging
from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction

from apps.common.audit import record
from apps.pipelines.models import PipelineRun, Schedule, ScheduleTick
from apps.pipelines.services import start_run
from mlopslib.dates import add_months
from mlopslib.errors import GijunError

logger = logging.getLogger(__name__)


def fire_schedules(now: datetime) -> list[PipelineRun]:
    """Start the runs that are due at `now` and were not started yet.

    After a time without beat only the latest due moment of a schedule is caught up: a run for an older
    month can be started by hand, and eleven at once would help nobody.
    """
    runs = []
    for schedule in Schedule.objects.enabled().select_related("pipeline"):
        due = latest_due(schedule, now)
        # what was due before somebody made the schedule was nobody's wish
        if due < schedule.created_at:
            continue
        try:
            run = _fire(schedule, due)
        except Exception:
            # one schedule that cannot run must not keep the others from running
            logger.exception("schedule %s could not be fired for %s", schedule.pk, due)
            continue
        if run is not None:
            runs.append(run)
    return runs


def latest_due(schedule: Schedule, now: datetime) -> datetime:
    """The last due moment at or before `now`."""
    month = _local_month(now)
    due = _moment(schedule, month)
    return due if due <= now else _moment(schedule, add_months(month, -1))


def next_due(schedule: Schedule, now: datetime) -> datetime:
    """The first due moment after `now`."""
    month = _local_month(now)
    due = _moment(schedule, month)
    return due if due > now else _moment(schedule, add_months(month, 1))


def base_month(schedule: Schedule, due: datetime) -> str:
    """The base month of the run that is due at `due`."""
    return add_months(_local_month(due), -schedule.lag_months)


def _fire(schedule: Schedule, due: datetime) -> PipelineRun | None:
    with transaction.atomic():
        tick, is_new = ScheduleTick.objects.get_or_create(schedule=schedule, due_at=due)
        if not is_new:
            return None
        try:
            run = start_run(
                actor=None,
                pipeline=schedule.pipeline,
                base_ym=base_month(schedule, due),
                trigger=PipelineRun.Trigger.SCHEDULE,
            )
        except GijunError as error:
            # the tick stays, so the reason is written once and not every minute
            logger.warning("%s: no run for %s: %s", schedule, due, error.message)
            record(None, "schedule.skipped", schedule, due_at=due.isoformat(), reason=error.message)
            return None
        ScheduleTick.objects.filter(pk=tick.pk).update(run=run)
    return run


def _local_month(moment: datetime) -> str:
    return f"{moment.astimezone(_zone()):%Y%m}"


def _moment(schedule: Schedule, month: str) -> datetime:
    return datetime(int(month[:4]), int(month[4:]), schedule.day_of_month, schedule.hour, tzinfo=_zone())


def _zone() -> ZoneInfo:
    return ZoneInfo(settings.TIME_ZONE)
