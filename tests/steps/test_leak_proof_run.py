"""The leak proof of several base months, as a run does it."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from mlopslib.artifacts import ArtifactStore
from mlopslib.dates import date_params, month_range
from mlopslib.definition import FeatureSetSpec, FeatureSpec
from mlopslib.errors import DefinitionInvalid, QueryCancelled, StepCancelled
from mlopslib.leakproof import StoreScratch, prove
from mlopslib.offline.embedded import EmbeddedStore
from mlopslib.steps import get_step
from mlopslib.steps.base import StepContext

MONTHS = month_range("202308", "202406")


@pytest.fixture
def store(tmp_path) -> EmbeddedStore:
    store = EmbeddedStore(tmp_path / "offline", threads=1)
    rows = [(number, ym) for ym in MONTHS for number in range(40)]
    store.create_table(
        "balances",
        pa.table(
            {
                "customer_id": [number for number, _ in rows],
                "ym": [ym for _, ym in rows],
                "amt": [number * 10 + int(ym) % 7 for number, ym in rows],
                "branch": [number % 4 for number, _ in rows],
            }
        ),
        partition_by="ym",
    )
    store.create_table("branches", pa.table({"branch": [0, 1, 2, 3], "region": ["N", "E", "S", "W"]}))
    return store


def spec(sql: str, *names: str) -> FeatureSetSpec:
    features = tuple(FeatureSpec(name, "numeric") for name in names)
    return FeatureSetSpec("balance", 3, "customer_id", sql, features)


CLEAN = spec(
    "select customer_id, sum(amt) as total from balances where ym <= '{base_ym}' group by customer_id",
    "total",
)
LEAKING = spec(
    "select b.customer_id, sum(b.amt) as total, max(n.amt) as coming from balances b "
    "join balances n on n.customer_id = b.customer_id and n.ym >= b.ym "
    "where b.ym = '{base_ym}' group by b.customer_id",
    "total",
    "coming",
)
WITH_BRANCH = spec(
    "select b.customer_id, max(case when r.region = 'N' then 1 else 0 end) as north from balances b "
    "join branches r on r.branch = b.branch where b.ym = '{base_ym}' group by b.customer_id",
    "north",
)


def context(store, tmp_path, feature_set, **params) -> StepContext:
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    return StepContext(
        base_ym="202402",
        dates=date_params("202402"),
        params=params,
        spec=None,
        feature_sets=(feature_set,),
        store=store,
        artifacts=ArtifactStore(tmp_path / "artifacts"),
        inputs={},
        workdir=work,
    )


def test_each_month_has_its_outcome_and_the_log_says_it_in_words(store, tmp_path):
    ctx = context(store, tmp_path, CLEAN, months=["202401", "202402", "202406"], timeless={})
    lines, progress = [], []
    ctx.on_log, ctx.on_progress = lines.append, lambda *args: progress.append(args)
    result = get_step("leak_proof", "prove")(ctx)
    proofs = result.metrics["proofs"]
    assert [(item["base_ym"], item["outcome"]) for item in proofs] == [
        ("202401", "PROVED"),
        ("202402", "PROVED"),
        ("202406", "PROVED"),
    ]
    assert result.summary == "balance v3: proved for 3 of 3 base months"
    assert proofs[0]["poisoned"]["balances"]["changed"] == 5 * 40
    assert proofs[2]["poisoned"]["balances"]["changed"] == 0, "the newest month has no future of its own"
    assert proofs[2]["poisoned"]["balances"]["added"] > 0
    assert proofs[0]["bounds"][0]["high"] == "20240131"
    assert any(line.startswith("202401 PROVED: 40 entities kept every value") for line in lines)
    assert progress[-1][:2] == (3, 3)
    assert [done for done, _, _ in progress] == sorted(done for done, _, _ in progress)
    assert json.dumps(result.metrics, allow_nan=False)


def test_a_leak_is_an_outcome_with_a_feature_and_an_example(store, tmp_path):
    result = get_step("leak_proof", "prove")(context(store, tmp_path, LEAKING, months=["202401"]))
    (proof,) = result.metrics["proofs"]
    assert proof["outcome"] == "LEAK"
    assert {item["feature"] for item in proof["differences"]} >= {"coming"}
    assert result.summary == "balance v3: reads the future of 202401"
    example = proof["differences"][0]["example"]
    assert example["before"] != example["after"]
    assert [item["status"] for item in proof["bounds"]] == ["bounded", "open"]


def test_the_base_month_is_proved_where_no_months_are_named(store, tmp_path):
    result = get_step("leak_proof", "prove")(context(store, tmp_path, CLEAN))
    assert [item["base_ym"] for item in result.metrics["proofs"]] == ["202402"]


def test_a_table_without_dates_is_undecided_until_it_is_declared(store, tmp_path):
    step = get_step("leak_proof", "prove")
    before = step(context(store, tmp_path, WITH_BRANCH)).metrics["proofs"][0]
    assert before["outcome"] == "UNDECIDED"
    assert "branches" in before["sentence"]
    reason = {"branches": "branches do not move"}
    after = step(context(store, tmp_path, WITH_BRANCH, timeless=reason)).metrics["proofs"][0]
    assert after["outcome"] == "PROVED"
    assert {item["status"]: item["reason"] for item in after["bounds"]}["timeless"] == "branches do not move"


def test_a_query_that_picks_among_ties_is_undecided(store):
    ties = spec(
        "select q.customer_id, q.amt as picked from (select b.customer_id, a.amt, row_number() over "
        "(partition by b.customer_id order by b.branch) as n from balances b join balances a "
        "on a.branch = b.branch where b.ym = '{base_ym}' and a.ym = '{base_ym}') q where q.n = 1",
        "picked",
    )
    result = prove(store, ties, "202402", timeless={})
    assert result.outcome == "UNDECIDED"
    assert "ORDER BY" in result.sentence


def test_a_month_without_rows_is_undecided(store):
    result = prove(store, CLEAN, "202301", timeless={})
    assert result.outcome == "UNDECIDED"
    assert "no row for 202301" in result.sentence


def test_cancelling_ends_the_step(store, tmp_path):
    ctx = context(store, tmp_path, CLEAN, months=["202401"])

    def cancel(done, total, text):
        if done > 0.3:
            raise StepCancelled("cancelled")

    ctx.on_progress = cancel
    with pytest.raises(StepCancelled):
        get_step("leak_proof", "prove")(ctx)
    with pytest.raises(QueryCancelled):
        prove(store, CLEAN, "202401", timeless={}, is_cancelled=lambda: True)


def test_more_than_one_feature_set_is_refused(store, tmp_path):
    ctx = context(store, tmp_path, CLEAN)
    ctx.feature_sets = (CLEAN, LEAKING)
    with pytest.raises(DefinitionInvalid):
        get_step("leak_proof", "prove")(ctx)


def test_the_stores_own_engine_gives_the_same_outcome_and_keeps_nothing(store):
    tables = store.list_tables()
    assert prove(store, CLEAN, "202401", timeless={}, scratch=StoreScratch(store)).outcome == "PROVED"
    assert prove(store, LEAKING, "202401", timeless={}, scratch=StoreScratch(store)).outcome == "LEAK"
    assert store.list_tables() == tables


def test_a_sample_of_many_entities_is_enough(store):
    few = prove(store, LEAKING, "202401", timeless={}, entities=5)
    assert few.outcome == "LEAK"
    assert prove(store, CLEAN, "202401", timeless={}, entities=5).sentence.startswith("5 entities")


def test_the_source_tables_stay_as_they_are(store):
    versions = {name: store.table_version(name) for name in store.list_tables()}
    prove(store, LEAKING, "202401", timeless={})
    assert {name: store.table_version(name) for name in store.list_tables()} == versions
