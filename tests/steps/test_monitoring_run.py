import numpy as np

from mlopslib.definition import Gates
from mlopslib.steps.gates import judge


def monitor(world, champion, base_ym):
    return world.run(
        "monitoring",
        base_ym,
        version=1,
        label="v1",
        package_sha256=champion["package_sha256"],
        train_months=champion["train_months"],
    )


def test_the_new_month_gets_psi_and_the_mature_month_gets_figures(world, champion):
    results, inputs = monitor(world, champion, "202510")
    rows = {row["base_ym"]: row for row in results["monitor"].metrics["evaluations"]}
    assert set(rows) == {"202509", "202510"}
    assert rows["202510"]["positives"] is None and rows["202510"]["score_psi"] >= 0
    assert rows["202509"]["dataset"] == "PRODUCTION"
    assert rows["202509"]["auc"] is not None and rows["202509"]["lift_at_10"] is not None
    assert {row["feature"] for row in results["monitor"].metrics["feature_psi"]} == {
        "amt",
        "segment",
        "cnt",
        "visits_3m",
    }
    assert "202509: score PSI" in results["monitor"].summary
    scores = world.frame(inputs["scores"])
    assert len(scores) == 1400 and np.isfinite(scores["score"]).all()


def test_a_month_that_the_version_was_trained_on_is_not_measured(world, champion):
    results, _ = monitor(world, champion, "202505")
    assert [row["base_ym"] for row in results["monitor"].metrics["evaluations"]] == ["202505"]
    assert "202504 is not measured: the version was trained on this month" in results["extract"].summary


def test_monitoring_gives_the_figures_that_validation_gave(world, champion, first_run):
    results, _ = monitor(world, champion, "202507")
    before = {row["base_ym"]: row for row in first_run[0]["validate_oot"].metrics["evaluations"]}
    now = {row["base_ym"]: row for row in results["monitor"].metrics["evaluations"]}
    for name in ("auc", "ks", "lift_at_10", "score_psi", "rows", "positives"):
        assert now["202506"][name] == before["202506"][name]


def row(base_ym, **figures):
    values = {"auc": 0.7, "lift_at_10": 2.0, "score_psi": 0.05, "rows": 900, "positives": 90}
    return {"base_ym": base_ym, "details": {"without_target": 100}, **values, **figures}


def test_gates_say_the_figure_the_limit_and_the_month():
    gates = judge(
        Gates(min_oot_auc=0.75, min_rows=800),
        evaluations=[row("202606", score_psi=0.31), row("202607"), row("")],
        feature_psi=[{"base_ym": "202607", "feature": "amt", "psi": 0.12, "details": {}}],
        comparison={"champion": "v3", "pooled": {"auc_difference": {"value": -0.02}}},
    )
    found = {gate["name"]: gate for gate in gates}
    assert found["min_oot_auc"]["passed"] is False
    assert found["min_oot_auc"]["sentence"] == "OOT AUC is 0.700, less than 0.750"
    assert found["max_score_psi"]["passed"] is False
    assert found["max_score_psi"]["sentence"] == "The worst month's score PSI (2026-06) is 0.310, above 0.250"
    assert found["max_feature_psi"]["passed"] is True
    assert "(amt, 2026-07)" in found["max_feature_psi"]["sentence"]
    assert found["max_auc_drop"]["figure"] == 0.02 and found["max_auc_drop"]["passed"] is False
    assert found["min_rows"]["figure"] == 800 and found["min_rows"]["passed"] is True


def test_a_gate_whose_figure_is_not_there_has_not_passed():
    gates = judge(
        Gates(),
        evaluations=[row("", auc=None, lift_at_10=None)],
        feature_psi=[],
        comparison={"champion": "v1", "pooled": None},
    )
    unmeasured = {gate["name"] for gate in gates if gate["passed"] is None}
    assert unmeasured == {"min_oot_auc", "min_lift_at_10", "max_score_psi", "max_feature_psi", "max_auc_drop"}


def test_a_gate_that_is_switched_off_is_not_listed():
    gates = judge(
        Gates(max_score_psi=None, max_auc_drop=None), evaluations=[row("")], feature_psi=[], comparison=None
    )
    assert not {"max_score_psi", "max_auc_drop"} & {gate["name"] for gate in gates}
