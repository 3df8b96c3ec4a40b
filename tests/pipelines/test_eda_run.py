"""From the button to the page: a month is made and explored by real processes."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.features.models import EdaReport, FeatureProfile, FeatureSet, Materialisation
from apps.pipelines.feature_runs import start_feature_run
from apps.pipelines.models import PipelineRun
from tests.pipelines.conftest import drive
from tests.pipelines.test_backfill import bank

__all__ = ["bank"]


def run_of(row: FeatureSet, template: str, **asked: Any) -> PipelineRun:
    run = start_feature_run(actor=row.owner, template=template, feature_set=row, trigger="MANUAL", **asked)
    return drive(run, seconds=90)


@pytest.mark.database
def test_a_month_is_made_explored_and_shown(bank: FeatureSet) -> None:
    made = run_of(bank, "materialise", first_ym="202601", last_ym="202602")
    assert made.status == "SUCCEEDED", made.error
    explored = run_of(bank, "eda")
    assert explored.status == "SUCCEEDED", explored.error
    report = EdaReport.objects.get()
    newest = Materialisation.objects.order_by("-base_ym").first()
    assert newest is not None
    assert (report.base_ym, report.rows) == (newest.base_ym, newest.rows) == ("202602", 20_000)
    [described] = report.report["features"]
    profile = FeatureProfile.objects.get(base_ym="202602")
    assert described["mean"] == pytest.approx(profile.mean)

    client = Client()
    client.force_login(bank.owner)
    shown = client.get(f"/runs/{explored.pk}/").content.decode()
    assert 'href="/features/sets/cust_txn/eda/"' in shown
    for part in ("features", "correlation", "target", "psi"):
        page = client.get(f"/features/sets/cust_txn/eda/?part={part}")
        assert page.status_code == 200, part
    assert client.get("/features/sets/cust_txn/eda/").context["row"] == report
