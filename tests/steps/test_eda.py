from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mlopslib.artifacts import ArtifactStore
from mlopslib.dates import date_params
from mlopslib.definition import FeatureSetSpec, FeatureSpec
from mlopslib.errors import DataError, EmptyMonth, StepCancelled
from mlopslib.offline.embedded import EmbeddedStore
from mlopslib.steps import get_step
from mlopslib.steps.base import StepContext, StepResult

SPEC = FeatureSetSpec(
    name="cust_balance",
    version=1,
    entity_key="cust_id",
    sql="SELECT 1",
    features=(
        FeatureSpec("bal_avg_3m", "numeric"),
        FeatureSpec("bal_min_1m", "numeric"),
        FeatureSpec("grade", "category"),
    ),
)
TARGET = {"label": "took the loan", "sql": "SELECT cust_id, target FROM answers WHERE ym = '{af_1m_ym}'"}


@pytest.fixture
def bank(tmp_path: Path) -> EmbeddedStore:
    store = EmbeddedStore(tmp_path / "offline", threads=1)
    r = np.random.default_rng(1)
    balance = r.normal(size=200)
    ids = [f"C{number}" for number in range(200)]
    data = {
        "cust_id": ids,
        "bal_avg_3m": balance,
        "bal_min_1m": balance + r.normal(size=200) / 10,
        "grade": ["A", "B"] * 100,
    }
    store.overwrite_partition(SPEC.table, pa.table(data), column="base_ym", value="202210")
    answers = {"cust_id": ids, "target": (balance > 0.5).astype(int), "ym": ["202211"] * 200}
    store.create_table("answers", pa.table(answers))
    return store


def run(store: EmbeddedStore, tmp_path: Path, **options: Any) -> StepResult:
    base_ym = options.pop("base_ym", "202210")
    context = StepContext(
        base_ym=base_ym,
        dates=date_params(base_ym),
        params=options.pop("params", {}),
        spec=None,
        feature_sets=(SPEC,),
        store=store,
        artifacts=ArtifactStore(tmp_path / "artifacts"),
        inputs={},
        workdir=tmp_path,
        **options,
    )
    return get_step("eda", "eda")(context)


def test_a_month_is_explored_and_said_in_one_sentence(bank: EmbeddedStore, tmp_path: Path) -> None:
    seen: list[tuple[float, float, str]] = []
    result = run(bank, tmp_path, on_progress=lambda *state: seen.append(state))
    assert result.summary.startswith(
        "2 numbers and 1 category of 200 rows; strongest pair bal_avg_3m and bal_min_1m (0.99"
    ) or result.summary.startswith(
        "2 numbers and 1 category of 200 rows; strongest pair bal_avg_3m and bal_min_1m (1.00"
    )
    assert result.metrics["eda"] == {"base_ym": "202210", "rows": 200, "target_label": ""}
    report = ArtifactStore(tmp_path / "artifacts").read_json(result.artifacts["eda"].sha256)
    assert [item["name"] for item in report["features"]] == ["bal_avg_3m", "bal_min_1m", "grade"]
    assert report["target"] is None
    assert seen[-1][0] == seen[-1][1]


def test_the_target_is_that_of_the_base_month(bank: EmbeddedStore, tmp_path: Path) -> None:
    result = run(bank, tmp_path, params={"target": TARGET})
    assert result.metrics["eda"]["target_label"] == "took the loan"
    assert "most about took the loan: bal_avg_3m" in result.summary
    report = ArtifactStore(tmp_path / "artifacts").read_json(result.artifacts["eda"].sha256)
    assert report["target"]["rows"] == 200
    assert report["target"]["features"][0]["auc"] == 1.0


def test_a_month_that_is_not_there_and_a_target_of_another_month_are_told(
    bank: EmbeddedStore, tmp_path: Path
) -> None:
    with pytest.raises(EmptyMonth, match="cust_balance v1 has no month 202305: materialise it first"):
        run(bank, tmp_path, base_ym="202305")
    late = {"label": "t", "sql": TARGET["sql"].replace("af_1m_ym", "af_2m_ym")}
    with pytest.raises(DataError, match="does the target query cover this month"):
        run(bank, tmp_path, params={"target": late})


def test_a_cancel_stops_between_two_statements(bank: EmbeddedStore, tmp_path: Path) -> None:
    def cancel(done: float, total: float, text: str) -> None:
        if done:
            raise StepCancelled("cancelled")

    with pytest.raises(StepCancelled):
        run(bank, tmp_path, on_progress=cancel)
