from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mlopslib.definition import FeatureSetSpec, FeatureSpec
from mlopslib.errors import EmptyMonth
from mlopslib.metrics.fdr import benjamini_hochberg
from mlopslib.metrics.psi import PsiReference
from mlopslib.offline.embedded import EmbeddedStore
from mlopslib.profile import MonthProfiler, feature_psi, month_references, profile_month

SPEC = FeatureSetSpec(
    name="things",
    version=1,
    entity_key="cust_id",
    sql="SELECT 1",
    features=tuple(FeatureSpec(name, "numeric") for name in ("smooth", "tied", "constant", "nothing"))
    + tuple(FeatureSpec(name, "category") for name in ("kind", "odd", "empty")),
)


def month(seed: int, rows: int = 300, shift: float = 0.0) -> dict[str, list[Any]]:
    r = np.random.default_rng(seed)
    holes = r.random(rows) < 0.2
    smooth = r.normal(shift, size=rows)
    kinds = ["a", "b", "it's", "네"] + (["new"] if shift else [])
    return {
        "smooth": [None if hole else float(value) for hole, value in zip(holes, smooth, strict=True)],
        "tied": np.round(smooth * 2).tolist(),
        "constant": [3.5] * rows,
        "nothing": [None] * rows,
        "kind": [kinds[place] for place in r.integers(0, len(kinds), rows)],
        "odd": [None if hole else "x" for hole in holes],
        "empty": [None] * rows,
    }


def keep(store: EmbeddedStore, ym: str, data: dict[str, list[Any]]) -> None:
    kinds = {feature.name: feature.dtype for feature in SPEC.features}
    arrays = {
        name: pa.array(values, pa.float64() if kinds[name] == "numeric" else pa.string())
        for name, values in data.items()
    }
    key = {"cust_id": pa.array([f"C{number:05d}" for number in range(len(data["kind"]))])}
    store.overwrite_partition(SPEC.table, pa.table(key | arrays), column="base_ym", value=ym)


def fitted(data: dict[str, list[Any]]) -> dict[str, PsiReference]:
    return {
        feature.name: PsiReference.fit_numeric(data[feature.name])
        if feature.dtype == "numeric"
        else PsiReference.fit_category(data[feature.name])
        for feature in SPEC.features
    }


def test_references_from_the_engine_are_those_of_the_rows(store: EmbeddedStore) -> None:
    data = month(1)
    keep(store, "202210", data)
    assert month_references(store, SPEC, "202210") == fitted(data)


def test_psi_from_the_engine_is_that_of_the_rows_with_its_chances(store: EmbeddedStore) -> None:
    first, later = month(1), month(2, rows=500, shift=0.6)
    keep(store, "202210", first)
    keep(store, "202211", later)
    references = fitted(first)
    found = feature_psi(store, SPEC.table, "202211", references)
    wanted = {name: reference.psi(later[name]) for name, reference in references.items()}
    assert {name: item.result for name, item in found.items()} == wanted
    assert found["smooth"].p < 0.001
    q = benjamini_hochberg([wanted[name].p for name in found])
    assert [item.q for item in found.values()] == pytest.approx(q)
    one = feature_psi(store, SPEC.table, "202211", {"kind": references["kind"]})
    assert one["kind"].q == one["kind"].p
    with pytest.raises(EmptyMonth, match="no rows in 202301"):
        feature_psi(store, SPEC.table, "202301", references)


