"""What can be done with a schedule that is there. `services.add_schedule` makes one."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.common.access import require
from apps.common.audit import record
from apps.pipelines.models import Schedule, ScheduleTick
from apps.pipelines.schedules import latest_due
from apps.pipelines.services import check_schedule


def change_schedule(
    *, actor: Any, schedule: Schedule, day_of_month: int, hour: int, lag_months: int
) -> Schedule:
    """Give a schedule another day, hour or lag, from its next due moment on. Raises PipelineInvalid."""
    require(actor, "schedules.edit")
    values = {"day_of_month": day_of_month, "hour": hour, "lag_months": lag_months}
    check_schedule(**values)
    before = {name: getattr(schedule, name) for name in values}
    if before == values:
        return schedule
    with transaction.atomic():
        Schedule.objects.filter(pk=schedule.pk).update(**values)
        schedule.refresh_from_db()
        _pass_over(schedule)
        record(actor, "schedule.changed", schedule, before=before, after=values)
    return schedule


def switch_schedule(*, actor: Any, schedule: Schedule, is_enabled: bool) -> Schedule:
    """Switch a schedule on or off. What was due while it was off is not caught up."""
    require(actor, "schedules.edit")
    with transaction.atomic():
        changed = Schedule.objects.filter(pk=schedule.pk, is_enabled=not is_enabled).update(
            is_enabled=is_enabled
        )
        schedule.refresh_from_db()
        if changed:
            if is_enabled:
                _pass_over(schedule)
            record(actor, "schedule.enabled" if is_enabled else "schedule.disabled", schedule)
    return schedule


def delete_schedule(*, actor: Any, schedule: Schedule) -> None:
    """Take a schedule away; the runs that it started stay."""
    require(actor, "schedules.edit")
    with transaction.atomic():
        values = {name: getattr(schedule, name) for name in ("day_of_month", "hour", "lag_months")}
        record(actor, "schedule.deleted", schedule, **values)
        schedule.delete()


def _pass_over(schedule: Schedule) -> None:
    """Count the newest due moment as seen: under the plan of now it was nobody's wish."""
    due_at = latest_due(schedule, timezone.now())
    ScheduleTick.objects.get_or_create(schedule=schedule, due_at=due_at)
