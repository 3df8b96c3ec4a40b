"""Exploring and profiling on a real HiveServer2 gives the figures that the embedded engine gives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mlopslib.definition import FeatureSetSpec, FeatureSpec
from mlopslib.eda import explore, near_duplicates
from mlopslib.offline.base import OfflineStore
from mlopslib.offline.embedded import EmbeddedStore
from mlopslib.offline.hiveserver2 import HiveServer2Store
from mlopslib.profile import month_references, profile_month

pytestmark = pytest.mark.spark

SPEC = FeatureSetSpec(
    name="things",
    version=1,
    entity_key="cust_id",
    sql="SELECT 1",
    features=(
        *(FeatureSpec(name, "numeric") for name in ("smooth", "tied", "holey")),
        *(FeatureSpec(name, "category") for name in ("kind", "rare")),
    ),
)
TARGET = f"SELECT cust_id, CASE WHEN tied > 1 THEN 1 ELSE 0 END AS target FROM {SPEC.table}"


def rows(seed: int, count: int = 200) -> pa.Table:
    r = np.random.default_rng(seed)
    smooth = r.normal(size=count)
    holes = r.random(count) < 0.2
    return pa.table(
        {
            "cust_id": [f"C{number:04d}" for number in range(count)],
            "smooth": smooth,
            "tied": np.round(smooth * 2 + r.normal(size=count)),
            "holey": pa.array(smooth + r.normal(size=count), mask=holes),
            "kind": np.array(["it's", 'b"b', "back\\slash", "네"])[r.integers(0, 4, count)].tolist(),
            "rare": pa.array(np.array(["x", "y"])[r.integers(0, 2, count)].tolist(), mask=holes),
        }
    )


@pytest.fixture(scope="module")
def stores(
    spark_store: HiveServer2Store, tmp_path_factory: pytest.TempPathFactory
) -> tuple[OfflineStore, OfflineStore]:
    found = EmbeddedStore(tmp_path_factory.mktemp("offline"), threads=1), spark_store
    for store in found:
        for ym, seed in (("202210", 1), ("202211", 2)):
            store.overwrite_partition(SPEC.table, rows(seed), column="base_ym", value=ym)
    return found


def same(one: Any, other: Any, path: str = "") -> None:
    """Equal shapes and texts; numbers but for rounding."""
    if isinstance(one, dict):
        assert list(one) == list(other), path
        for key in one:
            same(one[key], other[key], f"{path}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), path
        for place, (left, right) in enumerate(zip(one, other, strict=True)):
            same(left, right, f"{path}[{place}]")
    elif isinstance(one, float) and isinstance(other, float):
        assert math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9), f"{path}: {one} {other}"
    else:
        assert one == other, path


def test_an_exploration_is_the_same_on_both_engines(stores: tuple[OfflineStore, OfflineStore]) -> None:
    reports = [
        explore(
            store,
            SPEC.table,
            SPEC.features,
            key="cust_id",
            partition=("base_ym", "202210"),
            target=("tied above 1", f"{TARGET} WHERE base_ym = '202210'"),
            spearman_rows=150,
        ).to_dict()
        for store in stores
    ]
    assert reports[0]["correlation"]["is_sampled"]
    same(*reports)


def test_profiles_and_near_duplicates_are_the_same_on_both_engines(
    stores: tuple[OfflineStore, OfflineStore],
) -> None:
    profiles = [
        [
            item.to_dict()
            for item in profile_month(
                store,
                SPEC,
                "202211",
                references=month_references(store, SPEC, "202210"),
                reference_ym="202210",
            )
        ]
        for store in stores
    ]
    same(*profiles)
    new = f"SELECT cust_id, smooth * -2 AS twice, kind AS sort FROM {SPEC.table} WHERE base_ym = '202210'"
    existing = [(SPEC.table, feature.name) for feature in SPEC.features]
    found = [near_duplicates(store, new, existing, "cust_id", "202210") for store in stores]
    assert [(item.column, item.feature) for item in found[0]] == [("sort", "kind"), ("twice", "smooth")]
    same([list(item) for item in found[0]], [list(item) for item in found[1]])