def test_a_profile_holds_every_figure_of_the_month(store: EmbeddedStore) -> None:
    first, later = month(1), month(2, rows=500, shift=0.6)
    keep(store, "202210", first)
    keep(store, "202211", later)
    profiles = profile_month(
        store, SPEC, "202211", references=month_references(store, SPEC, "202210"), reference_ym="202210"
    )
    assert [item.feature for item in profiles] == [feature.name for feature in SPEC.features]
    by_name = {item.feature: item for item in profiles}
    smooth, values = by_name["smooth"], np.array([v for v in later["smooth"] if v is not None])
    assert (smooth.rows, smooth.missing, smooth.distinct) == (500, 500 - len(values), len(values))
    moments = (smooth.mean, smooth.std, smooth.minimum, smooth.maximum)
    assert moments == pytest.approx((values.mean(), values.std(ddof=1), values.min(), values.max()))
    assert smooth.details["quantiles"]["0.95"] == np.quantile(values, 0.95)
    low, high = np.quantile(values, [0.25, 0.75])
    outside = (values < low - 1.5 * (high - low)) | (values > high + 1.5 * (high - low))
    assert smooth.details["outliers"] == pytest.approx(outside.mean())
    result = fitted(first)["smooth"].psi(later["smooth"])
    assert (smooth.psi, smooth.psi_high, smooth.psi_p) == (result.value, result.high, result.p)
    assert smooth.psi_q is not None and smooth.psi_q >= result.p
    assert smooth.unseen is None
    kind = by_name["kind"]
    assert kind.unseen == later["kind"].count("new")
    assert kind.details["top"][0]["count"] == max(later["kind"].count(level) for level in set(later["kind"]))
    assert (kind.mean, kind.std) == (None, None)
    assert (by_name["nothing"].psi, by_name["nothing"].details["quantiles"]) == (0.0, {})
    assert (by_name["constant"].std, by_name["constant"].psi) == (0.0, 0.0)
    assert (by_name["empty"].distinct, by_name["empty"].missing) == (0, 500)


def test_the_reference_is_the_month_that_stood_before_the_run(store: EmbeddedStore) -> None:
    keep(store, "202210", month(1))
    profiler = MonthProfiler(store, SPEC)
    keep(store, "202205", month(2))
    assert {item.histogram["reference_ym"] for item in profiler.profile("202205")} == {"202210"}
    # later the earlier month is the first that stands: the record says which one is the reference
    kept = MonthProfiler(store, SPEC, reference_ym="202210")
    keep(store, "202212", month(3))
    profiles = kept.profile("202212")
    assert {item.histogram["reference_ym"] for item in profiles} == {"202210"}
    wanted = fitted(month(1))["smooth"].psi(month(3)["smooth"]).value
    assert profiles[0].psi == wanted


def test_an_empty_table_takes_its_first_month_and_a_lost_month_gives_way(store: EmbeddedStore) -> None:
    profiler = MonthProfiler(store, SPEC)
    keep(store, "202210", month(1))
    assert {item.psi for item in profiler.profile("202210")} == {None}
    keep(store, "202211", month(2))
    assert {item.histogram["reference_ym"] for item in profiler.profile("202211")} == {"202210"}
    assert MonthProfiler(store, SPEC, reference_ym="201901").reference_ym == "202210"


def test_a_reference_month_that_changed_is_noticed(store: EmbeddedStore) -> None:
    keep(store, "202210", month(1))
    keep(store, "202211", month(2))
    profiler = MonthProfiler(store, SPEC)
    assert profiler.references_before("202211") is None
    before = profiler.references_before("202210")
    profiler.profile("202210")
    assert not profiler.has_moved(before)
    keep(store, "202210", month(9, shift=1.0))
    profiler.profile("202210")
    assert profiler.has_moved(before)


def test_levels_beyond_the_most_frequent_share_the_bin_of_the_unseen(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlopslib.profile.MOST_LEVELS", 2)
    data = month(1)
    data["kind"] = ["a"] * 150 + ["b"] * 100 + ["c"] * 30 + ["d"] * 20
    keep(store, "202210", data)
    reference = month_references(store, SPEC, "202210")["kind"]
    assert (reference.levels, reference.reference_counts) == (("a", "b"), (150, 100, 50, 0))
    assert feature_psi(store, SPEC.table, "202210", {"kind": reference})["kind"].value == 0
