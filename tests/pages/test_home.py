"""The home page: what waits for me, what runs, what drifts, how the champions do."""

from __future__ import annotations

import re

import pytest

from apps.models.models import Evaluation, FeatureDrift, Review
from portal.overview import champion_health, tripped_bands
from tests import factories


def production(version, base_ym: str, score_psi: float, auc: float | None = None) -> None:
    Evaluation.objects.update_or_create(
        version=version,
        dataset="PRODUCTION",
        base_ym=base_ym,
        defaults={"rows": 20_000, "score_psi": score_psi, "auc": auc},
    )


def drift(version, base_ym: str, feature: str, psi: float) -> None:
    FeatureDrift.objects.update_or_create(
        version=version, base_ym=base_ym, feature=feature, defaults={"psi": psi}
    )


@pytest.fixture
def quiet(bank):
    Evaluation.objects.filter(dataset="PRODUCTION").delete()
    FeatureDrift.objects.all().delete()
    return bank


def test_a_review_waits_for_the_reviewer_and_not_for_who_asked(bank, client_as):
    mine = client_as("reviewer").get("/").content.decode()
    assert "1 review waits for you" in mine
    assert "Awaiting you" in mine
    theirs = client_as(bank.scientist).get("/").content.decode()
    assert "waits for you" not in theirs
    assert "Promote v2 to champion of loan_needs" in theirs
    assert "Awaiting you" not in theirs


def test_a_reviewer_who_made_the_version_is_not_asked(bank, client_as):
    both = factories.make_user(["data_scientist", "reviewer"])
    Review.objects.update(requested_by=both)
    assert "waits for you" not in client_as(both).get("/").content.decode()


def test_a_band_crossed_names_model_month_and_figure(quiet, client_as):
    production(quiet.champion, "202606", 0.146)
    drift(quiet.champion, "202606", "txn_cnt_3m", 0.312)
    drift(quiet.champion, "202606", "bal_avg_3m", 0.099)
    page = client_as("viewer").get("/").content.decode()
    table = re.search(r"Bands crossed.*?</section>", page, re.DOTALL).group(0)
    assert "loan_needs v1" in table
    assert "2026-06" in table
    assert "txn_cnt_3m" in table
    assert "0.312" in table
    assert "0.146" in table
    assert table.count('class="band act"') == 1
    assert table.count('class="band watch"') == 1
    assert "bal_avg_3m" not in table


def test_only_the_newest_month_counts(quiet):
    production(quiet.champion, "202605", 0.4)
    production(quiet.champion, "202606", 0.02)
    drift(quiet.champion, "202605", "txn_cnt_3m", 0.9)
    drift(quiet.champion, "202606", "txn_cnt_3m", 0.01)
    assert tripped_bands(champion_health()) == []


def test_a_challenger_s_drift_is_not_the_portal_s_worry(quiet):
    drift(quiet.review.version, "202606", "txn_cnt_3m", 0.9)
    assert tripped_bands(champion_health()) == []


def test_a_champion_shows_its_newest_auc_even_if_a_later_month_has_no_labels_yet(quiet, client_as):
    production(quiet.champion, "202605", 0.03, auc=0.7654)
    production(quiet.champion, "202606", 0.04)
    health = champion_health()[0]
    assert (health.auc.base_ym, health.score_psi.base_ym) == ("202605", "202606")
    page = client_as("viewer").get("/").content.decode()
    assert "0.765" in page
    assert "1 of 1 workers" in page


def test_running_and_failed_runs_are_on_the_page(bank, client_as):
    page = client_as("viewer").get("/").content.decode()
    assert f"/runs/{bank.running.pk}/" in page
    assert "month 2 of 4" in page
    assert "cust_balance has no rows for 202604" in page


def test_a_failure_that_was_made_good_is_forgotten(bank, client_as):
    factories.make_run(bank.failed.pipeline, status="SUCCEEDED", base_ym="202604")
    assert "Failed last" not in client_as("viewer").get("/").content.decode()


def test_activity_is_for_those_who_may_read_the_trail(bank, client_as):
    from apps.common.audit import record

    record(bank.scientist, "run.started", bank.done)
    assert "Recent activity" in client_as("reviewer").get("/").content.decode()
    page = client_as("viewer").get("/").content.decode()
    assert "Recent activity" not in page
    assert "Recent runs" in page
