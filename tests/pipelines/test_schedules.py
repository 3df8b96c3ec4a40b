"""Monthly schedules: the right month at the right moment, once."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from apps.pipelines.models import PipelineRun, Schedule, ScheduleTick
from apps.pipelines.schedules import fire_schedules, next_due
from apps.pipelines.services import add_schedule, define_pipeline
from portal.models import AuditEvent
from tests.factories import make_model, make_user

pytestmark = [pytest.mark.database, pytest.mark.django_db]

SEOUL = ZoneInfo("Asia/Seoul")


def moment(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=SEOUL)  # type: ignore[misc]


def monthly(*, template: str = "training", day: int = 3, hour: int = 2, lag: int = 1) -> Schedule:
    person = make_user("data_scientist")
    pipeline = define_pipeline(
        actor=person, name=f"{template} {day}", template=template, registered_model=make_model()
    )
    schedule = add_schedule(actor=person, pipeline=pipeline, day_of_month=day, hour=hour, lag_months=lag)
    Schedule.objects.filter(pk=schedule.pk).update(created_at=moment(2026, 1, 1))
    schedule.refresh_from_db()
    return schedule


def test_due_schedule_starts_a_run_for_the_month_before() -> None:
    schedule = monthly()
    assert [run.base_ym for run in fire_schedules(moment(2026, 10, 3, 1, 59))] == ["202608"]
    assert [run.base_ym for run in fire_schedules(moment(2026, 10, 3, 2))] == ["202609"]
    assert fire_schedules(moment(2026, 10, 3, 2, 1)) == []
    run = PipelineRun.objects.latest("id")
    assert (run.trigger, run.requested_by, run.status) == ("SCHEDULE", None, "PENDING")
    tick = ScheduleTick.objects.latest("id")
    assert (tick.schedule, tick.run, tick.due_at) == (schedule, run, moment(2026, 10, 3, 2))


def test_missed_months_are_caught_up_once_with_the_latest() -> None:
    monthly()
    fire_schedules(moment(2026, 3, 3, 2))
    assert [run.base_ym for run in fire_schedules(moment(2026, 9, 20))] == ["202608"]
    assert fire_schedules(moment(2026, 9, 20, 1)) == []


def test_moment_before_the_schedule_was_made_is_not_caught_up() -> None:
    schedule = monthly()
    Schedule.objects.filter(pk=schedule.pk).update(created_at=moment(2026, 10, 5))
    assert fire_schedules(moment(2026, 10, 6)) == []
    assert [run.base_ym for run in fire_schedules(moment(2026, 11, 3, 2))] == ["202610"]


def test_switched_off_schedule_does_not_fire() -> None:
    monthly()
    Schedule.objects.update(is_enabled=False)
    assert fire_schedules(moment(2026, 10, 3, 2)) == []


@pytest.mark.parametrize(
    ("now", "base_ym"),
    [
        # 17:00 UTC on New Year's Eve is 02:00 in Seoul on the first of January
        (datetime(2026, 12, 31, 17, 0, tzinfo=UTC), "202612"),
        (datetime(2026, 12, 31, 16, 59, tzinfo=UTC), "202611"),
    ],
)
def test_month_is_the_one_of_the_banks_own_clock(now: datetime, base_ym: str) -> None:
    monthly(day=1)
    assert [run.base_ym for run in fire_schedules(now)] == [base_ym]


def test_lag_counts_back_from_the_due_month() -> None:
    monthly(lag=3)
    assert [run.base_ym for run in fire_schedules(moment(2027, 1, 4))] == ["202610"]


def test_next_due_is_the_first_moment_after_now() -> None:
    schedule = monthly()
    assert next_due(schedule, moment(2026, 10, 3, 1)) == moment(2026, 10, 3, 2)
    assert next_due(schedule, moment(2026, 10, 3, 2)) == moment(2026, 11, 3, 2)
    assert next_due(schedule, moment(2026, 12, 31, 23)) == moment(2027, 1, 3, 2)


def test_run_that_cannot_start_is_skipped_with_its_reason_once() -> None:
    schedule = monthly(template="monitoring")
    assert fire_schedules(moment(2026, 10, 3, 2)) == []
    assert fire_schedules(moment(2026, 10, 3, 3)) == []
    event = AuditEvent.objects.get(action="schedule.skipped")
    assert "no champion" in event.data["reason"]
    assert ScheduleTick.objects.get(schedule=schedule).run is None


@pytest.mark.django_db(transaction=True)
def test_two_beats_make_one_run() -> None:
    monthly()
    started: list[Any] = []
    for month in range(1, 9):
        together = threading.Barrier(3)

        def beat(now: datetime, barrier: threading.Barrier) -> None:
            barrier.wait()
            try:
                started.extend(fire_schedules(now))
            finally:
                connection.close()

        arguments = (moment(2026, month, 3, 2), together)
        threads = [threading.Thread(target=beat, args=arguments) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(started) == 8
    assert PipelineRun.objects.count() == ScheduleTick.objects.count() == 8
