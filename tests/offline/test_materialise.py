from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from mlopslib.artifacts import ArtifactStore
from mlopslib.dates import date_params
from mlopslib.definition import FeatureSetSpec, FeatureSpec
from mlopslib.errors import (
    DataError,
    DefinitionInvalid,
    EmptyMonth,
    InvalidDate,
    InvalidInput,
    StepCancelled,
    TableNotFound,
    UnknownParameter,
)
from mlopslib.metrics.psi import psi
from mlopslib.offline.embedded import EmbeddedStore
from mlopslib.steps import get_step
from mlopslib.steps.base import StepContext, StepResult
from mlopslib.steps.materialise import materialise_month

SQL = """
SELECT cust_id,
       SUM(amount) AS amount_2m,
       MAX(amount) / 0 AS odd,
       CASE WHEN COUNT(*) > 1 THEN 'Y' ELSE 'N' END AS often_yn
  FROM txn
 WHERE ym BETWEEN '{bf_1m_ym}' AND '{base_ym}'
 GROUP BY cust_id
"""
SPEC = FeatureSetSpec(
    name="cust_txn",
    version=2,
    entity_key="cust_id",
    sql=SQL,
    features=(
        FeatureSpec("amount_2m", "numeric"),
        FeatureSpec("odd", "numeric"),
        FeatureSpec("often_yn", "category"),
    ),
)
TXN = [
    ("2", 30, "202209"),
    ("1", 10, "202209"),
    ("1", 5, "202210"),
    ("3", None, "202210"),
    ("3", None, "202211"),
    ("1", 1, "202211"),
]


@pytest.fixture
def bank(store: EmbeddedStore) -> EmbeddedStore:
    ids, amounts, months = (list(column) for column in zip(*TXN, strict=True))
    store.create_table("txn", pa.table({"cust_id": ids, "amount": amounts, "ym": months}))
    return store


def run(store: EmbeddedStore, tmp_path: Path, spec: FeatureSetSpec = SPEC, **options: Any) -> StepResult:
    base_ym = options.pop("base_ym", "202211")
    context = StepContext(
        base_ym=base_ym,
        dates=date_params(base_ym),
        params=options.pop("params", {}),
        spec=None,
        feature_sets=(spec,),
        store=store,
        artifacts=ArtifactStore(tmp_path / "artifacts"),
        inputs={},
        workdir=tmp_path,
        **options,
    )
    return get_step("materialise", "materialise")(context)


def test_a_month_is_kept_sorted_with_missing_for_what_is_no_number(bank: EmbeddedStore) -> None:
    month = materialise_month(bank, SPEC, "202210")
    assert (month.rows, month.table_version) == (3, 0)
    assert bank.read_partition("fs_cust_txn_v2", "base_ym", "202210").to_pylist() == [
        {"cust_id": "1", "amount_2m": 15.0, "odd": None, "often_yn": "Y", "base_ym": "202210"},
        {"cust_id": "2", "amount_2m": 30.0, "odd": None, "often_yn": "N", "base_ym": "202210"},
        {"cust_id": "3", "amount_2m": None, "odd": None, "often_yn": "N", "base_ym": "202210"},
    ]


def test_the_same_month_again_replaces_itself(bank: EmbeddedStore) -> None:
    materialise_month(bank, SPEC, "202210")
    before = bank.read_partition("fs_cust_txn_v2", "base_ym", "202210")
    assert materialise_month(bank, SPEC, "202210").table_version == 1
    assert bank.read_partition("fs_cust_txn_v2", "base_ym", "202210").equals(before)


