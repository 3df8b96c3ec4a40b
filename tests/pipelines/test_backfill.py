"""Back-fill: the missing months in order, once however often one presses, and whole whatever dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from django.test import Client

from apps.features.models import FeatureProfile, FeatureSet, Materialisation
from apps.pipelines import executor
from apps.pipelines.backfill import back_fill, stretches
from apps.pipelines.errors import PipelineInvalid
from apps.pipelines.grid import lines_of
from apps.pipelines.models import PipelineRun, StepRun
from apps.pipelines.services import resume_run
from mlopslib.dates import month_range
from mlopslib.definition import FeatureSpec
from mlopslib.errors import AccessDenied, InvalidDate
from mlopslib.offline import open_store
from tests.factories import make_feature_set, make_profiles, make_user
from tests.pipelines.conftest import drive, eventually

MONTHS = month_range("202601", "202606")


def gaps() -> FeatureSet:
    """Stands in 202601, 202602 and 202605; another set reaches 202607."""
    row = make_feature_set("cust_txn")
    make_profiles(row, months=("202601", "202602", "202605"))
    Materialisation.objects.create(
        feature_set=make_feature_set("other"), base_ym="202607", rows=1, table_version=1
    )
    return row


def ranges() -> list[tuple[str, str]]:
    runs = PipelineRun.objects.order_by("pk")
    return [(run.params["first_ym"], run.params["last_ym"]) for run in runs]


def test_months_without_a_gap_are_one_stretch() -> None:
    assert stretches([]) == []
    assert stretches(["202701", "202612", "202611", "202704"]) == [
        ("202611", "202701"),
        ("202704", "202704"),
    ]


@pytest.mark.django_db
def test_a_month_that_has_not_begun_is_refused() -> None:
    row = gaps()
    given = {"actor": row.owner, "feature_set": row, "trigger": "MANUAL", "only_missing": False}
    with pytest.raises(InvalidDate, match="209912 has not begun"):
        back_fill(**given, first_ym="209912", last_ym="209912")
    assert not PipelineRun.objects.exists()


@pytest.mark.django_db
def test_missing_months_are_started_the_oldest_first() -> None:
    row = gaps()
    runs = back_fill(actor=row.owner, feature_set=row, first_ym="202512", last_ym="202608", trigger="MANUAL")
    assert ranges() == [("202603", "202604"), ("202606", "202607")]
    assert list(StepRun.objects.due().values_list("run_id", flat=True)) == [run.pk for run in runs]


@pytest.mark.django_db
def test_pressing_again_starts_nothing_while_it_runs() -> None:
    row = gaps()
    for _press in range(2):
        back_fill(actor=row.owner, feature_set=row, first_ym="202601", last_ym="202607", trigger="MANUAL")
    assert PipelineRun.objects.count() == 2


@pytest.mark.django_db
def test_a_range_makes_months_again_but_leaves_those_under_way() -> None:
    row = gaps()
    back_fill(actor=row.owner, feature_set=row, first_ym="202603", last_ym="202603", trigger="MANUAL")
    back_fill(
        actor=row.owner,
        feature_set=row,
        first_ym="202512",
        last_ym="202605",
        trigger="MANUAL",
        only_missing=False,
    )
    assert ranges() == [("202603", "202603"), ("202512", "202602"), ("202604", "202605")]


@pytest.mark.django_db
def test_what_cannot_be_filled_is_refused() -> None:
    row = gaps()
    common: dict[str, Any] = {"feature_set": row, "trigger": "MANUAL"}
    with pytest.raises(AccessDenied):
        back_fill(actor=make_user("reviewer"), first_ym="202601", last_ym="202602", **common)
    with pytest.raises(InvalidDate, match="first month comes first"):
        back_fill(actor=row.owner, first_ym="202603", last_ym="202601", **common)
    with pytest.raises(InvalidDate) as refused:
        back_fill(actor=row.owner, first_ym="202601", last_ym="202613", **common)
    assert refused.value.field == "last_ym"
    draft = make_feature_set("drafted", is_current=False, status="DRAFT")
    with pytest.raises(PipelineInvalid, match="draft"):
        back_fill(actor=row.owner, feature_set=draft, first_ym="202601", last_ym="202601", trigger="MANUAL")


@pytest.mark.django_db
def test_the_page_fills_a_cell_the_window_and_a_range(client_as: Callable[..., Client]) -> None:
    row = gaps()
    client = client_as("operator")
    answer = client.post("/runs/months/backfill/", {"cell": "cust_txn/202603", "key": "k1"})
    assert (answer.status_code, answer["Location"]) == (302, "/runs/months/")
    client.post("/runs/months/backfill/", {"cell": "cust_txn/202603", "key": "k1"})
    assert ranges() == [("202603", "202603")]
    answer = client.post(
        "/runs/months/backfill/", {"missing": "cust_txn", "to": "202607", "n": "12", "shown": "cust_txn"}
    )
    assert answer["Location"] == "/runs/months/?to=202607&n=12&set=cust_txn"
    assert ranges()[1:] == [("202604", "202604"), ("202606", "202607")]
    data = {"set": "cust_txn", "first_ym": "2025-11", "last_ym": "2025-12", "again": "1"}
    assert client.post("/runs/months/backfill/", data).status_code == 302
    assert ranges()[3:] == [("202511", "202512")]
    assert {run.requested_by for run in PipelineRun.objects.all()} == {client.user}
    assert row.pipelines.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    "data",
    [
        {},
        {"cell": "cust_txn/202613"},
        {"cell": "cust_txn"},
        {"set": "cust_txn", "first_ym": "<script>", "last_ym": "202601"},
        {"missing": "cust_txn", "to": "x", "n": "y"},
    ],
)
def test_a_bad_press_says_what_was_wrong(data: dict[str, str], client_as: Callable[..., Client]) -> None:
    make_feature_set("cust_txn")
    client = client_as("operator")
    page = client.post("/runs/months/backfill/", data, follow=True)
    assert page.status_code == 200
    assert 'class="toast' in page.content.decode()
    assert "<script>'" not in page.content.decode()
    refused = client_as("viewer").post("/runs/months/backfill/", {"cell": "cust_txn/202601"})
    assert refused.status_code == 403
    # whoever may not fill months is told so, not what was left out
    assert client_as("viewer").post("/runs/months/backfill/", {}).status_code == 403


@pytest.fixture
def bank(tmp_path: Path, toys: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> FeatureSet:
    """A feature set over a real offline store; processes that the test starts run the real step."""
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.settings")
    settings.OFFLINE_URL = f"delta://{tmp_path / 'offline'}"
    count = 20_000
    months = [ym for ym in MONTHS for _row in range(count)]
    ids = [f"C{number:06d}" for _ym in MONTHS for number in range(count)]
    amounts = [float(number % 977) for number in range(len(ids))]
    table = pa.table({"cust_id": ids, "ym": months, "amount": amounts})
    open_store(settings.OFFLINE_URL).create_table("txn", table)
    return make_feature_set(
        "cust_txn",
        entity_key="cust_id",
        sql="SELECT cust_id, SUM(amount) AS amt_1m FROM txn WHERE ym = '{base_ym}' GROUP BY cust_id",
        features=[FeatureSpec("amt_1m", "numeric")],
    )


def fill(row: FeatureSet, last_ym: str = MONTHS[-1]) -> PipelineRun:
    [run] = back_fill(
        actor=row.owner,
        feature_set=row,
        first_ym=MONTHS[0],
        last_ym=last_ym,
        trigger="MANUAL",
        only_missing=False,
    )
    return run


def in_store(url: str) -> dict[str, int]:
    """Rows of each month that stands in the store."""
    store = open_store(url)
    table = "fs_cust_txn_v1"
    if not store.table_exists(table):
        return {}
    months = store.partitions(table, "base_ym")
    return {ym: store.read_partition(table, "base_ym", ym).num_rows for ym in months}


def child_of(step: StepRun) -> int | None:
    """The process that runs a step, found by its command line."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"run_step" in words and words[words.index(b"run_step") + 1] == str(step.pk).encode():
            return int(path.parent.name)
    return None


