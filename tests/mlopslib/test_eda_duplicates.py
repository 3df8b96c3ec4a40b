from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mlopslib.eda import near_duplicates
from mlopslib.offline.embedded import EmbeddedStore

ROWS = 600


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    store = EmbeddedStore(tmp_path / "offline", threads=1)
    r = np.random.default_rng(3)
    ids = [f"C{number}" for number in range(ROWS)]
    amount, noise, kind = r.normal(size=ROWS), r.normal(size=ROWS), r.integers(0, 3, ROWS)
    source = {
        "cust_id": ids,
        "amount": amount,
        "noise": noise,
        "kind": np.array(["a", "b", "c"])[kind].tolist(),
        "holey": pa.array(amount * 3, mask=r.random(ROWS) < 0.5),
    }
    store.create_table("source", pa.table(source))
    known = pa.table(
        {
            "cust_id": ids[::-1],
            "amount_won": (amount * -1300 + 5)[::-1],
            "amount_rough": (amount + noise)[::-1],
            "constant": [1.0] * ROWS,
            "segment": np.array(["Z", "Y", "X"])[kind][::-1].tolist(),
            "grade": np.array(["g", "h"])[r.integers(0, 2, ROWS)].tolist(),
        }
    )
    store.overwrite_partition("fs_known_v1", known, column="base_ym", value="202210")
    other_month = known.set_column(1, "amount_won", pa.array(noise))
    store.overwrite_partition("fs_known_v1", other_month, column="base_ym", value="202211")
    return store


EXISTING = [("fs_known_v1", name) for name in ("amount_won", "amount_rough", "constant", "segment", "grade")]
NEW = "SELECT cust_id, amount * 2 AS twice, noise, kind, holey FROM source -- new\n;"


def test_columns_that_say_the_same_are_named(store: EmbeddedStore) -> None:
    found = near_duplicates(store, NEW, EXISTING, "cust_id", "202210")
    assert [(item.column, item.table, item.feature) for item in found] == [
        ("holey", "fs_known_v1", "amount_won"),
        ("kind", "fs_known_v1", "segment"),
        ("twice", "fs_known_v1", "amount_won"),
    ]
    r = {item.column: item.r for item in found}
    assert r == pytest.approx({"holey": -1.0, "twice": -1.0, "kind": 1.0})


def test_the_month_asked_for_is_the_month_compared(store: EmbeddedStore) -> None:
    found = near_duplicates(store, NEW, [("fs_known_v1", "amount_won")], "cust_id", "202211")
    assert found == []


def test_a_lower_threshold_finds_more(store: EmbeddedStore) -> None:
    found = near_duplicates(store, NEW, EXISTING, "cust_id", "202210", threshold=0.6)
    near = {(item.column, item.feature) for item in found}
    assert ("noise", "amount_rough") in near
    assert ("noise", "constant") not in near


def test_a_materialised_table_can_be_the_new_one(store: EmbeddedStore) -> None:
    found = near_duplicates(store, "fs_known_v1", [("fs_known_v1", "segment")], "cust_id", "202210")
    assert [(item.column, item.feature) for item in found] == [("segment", "segment")]


def test_many_rows_are_screened_on_a_sample_and_measured_on_all(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = near_duplicates(store, NEW, EXISTING, "cust_id", "202210")
    monkeypatch.setattr("mlopslib.eda.duplicates._SCREEN_ROWS", 200)
    assert near_duplicates(store, NEW, EXISTING, "cust_id", "202210") == wanted


def test_two_rows_are_no_evidence(store: EmbeddedStore) -> None:
    few = "SELECT cust_id, amount FROM source WHERE cust_id IN ('C1', 'C2', 'C3')"
    assert near_duplicates(store, few, EXISTING, "cust_id", "202210") == []
    assert near_duplicates(store, NEW, [], "cust_id", "202210") == []
