"""The page of the schedules: add, change, switch, delete, and what each leads to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.pipelines import scheduling
from apps.pipelines.errors import PipelineInvalid
from apps.pipelines.models import PipelineRun, Schedule, ScheduleTick
from apps.pipelines.schedules import fire_schedules
from apps.pipelines.services import add_schedule, ensure_pipeline
from mlopslib.errors import AccessDenied
from portal.models import AuditEvent
from tests.factories import make_feature_set, make_model, make_pipeline, make_run, make_user

pytestmark = pytest.mark.django_db

PLAN = {"day_of_month": 3, "hour": 2, "lag_months": 1}


def scheduled(**plan: int) -> Schedule:
    row = make_feature_set("cust_txn")
    pipeline = ensure_pipeline(actor=row.owner, template="materialise", feature_set=row)
    return add_schedule(actor=row.owner, pipeline=pipeline, **(PLAN | plan))


def actions() -> list[str]:
    rows = AuditEvent.objects.filter(action__startswith="schedule.").order_by("pk")
    return list(rows.values_list("action", flat=True))


def test_a_schedule_is_added_to_a_set_without_a_pipeline(client_as: Callable[..., Client]) -> None:
    make_feature_set("cust_txn")
    client = client_as("operator")
    assert "No schedules yet" in client.get("/runs/schedules/").content.decode()
    answer = client.post("/runs/schedules/", {"pipeline": "new/materialise/cust_txn", **PLAN})
    assert answer.status_code == 302
    schedule = Schedule.objects.get()
    assert (schedule.pipeline.name, schedule.owner) == ("cust_txn v1 materialise", client.user)
    page = client.get("/runs/schedules/").content.decode()
    assert "cust_txn v1 materialise" in page
    assert "day 3, 02:00, 1 back" in page
    assert "not yet" in page


def test_the_list_names_the_last_run_and_takes_a_pinned_number_of_queries(
    client_as: Callable[..., Client], django_assert_num_queries: Any
) -> None:
    pipeline = make_pipeline("training", model=make_model())
    schedule = add_schedule(actor=pipeline.owner, pipeline=pipeline, **PLAN)
    run = make_run(pipeline, status="FAILED")
    ScheduleTick.objects.create(schedule=schedule, due_at=timezone.now(), run=run)
    client = client_as("viewer")
    page = client.get("/runs/schedules/").content.decode()
    assert f'<a href="/runs/{run.pk}/">#{run.pk}</a>' in page
    assert "Failed" in page
    assert "Run it every month" not in page
    with django_assert_num_queries(9):
        client.get("/runs/schedules/")
    for _more in range(4):
        row = add_schedule(actor=pipeline.owner, pipeline=pipeline, **PLAN)
        ScheduleTick.objects.create(schedule=row, due_at=timezone.now(), run=make_run(pipeline))
    with django_assert_num_queries(9):
        client.get("/runs/schedules/")


@pytest.mark.parametrize(
    "change", [{"day_of_month": "29"}, {"hour": "24"}, {"lag_months": "-1"}, {"pipeline": "99"}, {"hour": ""}]
)
def test_a_plan_that_cannot_be_is_refused_at_its_field(
    change: dict[str, str], client_as: Callable[..., Client]
) -> None:
    make_feature_set("cust_txn")
    data = {"pipeline": "new/materialise/cust_txn", **PLAN} | change
    answer = client_as("operator").post("/runs/schedules/", data)
    assert answer.status_code == 422
    assert f'id="id_{next(iter(change))}_error"' in answer.content.decode()
    assert not Schedule.objects.exists()


def test_a_schedule_is_changed_switched_and_deleted_with_a_trail(client_as: Callable[..., Client]) -> None:
    schedule = scheduled()
    client = client_as("data_scientist")
    assert client.get(f"/runs/schedules/{schedule.pk}/").status_code == 200
    changed = {"day_of_month": "5", "hour": "4", "lag_months": "2"}
    assert client.post(f"/runs/schedules/{schedule.pk}/", changed).status_code == 302
    assert client.post(f"/runs/schedules/{schedule.pk}/", changed | {"hour": "99"}).status_code == 422
    client.post(f"/runs/schedules/{schedule.pk}/switch/", {"is_enabled": "0"})
    schedule.refresh_from_db()
    assert (schedule.day_of_month, schedule.hour, schedule.lag_months) == (5, 4, 2)
    assert schedule.is_enabled is False
    client.post(f"/runs/schedules/{schedule.pk}/switch/", {"is_enabled": "0"})
    client.post(f"/runs/schedules/{schedule.pk}/switch/", {"is_enabled": "1"})
    client.post(f"/runs/schedules/{schedule.pk}/delete/")
    assert not Schedule.objects.exists()
    assert actions() == [
        "schedule.added",
        "schedule.changed",
        "schedule.disabled",
        "schedule.enabled",
        "schedule.deleted",
    ]


def test_schedules_are_changed_by_data_scientists_and_operators_alone(
    client_as: Callable[..., Client],
) -> None:
    schedule = scheduled()
    for role in ("viewer", "reviewer", "admin"):
        client = client_as(role)
        assert client.get("/runs/schedules/").status_code == 200
        assert client.post("/runs/schedules/", {}).status_code == 403
        assert client.get(f"/runs/schedules/{schedule.pk}/").status_code == 403
        assert client.post(f"/runs/schedules/{schedule.pk}/switch/", {"is_enabled": "0"}).status_code == 403
        assert client.post(f"/runs/schedules/{schedule.pk}/delete/").status_code == 403
        with pytest.raises(AccessDenied):
            scheduling.change_schedule(actor=client.user, schedule=schedule, **PLAN)
    schedule.refresh_from_db()
    assert schedule.is_enabled


def test_a_new_plan_and_a_switch_catch_nothing_up() -> None:
    schedule = scheduled(day_of_month=1, hour=0)
    long_ago = timezone.now() - timedelta(days=200)
    Schedule.objects.update(created_at=long_ago)
    owner = schedule.owner
    scheduling.switch_schedule(actor=owner, schedule=schedule, is_enabled=False)
    scheduling.switch_schedule(actor=owner, schedule=schedule, is_enabled=True)
    assert fire_schedules(timezone.now()) == []
    scheduling.change_schedule(actor=owner, schedule=schedule, day_of_month=1, hour=0, lag_months=3)
    assert fire_schedules(timezone.now()) == []
    [run] = fire_schedules(timezone.now() + timedelta(days=32))
    assert run.params["first_ym"] == run.base_ym
    assert PipelineRun.objects.count() == 1


def test_a_draft_gets_no_schedule() -> None:
    row = make_feature_set("drafted")
    pipeline = ensure_pipeline(actor=row.owner, template="materialise", feature_set=row)
    type(row).objects.filter(pk=row.pk).update(is_current=False, status="DRAFT")
    pipeline.feature_set.refresh_from_db()
    with pytest.raises(PipelineInvalid, match="draft"):
        add_schedule(actor=row.owner, pipeline=pipeline, **PLAN)


def test_names_are_shown_as_text(client_as: Callable[..., Client]) -> None:
    row = make_feature_set("cust_txn", title="<script>alert(1)</script>")
    pipeline = ensure_pipeline(actor=row.owner, template="eda", feature_set=row)
    type(pipeline).objects.filter(pk=pipeline.pk).update(name="<img src=x onerror=alert(1)>")
    pipeline.refresh_from_db()
    schedule = add_schedule(actor=make_user("operator"), pipeline=pipeline, **PLAN)
    client = client_as("operator")
    for address in ("/runs/schedules/", f"/runs/schedules/{schedule.pk}/", "/runs/months/?set=cust_txn"):
        page = client.get(address).content.decode()
        assert "<img src=x" not in page and "<script>alert" not in page, address
