"""The grid of feature sets and months: each cell says what is so, in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.features.models import FeatureSet, Materialisation
from apps.pipelines.grid import lines_of
from apps.pipelines.models import PipelineRun, StepRun
from apps.pipelines.services import add_schedule, ensure_pipeline, start_run
from mlopslib.dates import add_months, month_range
from tests.factories import make_feature_set, make_profiles

pytestmark = pytest.mark.django_db

MONTHS = month_range("202601", "202608")


@pytest.fixture
def feature_set() -> FeatureSet:
    row = make_feature_set("cust_txn")
    make_profiles(row, months=("202602", "202603", "202605"))
    return row


def materialise_run(
    row: FeatureSet, first: str, last: str, status: str, done: tuple[str, ...] = ()
) -> PipelineRun:
    """A run over a range in some state, that has finished the months `done`."""
    pipeline = ensure_pipeline(actor=row.owner, template="materialise", feature_set=row)
    params = {"first_ym": first, "last_ym": last}
    run = start_run(actor=row.owner, pipeline=pipeline, base_ym=last, trigger="MANUAL", params=params)
    step = {"metrics": {"months": [{"base_ym": ym} for ym in done]}}
    if status == "RUNNING":
        step |= {"state": "RUNNING", "lease_until": timezone.now() + timedelta(minutes=1)}
    StepRun.objects.filter(run=run).update(**step)
    is_over = status not in ("PENDING", "RUNNING")
    PipelineRun.objects.filter(pk=run.pk).update(
        status=status, finished_at=timezone.now() if is_over else None
    )
    return run


def states(row: FeatureSet, newest: str = "202607", months: list[str] = MONTHS) -> dict[str, str]:
    [line] = lines_of([row], months, now=timezone.now(), newest_of_all=newest)
    return {cell.ym: str(cell.state) for cell in line.cells}


def test_months_stand_are_missing_or_are_not_due(feature_set: FeatureSet) -> None:
    assert states(feature_set) == {
        "202601": "not_due",
        "202602": "done",
        "202603": "done",
        "202604": "missing",
        "202605": "done",
        "202606": "missing",
        "202607": "missing",
        "202608": "not_due",
    }


def test_a_running_range_shows_what_is_done_at_work_and_waiting(feature_set: FeatureSet) -> None:
    materialise_run(feature_set, "202605", "202608", "RUNNING", done=("202605",))
    found = states(feature_set)
    assert [found[ym] for ym in ("202605", "202606", "202607", "202608")] == [
        "done",
        "running",
        "queued",
        "queued",
    ]


def test_a_run_that_waits_queues_its_months_even_those_that_stand(feature_set: FeatureSet) -> None:
    materialise_run(feature_set, "202603", "202604", "PENDING")
    found = states(feature_set)
    assert (found["202603"], found["202604"]) == ("queued", "queued")


def test_a_run_fails_in_one_month_and_never_came_to_the_later_ones(feature_set: FeatureSet) -> None:
    materialise_run(feature_set, "202605", "202607", "FAILED", done=("202605",))
    found = states(feature_set)
    assert [found[ym] for ym in ("202605", "202606", "202607")] == ["done", "failed", "missing"]


def test_a_month_that_was_made_after_its_failure_is_done(feature_set: FeatureSet) -> None:
    materialise_run(feature_set, "202606", "202606", "FAILED")
    assert states(feature_set)["202606"] == "failed"
    Materialisation.objects.create(feature_set=feature_set, base_ym="202606", rows=5, table_version=1)
    assert states(feature_set)["202606"] == "done"


def test_a_new_version_is_due_from_where_the_history_of_the_name_begins(feature_set: FeatureSet) -> None:
    newer = make_feature_set("cust_txn")
    found = states(newer)
    assert (found["202601"], found["202602"], found["202607"]) == ("not_due", "missing", "missing")


def test_a_schedule_says_what_is_due(feature_set: FeatureSet) -> None:
    pipeline = ensure_pipeline(actor=feature_set.owner, template="materialise", feature_set=feature_set)
    plan = {"day_of_month": 1, "hour": 0, "lag_months": 2}
    add_schedule(actor=feature_set.owner, pipeline=pipeline, **plan)
    now = timezone.localtime()
    last = add_months(f"{now:%Y%m}", -2)
    months = month_range(add_months(last, -1), add_months(last, 1))
    assert list(states(feature_set, months=months).values()) == ["missing", "missing", "not_due"]


def test_cells_say_their_state_in_words_and_lead_to_their_run(
    feature_set: FeatureSet, client_as: Callable[..., Client]
) -> None:
    run = materialise_run(feature_set, "202606", "202606", "FAILED")
    Materialisation.objects.create(
        feature_set=make_feature_set("newest"), base_ym="202607", rows=1, table_version=1
    )
    page = client_as("data_scientist").get("/runs/months/").content.decode()
    assert f'href="/runs/{run.pk}/" title="cust_txn 2026-06: failed, run {run.pk}"' in page
    assert 'aria-label="cust_txn 2026-05: done, 20,000 rows"' in page
    assert 'value="cust_txn/202604" title="cust_txn 2026-04: missing: make it"' in page
    assert "Fill 3 months" in page
    viewer = client_as("viewer").get("/runs/months/").content.decode()
    assert "cust_txn 2026-04: missing" in viewer
    assert '<button class="cell' not in viewer
    assert "Fill 3 months" not in viewer


def test_the_grid_takes_the_same_queries_however_many_sets_and_runs(
    feature_set: FeatureSet, client_as: Callable[..., Client], django_assert_num_queries: Any
) -> None:
    client = client_as("viewer")
    materialise_run(feature_set, "202606", "202606", "FAILED")
    client.get("/runs/months/")
    with django_assert_num_queries(16):
        client.get("/runs/months/")
    for index in range(5):
        row = make_feature_set(f"more_{index}")
        make_profiles(row)
        materialise_run(row, "202604", "202608", "RUNNING", done=("202604",))
        materialise_run(row, "202603", "202603", "FAILED")
    with django_assert_num_queries(16):
        client.get("/runs/months/?n=24")


def test_progress_stops_polling_when_nothing_runs(
    feature_set: FeatureSet, client_as: Callable[..., Client]
) -> None:
    client = client_as("viewer")
    run = materialise_run(feature_set, "202606", "202607", "RUNNING")
    live = client.get("/runs/months/progress/?n=24&set=cust_txn")
    assert live.status_code == 200
    assert (
        'hx-get="/runs/months/progress/?n=24&amp;set=cust_txn" hx-trigger="every 2s"' in live.content.decode()
    )
    PipelineRun.objects.filter(pk=run.pk).update(status="CANCELLED", finished_at=timezone.now())
    ended = client.get("/runs/months/progress/?n=24&set=cust_txn")
    assert (ended.status_code, "hx-trigger" in ended.content.decode()) == (286, False)


def test_the_window_lies_in_the_address_and_survives_nonsense(
    feature_set: FeatureSet, client_as: Callable[..., Client]
) -> None:
    client = client_as("viewer")
    assert "2025-09 – 2026-08" in client.get("/runs/months/?to=202608").content.decode()
    assert "2024-09 – 2026-08" in client.get("/runs/months/?to=2026-08&n=24").content.decode()
    for query in ("to=202613", "to=x&n=7", "to=219912&n=24", "to=190001", "page=99", "q=%00<script>"):
        answer = client.get(f"/runs/months/?{query}")
        assert answer.status_code == 200, query
        assert '<script>"' not in answer.content.decode()
    assert client.get("/runs/months/?set=nowhere").status_code == 404
    assert client.get("/runs/months/?set=cust_txn&version=9").status_code == 404


def test_an_empty_portal_says_how_a_grid_comes_about(client_as: Callable[..., Client]) -> None:
    page = client_as("data_scientist").get("/runs/months/").content.decode()
    assert "No feature sets yet" in page and "Publish the first feature set" in page
