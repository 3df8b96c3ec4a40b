import math
from dataclasses import replace

import numpy as np
import pytest

from mlopslib.definition import Derived, FeatureRef, Windows
from mlopslib.errors import (
    ArtifactMissing,
    DataError,
    DefinitionInvalid,
    EmptyMonth,
    InvalidInput,
    SingleClassTarget,
    StepCancelled,
    TableNotFound,
)
from mlopslib.offline import open_store
from mlopslib.package import read_package, verify_native
from mlopslib.scoring import load_scorer
from mlopslib.steps import STEP_TITLES, TEMPLATES, get_step
from tests.steps.world import SPEC, World


def test_every_step_of_every_template_exists_and_has_a_title():
    for template, names in TEMPLATES.items():
        for name in names:
            assert callable(get_step(template, name))
            assert STEP_TITLES[name]
    with pytest.raises(InvalidInput):
        get_step("training", "monitor")


def test_extract_joins_feature_sets_and_target_at_each_month(world, first_run):
    results, inputs = first_run
    frame = world.frame(inputs["dataset"])
    assert results["extract"].metrics["months"] == {
        "train": ["202502", "202503", "202504"],
        "embargo": ["202505"],
        "oot": ["202506", "202507"],
        "recent": ["202508"],
    }
    assert len(frame) == 6 * 700
    assert frame.loc[frame["part"] == "recent", "target"].isna().all()
    assert set(frame.loc[frame["part"] == "train", "target"]) == {0.0, 1.0}
    row = frame[(frame["customer_id"] == "C00004") & (frame["base_ym"] == "202503")].iloc[0]
    store = open_store(world.url)
    (fact,) = store.read_sql(
        "SELECT amt, segment FROM facts WHERE ym = '202503' AND customer_id = 'C00004'"
    ).to_pylist()
    assert (row["amt"], row["segment"]) == (fact["amt"], fact["segment"])
    loans = store.read_sql("SELECT customer_id FROM loans WHERE ym = '202504' AND customer_id = 'C00004'")
    assert row["target"] == float(loans.num_rows > 0)


def test_extract_pins_the_tables_that_it_read(first_run):
    tables = first_run[0]["extract"].metrics["tables"]
    assert set(tables) == {"fs_balance_v1", "fs_visits_v1", "facts", "loans"}
    assert all(isinstance(version, int) for version in tables.values())


def test_customer_is_in_train_or_in_test_never_in_both(world, first_run):
    frame = world.frame(first_run[1]["prepared"])
    train = set(frame.loc[frame["part"] == "train", "customer_id"])
    test = set(frame.loc[frame["part"] == "test", "customer_id"])
    assert not train & test
    assert 0.12 < len(test) / len(train | test) < 0.28
    amt, cnt = frame["amt"], frame["cnt"]
    expected = np.where(cnt > 0, amt / cnt.where(cnt > 0), np.nan)
    assert np.allclose(frame["amt_per_cnt"], expected, equal_nan=True)


def test_what_training_saw_missing_may_be_missing(world, first_run):
    contract = world.json(first_run[1]["preparation"])["contract"]
    assert {item["name"]: item["nullable"] for item in contract["inputs"]} == {
        "amt": True,
        "segment": False,
        "cnt": False,
        "visits_3m": True,
    }


def test_figures_of_train_test_and_oot_are_there(first_run):
    results = first_run[0]
    rows = results["evaluate"].metrics["evaluations"]
    assert [row["dataset"] for row in rows] == ["TRAIN", "TEST"]
    oot = {row["base_ym"]: row for row in results["validate_oot"].metrics["evaluations"]}
    assert list(oot) == ["202506", "202507", "202508", ""]
    assert oot["202508"]["positives"] is None and oot["202508"]["auc"] is None
    assert oot["202508"]["score_psi"] >= 0
    assert oot[""]["rows"] == 1400
    assert oot[""]["auc_low"] < oot[""]["auc"] < oot[""]["auc_high"]
    assert oot[""]["auc"] > 0.6
    assert len(oot["202506"]["details"]["deciles"]) == 10
    drift = results["validate_oot"].metrics["feature_psi"]
    assert {(row["base_ym"], row["feature"]) for row in drift} == {
        (ym, name) for ym in ("202506", "202507", "202508") for name in ("amt", "segment", "cnt", "visits_3m")
    }


def test_auc_is_that_of_scikit_learn(world, first_run):
    from sklearn.metrics import roc_auc_score

    scores = world.frame(first_run[1]["scores"])
    rows = scores[scores["base_ym"] == "202506"]
    row = next(r for r in first_run[0]["validate_oot"].metrics["evaluations"] if r["base_ym"] == "202506")
    assert math.isclose(row["auc"], roc_auc_score(rows["target"], rows["score"]), rel_tol=1e-12)