def test_the_step_reports_every_month_with_its_profiles(bank: EmbeddedStore, tmp_path: Path) -> None:
    seen: list[tuple[float, float, str]] = []
    result = run(
        bank,
        tmp_path,
        params={"first_ym": "202209", "last_ym": "202211"},
        on_progress=lambda *state: seen.append(state),
    )
    assert result.summary == "cust_txn v2: 3 months, 7 rows"
    months = result.metrics["months"]
    assert [(month["base_ym"], month["rows"], month["table_version"]) for month in months] == [
        ("202209", 2, 0),
        ("202210", 3, 1),
        ("202211", 2, 2),
    ]
    assert bank.partitions("fs_cust_txn_v2", "base_ym") == ["202209", "202210", "202211"]
    amount = months[1]["profiles"][0]
    assert {key: amount[key] for key in ("feature", "rows", "missing", "distinct")} == {
        "feature": "amount_2m",
        "rows": 3,
        "missing": 1,
        "distinct": 2,
    }
    assert (amount["mean"], amount["minimum"], amount["maximum"]) == (22.5, 15.0, 30.0)
    assert amount["psi"] == pytest.approx(psi([10.0, 30.0], [15.0, 30.0, float("nan")]))
    assert amount["histogram"]["reference_ym"] == "202209"
    assert sum(amount["histogram"]["shares"]) == pytest.approx(1)
    assert len(amount["histogram"]["labels"]) == len(amount["histogram"]["shares"])
    often = months[1]["profiles"][2]
    assert (often["mean"], often["distinct"], often["missing"]) == (None, 2, 0)
    odd = months[1]["profiles"][1]
    assert (odd["missing"], odd["mean"], odd["psi"]) == (3, None, 0.0)
    assert [profile["psi"] for profile in months[0]["profiles"]] == [None, None, None]
    ArtifactStore(tmp_path / "a").put_json(result.metrics["months"])
    assert [state[:2] for state in seen] == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_the_base_month_alone_is_made_without_parameters(bank: EmbeddedStore, tmp_path: Path) -> None:
    months = run(bank, tmp_path, base_ym="202210").metrics["months"]
    assert [month["base_ym"] for month in months] == ["202210"]
    later = run(bank, tmp_path, base_ym="202211").metrics["months"]
    assert later[0]["profiles"][0]["histogram"]["reference_ym"] == "202210"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"sql": SQL.replace("GROUP BY cust_id", "GROUP BY cust_id, ym")}, DataError, "repeat a cust_id"),
        (
            {"sql": SQL.replace("SELECT cust_id", "SELECT NULLIF(cust_id, '1') AS cust_id")},
            DataError,
            "no cust_id",
        ),
        ({"sql": SQL.replace(" AS odd", " AS even")}, DefinitionInvalid, "does not give odd"),
        ({"sql": SQL.replace(" AS odd", " AS odd, 1 AS extra")}, DefinitionInvalid, "also gives extra"),
        ({"sql": SQL.replace("{base_ym}", "{base_mm}")}, UnknownParameter, "base_mm"),
        ({"sql": SQL.replace("txn", "txm")}, TableNotFound, "did you mean 'txn'"),
        (
            {"sql": SQL.replace("'Y' ELSE 'N'", "1 ELSE 0.5")},
            DefinitionInvalid,
            "'often_yn' is declared category",
        ),
        (
            {"sql": SQL.replace("SUM(amount)", "MAX(ym)")},
            DefinitionInvalid,
            "'amount_2m' is declared numeric",
        ),
    ],
)
def test_a_wrong_query_writes_nothing(
    bank: EmbeddedStore, changes: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        materialise_month(bank, replace(SPEC, **changes), "202210")
    assert bank.list_tables() == ["txn"]


def test_an_empty_month_is_an_error_that_names_it(bank: EmbeddedStore) -> None:
    with pytest.raises(EmptyMonth, match="no row for 202306"):
        materialise_month(bank, SPEC, "202306")
    assert bank.list_tables() == ["txn"]


def test_months_that_are_no_range_are_refused(bank: EmbeddedStore, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="202211"):
        run(bank, tmp_path, params={"first_ym": "202211", "last_ym": "202210"})
    with pytest.raises(InvalidDate):
        run(bank, tmp_path, params={"first_ym": "2022-10", "last_ym": "202210"})


def test_a_cancelled_run_keeps_the_months_that_were_whole(bank: EmbeddedStore, tmp_path: Path) -> None:
    def cancel(done: float, total: float, text: str) -> None:
        if done == 1:
            raise StepCancelled("cancelled")

    with pytest.raises(StepCancelled):
        run(bank, tmp_path, params={"first_ym": "202209", "last_ym": "202211"}, on_progress=cancel)
    assert bank.partitions("fs_cust_txn_v2", "base_ym") == ["202209"]
