"""Models, versions, comparisons: what is measured, and what cannot be measured yet."""

from __future__ import annotations

import pytest

from apps.models import charts, health
from apps.models.changes import changes
from apps.models.models import Evaluation, FeatureDrift
from apps.models.report import excluded_rows, signed, swap_set
from apps.pipelines.models import Schedule
from mlopslib.artifacts import ArtifactStore
from tests import factories


def test_immature_months_are_named_and_drawn_as_no_zero(bank, client_as):
    page = client_as("viewer").get("/models/loan_needs/").content.decode()
    assert "AUC and lift of 2 months wait for labels" in page
    assert "2025-12" in page and "complete at the end of 2026-02" in page
    found = health.health_of(bank.champion)
    assert [month.base_ym for month in found.immature] == ["202512", "202601"]
    auc = charts.evaluation_auc(found.mature, floor=0.6)
    assert "2026-01" not in [row[0] for row in auc.rows]
    psi = charts.evaluation_psi(found.months)
    assert psi.rows[-1][0] == "2026-01" and psi.rows[-1][1] == pytest.approx(0.28)


def test_a_month_whose_labels_came_in_is_not_said_to_wait(bank, client_as):
    bank.champion.evaluations.filter(dataset="PRODUCTION", base_ym="202510").update(positives=None, auc=None)
    page = client_as("viewer").get("/models/loan_needs/").content.decode()
    assert "AUC and lift of 2 months wait for labels" in page
    assert "no monitoring run has measured:" in page


def test_production_speaks_last_about_a_month_that_has_both(bank):
    both = Evaluation.objects.filter(version=bank.champion, dataset="OOT").exclude(base_ym="").first()
    Evaluation.objects.create(
        version=bank.champion, dataset="PRODUCTION", base_ym=both.base_ym, rows=1, score_psi=0.5
    )
    found = {month.base_ym: month for month in health.health_of(bank.champion).months}
    assert found[both.base_ym].score_psi == 0.5


def test_a_band_crossed_says_its_word(bank, client_as):
    page = client_as("viewer").get("/models/loan_needs/").content.decode()
    assert "act limit 0.25" in page
    assert '<span class="band act">act</span>' in page
    assert "txn_cnt_3m" in page


def test_the_feature_table_starts_with_the_worst_and_opens_to_all(bank, client_as):
    FeatureDrift.objects.bulk_create(
        FeatureDrift(version=bank.champion, base_ym="202601", feature=f"f_{n:02}", psi=0.001 * n)
        for n in range(12)
    )
    table = health.drift_table(bank.champion)
    assert table.worst is not None and table.worst[0] == "txn_cnt_3m"
    client = client_as("viewer")
    assert "f_01" not in client.get("/models/loan_needs/").content.decode()
    assert "f_01" in client.get("/models/loan_needs/?features=all").content.decode()


def test_the_page_of_a_model_shows_how_it_runs(bank, client_as):
    training = factories.make_pipeline("training", model=bank.model, name="monthly CT")
    Schedule.objects.create(pipeline=training, owner=bank.author, day_of_month=3, hour=2)
    run = factories.make_run(training, status="SUCCEEDED")
    page = client_as("operator").get("/models/loan_needs/").content.decode()
    assert f'href="/runs/start/?pipeline={training.pk}"' in page
    assert "day 3 of the month at 02:00" in page and "next" in page
    assert run.get_absolute_url() in page
    assert "v1 is live" in page
    assert "v2 waits for a decision" in page
    assert "/runs/start/" not in client_as("viewer").get("/models/loan_needs/").content.decode()


def test_a_model_without_a_champion_says_what_comes_next(bank, client_as):
    factories.make_model("young", owner=bank.author)
    page = client_as("data_scientist").get("/models/young/").content.decode()
    assert "No champion yet" in page and "Start a training run" in page


def test_a_version_shows_its_proof_and_the_files_of_its_package(bank, client_as, settings):
    store = ArtifactStore(settings.ARTIFACT_ROOT)
    contract = store.put_json({"inputs": []})
    package = store.put_json({"files": {"contract.json": contract.to_dict()}})
    version = factories.make_version(bank.model, package_sha256=package.sha256)
    page = client_as("viewer").get(version.get_absolute_url()).content.decode()
    assert "3 paths, 412 rows, max difference 2.2e-16" in page
    assert "contract.json" in page and contract.sha256[:8] in page
    for dataset in ("TRAIN", "TEST", "OOT"):
        assert f"<strong>{dataset}</strong>" in page