def test_package_is_proved_and_scores_as_the_run_did(world, first_run):
    results, inputs = first_run
    assert results["package"].metrics["package_sha256"] == inputs["package"].sha256
    assert world.json(inputs["parity"])["max_difference"] <= 1e-9
    package = read_package(world.artifacts, inputs["package"].sha256)
    verify_native(package)
    assert package.manifest["train_months"] == ["202502", "202503", "202504"]
    scores = world.frame(inputs["scores"])
    prepared = world.frame(inputs["prepared"])
    row = prepared[prepared["part"] == "oot"].iloc[10]
    request = {
        name: None if value is None or value != value else value
        for name, value in row[["amt", "segment", "cnt", "visits_3m"]].items()
    }
    found = scores[(scores["customer_id"] == row["customer_id"]) & (scores["base_ym"] == row["base_ym"])]
    assert load_scorer(package).score([request])[0] == found["score"].iloc[0]


def test_first_version_has_gates_and_no_verdict(world, first_run):
    metrics = first_run[0]["compare"].metrics
    assert metrics["verdict"] is None
    assert {gate["name"] for gate in metrics["gates"]} == {
        "min_oot_auc",
        "min_lift_at_10",
        "max_score_psi",
        "max_feature_psi",
        "min_rows",
        "min_positives",
    }
    assert world.json(first_run[1]["comparison"])["champion"] is None


def test_model_card_says_what_a_reviewer_asks(world, first_run):
    card = world.json(first_run[1]["model_card"])
    assert card["train_months"] == ["202502", "202503", "202504"]
    assert card["oot_months"] == ["202506", "202507"]
    assert card["rows"] == {"train": 2100, "oot": 1400, "recent": 700}
    assert set(card["importance"]) == {"amt", "cnt", "visits_3m", "amt_per_cnt", "segment"}
    assert card["parity"]["engines"] == ["pipeline", "native", "native batch", "pmml"]
    assert card["package"]["sha256"] == first_run[1]["package"].sha256


def test_challenger_is_compared_on_the_months_fair_to_both(world, second_run):
    results, inputs = second_run
    report = world.json(inputs["comparison"])
    assert [month["base_ym"] for month in report["months"]] == ["202510", "202511"]
    assert set(report["excluded"]) == {"202509", "202512"}
    assert report["champion"] == "v1"
    assert report["verdict"] in ("BETTER", "NOT_WORSE", "WORSE", "CANNOT_TELL")
    assert results["compare"].metrics["verdict"] == report["verdict"]
    assert set(report["score_psi"]["champion"]) == {"202510", "202511", "202512"}
    assert {"what": "base month", "from": "202508", "to": "202512"} in report["what_changed"]
    assert "max_auc_drop" in {gate["name"] for gate in report["gates"]}
    assert results["compare"].metrics["gates"] == report["gates"]


def test_the_same_run_again_gives_the_same_bytes(world, first_run):
    _, again = world.run("training", "202508", until="validate_oot", champion=None)
    for name in ("dataset", "prepared", "booster", "scores", "reference", "oot_report"):
        assert again[name].sha256 == first_run[1][name].sha256, name


def test_champion_keeps_its_own_version_of_a_column(world, champion):
    changed = replace(
        SPEC,
        features=(
            FeatureRef("balance", 2, "amt", "numeric"),
            FeatureRef("visits", 1, "visits_3m", "numeric"),
        ),
        derived=(),
    )
    _, inputs = world.run("training", "202512", until="extract", spec=changed, champion=champion)
    frame = world.frame(inputs["dataset"])
    assert np.allclose(frame["amt"], 2 * frame["champion__amt"], equal_nan=True)
    assert {"visits_3m", "segment", "cnt"} <= set(frame.columns)


def test_champion_keeps_an_input_whose_name_is_a_derived_variable_now(world, champion):
    changed = replace(
        SPEC,
        features=(
            FeatureRef("balance", 1, "amt", "numeric"),
            FeatureRef("visits", 1, "visits_3m", "numeric"),
        ),
        derived=(Derived("cnt", "visits_3m * 1000"),),
    )
    _, inputs = world.run("training", "202512", until="prepare", spec=changed, champion=champion)
    frame = world.frame(inputs["prepared"])
    assert frame["champion__cnt"].max() < 20
    assert np.allclose(frame["cnt"], frame["visits_3m"] * 1000, equal_nan=True)