@pytest.mark.database
def test_a_killed_process_leaves_whole_months_and_its_successor_makes_the_rest(
    bank: FeatureSet, settings: Any, background: Callable[..., Any]
) -> None:
    run = fill(bank)
    step = run.steps.get()
    background(executor.work, step.pk)
    eventually(lambda: Materialisation.objects.count() >= 2, seconds=60)
    process = child_of(step)
    assert process is not None
    os.kill(process, signal.SIGKILL)
    eventually(lambda: StepRun.objects.filter(pk=step.pk, deaths=1).exists())
    made = dict(Materialisation.objects.values_list("base_ym", "created_at"))
    stands = in_store(settings.OFFLINE_URL)
    assert set(stands.values()) == {20_000}, "a half month stands"
    assert 2 <= len(made) < len(MONTHS)
    assert set(made) <= set(stands)
    assert len(stands) - len(made) <= 1, "at most the month of the death is not recorded yet"

    assert drive(run, seconds=90).status == "SUCCEEDED", run.error
    assert in_store(settings.OFFLINE_URL) == dict.fromkeys(MONTHS, 20_000)
    again = dict(Materialisation.objects.values_list("base_ym", "created_at"))
    assert sorted(again) == MONTHS
    assert {ym: again[ym] for ym in made} == made, "a finished month was made again"
    assert FeatureProfile.objects.filter(feature__feature_set=bank).count() == len(MONTHS)
    [line] = lines_of([bank], MONTHS, now=run.created_at, newest_of_all=MONTHS[-1])
    assert {str(cell.state) for cell in line.cells} == {"done"}


@pytest.mark.database
def test_a_range_that_fails_late_keeps_its_months_and_resume_goes_on(bank: FeatureSet, settings: Any) -> None:
    last = "202608"  # 202607 is not in the source table
    run = drive(fill(bank, last), seconds=90)
    assert (run.status, run.error["code"]) == ("FAILED", "empty-month")
    assert sorted(Materialisation.objects.values_list("base_ym", flat=True)) == MONTHS
    shown = [*MONTHS, "202607", last]
    [line] = lines_of([bank], shown, now=run.created_at, newest_of_all=last)
    assert [str(cell.state) for cell in line.cells] == ["done"] * 6 + ["failed", "missing"]

    late = pd.DataFrame({"cust_id": ["C1", "C1"], "ym": ["202607", last], "amount": [1.0, 2.0]})
    assert open_store(settings.OFFLINE_URL).save_pandas_to_table(late, "txn")
    made = dict(Materialisation.objects.values_list("base_ym", "created_at"))
    resume_run(actor=bank.owner, run=run)
    assert drive(run, seconds=60).status == "SUCCEEDED", run.error
    again = dict(Materialisation.objects.values_list("base_ym", "created_at"))
    assert sorted(again) == shown
    assert {ym: again[ym] for ym in made} == made
    assert in_store(settings.OFFLINE_URL) == {**dict.fromkeys(MONTHS, 20_000), "202607": 1, last: 1}