def test_a_version_whose_package_is_gone_says_so(bank, client_as):
    page = client_as("viewer").get(bank.challenger.get_absolute_url()).content.decode()
    assert "is not in the store" in page


def test_the_comparison_has_every_month_with_its_interval(bank, client_as):
    page = client_as("viewer").get(bank.comparison.get_absolute_url()).content.decode()
    for month in bank.comparison.report["months"]:
        assert f"{month['auc_challenger']['value']:.4f}" in page
        assert f"{month['auc_challenger']['low']:.4f}" in page
    assert page.count("data-chart=") == 6
    assert "DeLong" in page and "fixed before the look" in page


def test_each_chart_has_the_table_of_its_figure(bank):
    report, names = bank.comparison.report, charts.names_of(bank.champion, bank.challenger)
    found = health.health_of(bank.champion)
    lift = charts.lift_rows(bank.challenger.evaluations.get(dataset="OOT", base_ym=""))
    drawn = [
        charts.oot_auc(report, floor=0.6, **names),
        charts.auc_difference(report, **names),
        charts.both_by_month(report, "ks", "KS", **names),
        charts.score_psi(report, **names),
        charts.decile_lift(report, **names),
        charts.version_lift(lift, subtitle="", label="v2"),
        charts.evaluation_psi(found.months),
        charts.evaluation_auc(found.mature, floor=0.6),
        charts.evaluation_lift(found.mature, floor=1.5),
        charts.calibration([{"mean_score": 0.1, "rate": 0.12}], subtitle=""),
    ]
    assert len({chart.id for chart in drawn}) >= 9
    for chart in drawn:
        columns = {name: [row[place] for row in chart.rows] for place, name in enumerate(chart.head)}
        traces = [trace for trace in chart.figure["data"] if trace.get("name")]
        assert traces, chart.id
        for trace in traces:
            assert trace["y"] == columns[trace["name"]], chart.id
            assert trace["x"] == columns[chart.head[0]], chart.id


def test_champion_and_challenger_differ_by_more_than_colour(bank):
    names = charts.names_of(bank.champion, bank.challenger)
    auc = charts.oot_auc(bank.comparison.report, floor=None, **names)
    champion, challenger = (trace for trace in auc.figure["data"] if trace.get("name"))
    assert (champion["line"]["dash"], champion["marker"]["symbol"]) == ("dot", "square")
    assert (challenger["line"]["dash"], challenger["marker"]["symbol"]) == ("solid", "circle")
    bars = charts.decile_lift(bank.comparison.report, **names).figure["data"]
    assert "pattern" in bars[0]["marker"] and "pattern" not in bars[1]["marker"]


def test_what_changed_is_read_from_the_frozen_definitions(bank):
    definition = dict(bank.challenger.definition)
    gone = definition["features"][-1]["column"]
    definition["features"] = [
        *definition["features"][:-1],
        {"feature_set": "cust_app", "version": 1, "column": "visit_days_1m", "dtype": "numeric"},
    ]
    definition["params"] = {**definition["params"], "num_leaves": 63}
    definition["target_sql"] += "\nHAVING 1 = 1"
    bank.challenger.definition = definition
    found = [(row.sign, row.kind, row.what, row.detail) for row in changes(bank.champion, bank.challenger)]
    assert ("+", "feature", "visit_days_1m", "cust_app v1") in found
    assert ("−", "feature", gone, "") in found
    assert ("~", "parameter", "num_leaves", "15 → 63") in found
    assert ("~", "target SQL", "", "1 lines added, 0 removed") in found
    assert any(kind == "training window" for _sign, kind, _what, _detail in found)
    assert [row[0] for row in found] == sorted((row[0] for row in found), key="+−~".index)


def test_small_words():
    assert (signed(0.0321), signed(-0.0321), signed(0.0001)) == ("+0.032", "−0.032", "±0.000")
    assert swap_set({"swap_set": None}) is None
    found = swap_set({"swap_set": {"in_n": 10, "out_n": 10, "in_responders": 4, "out_responders": 1}})
    assert found is not None and (found.gain_text, found.in_rate) == ("+3", 0.4)
    assert excluded_rows({"excluded": {"202512": "b", "202511": "labels until 202601", "202510": "b"}}) == [
        ("b", ["202510", "202512"]),
        ("labels until 2026-01", ["202511"]),
    ]