def test_progress_is_told_for_every_round(world, first_run):
    rounds = [item for item in world.progress if item[2].startswith("Round ")]
    assert rounds[0][:2] == (1, 25)
    assert any("AUC" in text for _, _, text in rounds)


def test_cancelling_stops_the_training_between_rounds(world, first_run):
    inputs = first_run[1]
    ctx = world.context("202508", inputs=inputs, champion=None)
    seen = []

    def cancel(done, total, text):
        seen.append(done)
        if done == 3:
            raise StepCancelled("asked to stop")

    ctx.on_progress = cancel
    with pytest.raises(StepCancelled):
        get_step("training", "train")(ctx)
    assert seen == [1, 2, 3]


def fails(world: World, error, *, base_ym="202508", until="prepare", **changes):
    with pytest.raises(error) as caught:
        world.run("training", base_ym, until=until, spec=replace(SPEC, **changes), champion=None)
    return caught.value


def test_a_month_without_entities_is_named(world):
    assert "202412" in fails(world, EmptyMonth, base_ym="202506").message


def test_a_month_without_target_rows_is_named(world):
    sql = "SELECT customer_id, 1 AS target FROM loans WHERE ym = '{af_36m_ym}'"
    error = fails(world, EmptyMonth, target_sql=sql)
    assert error.field == "target_sql" and "202502" in error.message


@pytest.mark.parametrize("value", [0, 1])
def test_a_target_of_one_class_ends_the_run(world, value):
    sql = f"SELECT customer_id, {value} AS target FROM facts WHERE ym = '{{base_ym}}'"
    error = fails(world, SingleClassTarget, target_sql=sql)
    assert f"{value} in all of" in error.message


@pytest.mark.parametrize(
    "sql, error, words",
    [
        ("SELECT customer_id, 1 AS y FROM facts WHERE ym = '{base_ym}'", DefinitionInvalid, "lacks target"),
        ("SELECT customer_id, 2 AS target FROM facts WHERE ym = '{base_ym}'", DataError, "else than 0, 1"),
        ("SELECT customer_id, 1 AS target FROM facts", DataError, "an entity twice"),
        (
            "SELECT ym AS customer_id, MAX(1) AS target FROM facts GROUP BY ym",
            DataError,
            "no entity of 202502",
        ),
        ("SELECT customer_id, 1 AS target FROM nowhere", TableNotFound, "nowhere"),
    ],
)
def test_a_target_query_that_cannot_work_is_named(world, sql, error, words):
    assert words in fails(world, error, target_sql=sql).message


def test_a_failed_extract_leaves_no_table_half_written(world):
    before = open_store(world.url).partitions("fs_balance_v1", "base_ym")
    fails(world, EmptyMonth, base_ym="202506")
    after = open_store(world.url).partitions("fs_balance_v1", "base_ym")
    assert "202412" not in after and set(before) <= set(after)


def test_a_text_with_too_many_levels_is_refused(world):
    features = (FeatureRef("balance", 2, "code", "category"), SPEC.features[3])
    error = fails(world, DataError, features=features, derived=())
    assert error.field == "code" and "levels" in error.message


@pytest.mark.parametrize("column, dtype", [("amt", "category"), ("segment", "numeric")])
def test_a_column_of_another_type_than_declared_is_refused(world, column, dtype):
    features = (FeatureRef("balance", 1, column, dtype), SPEC.features[3])
    error = fails(world, DefinitionInvalid, until="extract", features=features, derived=())
    assert error.field == column


@pytest.mark.parametrize(
    "changes, field",
    [
        ({"params": {"n_estimatrs": 5}}, "params.n_estimatrs"),
        ({"params": {"linear_tree": 1}}, "params.linear_tree"),
        ({"params": {"n_estimators": 5, "num_iterations": 6}}, "params.num_iterations"),
        ({"params": {"num_leaves": "many"}}, "params.num_leaves"),
        ({"params": {"num_leaves": 1}}, "params"),
        ({"derived": (Derived("amt", "cnt * 2"),)}, "amt"),
        ({"features": ()}, "features"),
        ({"features": (*SPEC.features, FeatureRef("other", 9, "x", "numeric"))}, "features"),
        ({"windows": Windows(performance_months=2, embargo_months=1)}, "embargo_months"),
    ],
)
def test_a_definition_that_cannot_work_names_its_field(world, changes, field):
    assert fails(world, DefinitionInvalid, until="train", **changes).field == field


def test_a_step_without_its_inputs_says_which(world):
    with pytest.raises(ArtifactMissing, match="dataset"):
        get_step("training", "prepare")(world.context("202508", inputs={}, champion=None))
