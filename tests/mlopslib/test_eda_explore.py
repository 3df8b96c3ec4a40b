import json
import math
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats
from scipy.stats.contingency import association

from mlopslib.definition import FeatureSpec
from mlopslib.eda import EdaReport, explore
from mlopslib.errors import DataError, EmptyMonth, QueryCancelled, SingleClassTarget
from mlopslib.metrics.association import cramers_v
from mlopslib.metrics.ranking import auc_interval
from mlopslib.offline.embedded import EmbeddedStore

TABLE, MONTH = "fs_things_v1", ("base_ym", "202210")


def features_of(frame: pd.DataFrame) -> list[FeatureSpec]:
    return [
        FeatureSpec(name, "numeric" if kind == "float64" else "category")
        for name, kind in frame.drop(columns="cust_id").dtypes.items()
    ]


def strange_frame(seed: int, rows: int = 400) -> pd.DataFrame:
    """Missing values, ties, constants, an all-missing column, one level, quotes in texts."""
    r = np.random.default_rng(seed)
    base = r.normal(size=rows)
    group = r.integers(0, 4, rows)
    frame = pd.DataFrame(
        {
            "cust_id": [f"C{number:05d}" for number in range(rows)],
            "smooth": base + r.normal(size=rows),
            "shifted": 1e9 + base + r.normal(size=rows) / 5,
            "tied": np.round(base * 2),
            "heavy": np.exp(3 * r.normal(size=rows)),
            "holey": np.where(r.random(rows) < 0.3, np.nan, base + r.normal(size=rows)),
            "holey_twin": np.nan,
            "other_holes": np.where(base > 0.5, np.nan, group + r.normal(size=rows)),
            "constant": 7.25,
            "nearly_constant": np.where(np.arange(rows) == 3, 1.0, 0.0),
            "nothing": np.nan,
            "single": np.where(np.arange(rows) == 5, 2.0, np.nan),
            "kind": np.array(["it's", 'b"b', "back\\slash", "네"])[group],
            "near_kind": np.array(["p", "q", "r", "s"])[np.where(r.random(rows) < 0.2, 0, group)],
            "rare": np.where(r.random(rows) < 0.4, None, np.array(["x", "y", "z"])[r.integers(0, 3, rows)]),
            "one_level": "same",
            "no_level": None,
            "many": [f"m{value}" for value in r.integers(0, 60, rows)],
        }
    )
    frame["holey_twin"] = frame["holey"] * -2 + r.normal(size=rows)
    words = ["kind", "near_kind", "rare", "one_level", "no_level", "many"]
    return frame.astype(dict.fromkeys(words, "object"))


def keep(store: EmbeddedStore, frame: pd.DataFrame) -> None:
    data = {"cust_id": pa.array(frame["cust_id"].tolist())}
    for name in frame.columns[1:]:
        is_number = frame[name].dtype == "float64"
        kind = pa.float64() if is_number else pa.string()
        data[name] = pa.array(frame[name].to_numpy(), kind, from_pandas=True)
    store.overwrite_partition(TABLE, pa.table(data), column="base_ym", value="202210")


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "offline", threads=1)


@dataclass(frozen=True)
class Looked:
    frame: pd.DataFrame
    target: pd.Series  # type: ignore[type-arg]
    report: EdaReport
    steps: list[tuple[float, float, str]]


@pytest.fixture(scope="module", params=[1, 2])
def looked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Looked:
    """One exploration with a target for all tests that only look at what it found."""
    store = EmbeddedStore(tmp_path_factory.mktemp("offline"), threads=1)
    frame = strange_frame(request.param)
    keep(store, frame)
    target = with_target(store, frame, request.param)
    steps: list[tuple[float, float, str]] = []
    # a comment and a semicolon at its end do no harm to a query
    sql = "SELECT cust_id, target FROM answers -- of the month\n;"
    report = look(store, frame, target=("responds", sql), on_progress=lambda *step: steps.append(step))
    return Looked(frame, target, report, steps)


def look(store: EmbeddedStore, frame: pd.DataFrame, **options: Any) -> EdaReport:
    return explore(store, TABLE, features_of(frame), key="cust_id", partition=MONTH, **options)


def same(found: float | None, wanted: float, **tolerance: float) -> None:
    if math.isnan(wanted):
        assert found is None
    else:
        assert found == pytest.approx(wanted, **(tolerance or {"rel": 1e-9, "abs": 1e-9}))


def test_columns_are_described_as_pandas_does(looked: Looked) -> None:
    frame, report = looked.frame, looked.report
    assert report.rows == len(frame)
    assert [item.name for item in report.features] == list(frame.columns[1:])
    for item in report.features:
        values = frame[item.name]
        assert (item.rows, item.missing) == (len(frame), int(values.isna().sum()))
        assert item.distinct == values.nunique()
        if item.dtype == "category":
            counts = values.value_counts()
            assert [count for _, count in item.top] == counts.head(50).tolist()
            assert all(counts[level] == count for level, count in item.top)
            assert item.outlier_share is None
            continue
        same(item.mean, values.mean())
        same(item.std, values.std(), rel=1e-7, abs=1e-9)
        same(item.minimum, values.min())
        same(item.maximum, values.max())
        present = values.dropna().to_numpy()
        if not len(present):
            assert (item.quantiles, item.edges, item.counts, item.outlier_share) == ({}, (), (), None)
            continue
        assert item.quantiles == {
            share: float(np.quantile(present, float(share))) for share in item.quantiles
        }
        low, high = np.quantile(present, [0.25, 0.75])
        outside = (present < low - 1.5 * (high - low)) | (present > high + 1.5 * (high - low))
        assert item.outlier_share == pytest.approx(outside.mean())
        assert sum(item.counts) == len(present)
        assert (item.edges[0], item.edges[-1]) == (present.min(), present.max())
        inner = np.searchsorted(item.edges[1:-1], present, side="left")
        assert list(item.counts) == np.bincount(inner, minlength=len(item.counts)).tolist()


def test_correlations_are_those_of_pandas_over_the_rows_that_hold_both(looked: Looked) -> None:
    frame, found = looked.frame, looked.report.correlation
    names = list(found.names)
    numbers = frame[names]
    linear, ranked = numbers.corr(), numbers.rank().corr()
    has_spread = numbers.std() > 0
    for a, one in enumerate(names):
        for b, other in enumerate(names):
            both = int(numbers[[one, other]].notna().all(axis=1).sum())
            if one == other:
                wanted = (1.0, 1.0) if has_spread[one] else (math.nan, math.nan)
            else:
                wanted = (linear.loc[one, other], ranked.loc[one, other])
            same(found.pearson[a][b], wanted[0], rel=1e-7, abs=1e-7)
            same(found.spearman[a][b], wanted[1])
            if has_spread[one] and has_spread[other]:
                assert found.rows[a][b] == both
    assert not found.is_sampled
    assert found.spearman_rows == len(frame)


def test_spearman_is_scipys_where_nothing_is_missing(looked: Looked) -> None:
    frame, found = looked.frame, looked.report.correlation
    a, b = found.names.index("smooth"), found.names.index("tied")
    assert found.spearman[a][b] == pytest.approx(stats.spearmanr(frame["smooth"], frame["tied"]).statistic)


def test_columns_that_go_together_stand_together(looked: Looked) -> None:
    names = looked.report.correlation.names
    assert abs(names.index("holey") - names.index("holey_twin")) == 1
    assert set(names) == {item.name for item in looked.report.features if item.dtype == "numeric"}


def test_cramers_v_is_scipys_with_the_bias_taken_out(looked: Looked) -> None:
    frame, report = looked.frame, looked.report
    names = list(report.categories.names)
    for one, other in (("kind", "near_kind"), ("kind", "rare"), ("rare", "near_kind")):
        table = pd.crosstab(frame[one], frame[other])
        plain = association(table, method="cramer")
        assert cramers_v(table, corrected=False) == pytest.approx(plain)
        n, (rows, columns) = table.to_numpy().sum(), table.shape
        phi2 = max(0, plain**2 * (min(rows, columns) - 1) - (rows - 1) * (columns - 1) / (n - 1))
        most = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
        v = report.categories.cramers_v[names.index(one)][names.index(other)]
        assert v == pytest.approx(math.sqrt(phi2 / most))
    assert report.categories.cramers_v[names.index("kind")][names.index("one_level")] is None
    assert report.categories.cramers_v[names.index("kind")][names.index("no_level")] is None
    assert report.categories.capped == ("many",)
    top = frame["many"].value_counts().reset_index().sort_values(["count", "many"], ascending=[False, True])
    capped = frame["many"].where(frame["many"].isin(top["many"].head(30)), "rest")
    v = report.categories.cramers_v[names.index("many")][names.index("kind")]
    assert v == pytest.approx(cramers_v(pd.crosstab(capped, frame["kind"])))


def test_the_correlation_ratio_is_the_root_of_the_share_between_groups(looked: Looked) -> None:
    frame, found = looked.frame, looked.report.between
    for row, number in enumerate(found.numeric):
        for place, category in enumerate(found.category):
            if category == "many":
                continue
            both = frame[[number, category]].dropna()
            total = ((both[number] - both[number].mean()) ** 2).sum()
            if both[category].nunique() < 2 or both[number].nunique() < 2:
                assert found.ratio[row][place] is None
                continue
            means = both.groupby(category)[number].transform("mean")
            between = ((means - both[number].mean()) ** 2).sum()
            assert found.ratio[row][place] == pytest.approx(math.sqrt(between / total), abs=1e-6)


def test_levels_with_long_names_are_counted_as_the_rest(store: EmbeddedStore) -> None:
    r = np.random.default_rng(8)
    words = np.array([letter * 500 for letter in "abcdef"])
    frame = pd.DataFrame(
        {
            "cust_id": [f"C{number}" for number in range(120)],
            "number": r.normal(size=120),
            "long": words[r.integers(0, 6, 120)],
            "short": np.array(["x", "y"])[r.integers(0, 2, 120)],
        }
    )
    keep(store, frame)
    report = look(store, frame)
    assert report.categories.capped == ("long",)
    order = frame["long"].value_counts().reset_index().sort_values(["count", "long"], ascending=[False, True])
    capped = frame["long"].where(frame["long"].isin(order["long"].head(2)), "rest")
    v = report.categories.cramers_v[0][1]
    assert v == pytest.approx(cramers_v(pd.crosstab(capped, frame["short"])))


def test_the_strongest_pairs_come_first_with_the_rows_that_hold_both(looked: Looked) -> None:
    frame, pairs = looked.frame, looked.report.pairs
    assert [abs(pair.value) for pair in pairs] == sorted((abs(pair.value) for pair in pairs), reverse=True)
    assert {pair.kind for pair in pairs} == {"pearson", "cramers_v", "correlation_ratio"}
    assert all(pair.a != pair.b for pair in pairs)
    twins = next(pair for pair in pairs if {pair.a, pair.b} == {"holey", "holey_twin"})
    assert twins.value < -0.8
    assert twins.n == frame["holey"].notna().sum()


def with_target(store: EmbeddedStore, frame: pd.DataFrame, seed: int) -> pd.Series:  # type: ignore[type-arg]
    r = np.random.default_rng(seed)
    chance = 1 / (1 + np.exp(1.5 - frame["smooth"] - (frame["kind"] == "it's")))
    target = pd.Series((r.random(len(frame)) < chance).astype(float))
    target[r.random(len(frame)) < 0.1] = np.nan
    kept = r.random(len(frame)) < 0.9
    answer = pa.table(
        {
            "cust_id": pa.array(frame["cust_id"][kept].tolist()),
            "target": pa.array(target[kept].to_numpy(), pa.int64(), from_pandas=True, safe=False),
        }
    )
    store.create_table("answers", answer)
    return target.where(kept)


def test_auc_and_information_value_are_those_of_the_rows(looked: Looked) -> None:
    frame, target, report = looked.frame, looked.target, looked.report.target
    assert report is not None
    known = target.notna()
    assert (report.label, report.rows, report.positives) == ("responds", known.sum(), target.sum())
    assert [item.name for item in report.features] == list(frame.columns[1:])
    for item in report.features:
        values, y = frame.loc[known, item.name], target[known]
        if frame[item.name].dtype == "float64":
            present = values.notna()
            if y[present].nunique() < 2:
                assert item.auc is None
            else:
                wanted = auc_interval(y[present], values[present])
                assert (item.auc, item.auc_low, item.auc_high) == pytest.approx(wanted, rel=1e-9)
            edges = (
                np.unique(np.quantile(frame[item.name].dropna(), np.arange(1, 10) / 10))
                if present.any()
                else []
            )
            bins = pd.Series(np.searchsorted(edges, values, side="left"), index=values.index)
            bins[~present] = -1
        else:
            assert (item.auc, item.monotone) == (None, ())
            order = frame[item.name].value_counts().reset_index()
            order.columns = ["level", "n"]
            top = order.sort_values(["n", "level"], ascending=[False, True])["level"].head(20)
            bins = values.where(values.isin(top) | values.isna(), "all others").fillna("missing")
        cells = pd.crosstab(bins, y).reindex(columns=[0.0, 1.0], fill_value=0)
        p = np.maximum(cells[1.0], 0.5) / y.sum()
        q = np.maximum(cells[0.0], 0.5) / (1 - y).sum()
        assert item.iv == pytest.approx(float(((p - q) * np.log(p / q)).sum()))
        assert sum(b.rows for b in item.bins) == known.sum()
        assert sum(b.positives for b in item.bins) == y.sum()
        rates = [b.rate for b in item.monotone if b.label != "missing" and b.rate is not None]
        assert rates == sorted(rates) or rates == sorted(rates, reverse=True)


def test_what_cannot_be_a_target_is_refused_in_words(store: EmbeddedStore) -> None:
    frame = strange_frame(1, rows=30)
    keep(store, frame)

    def refused(sql: str, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            look(store, frame, target=("t", sql))

    table = f"FROM {TABLE}"
    refused(f"SELECT cust_id, 1 AS target {table}", SingleClassTarget, "1 in all of 30 rows")
    refused(f"SELECT cust_id, 2 AS target {table}", DataError, "something else than 0, 1")
    refused(f"SELECT 'C00001' AS cust_id, 1 AS target {table}", DataError, "30 rows for 1 entities")
    refused(f"SELECT CONCAT('x', cust_id) AS cust_id, 1 AS target {table}", DataError, "no row has a target")


def test_an_empty_month_is_an_error(store: EmbeddedStore) -> None:
    frame = strange_frame(1, rows=20)
    keep(store, frame)
    with pytest.raises(EmptyMonth, match="no rows in 202211"):
        explore(store, TABLE, features_of(frame), key="cust_id", partition=("base_ym", "202211"))


def test_one_row_and_one_kind_of_column_are_enough(store: EmbeddedStore) -> None:
    frame = strange_frame(1, rows=1)
    keep(store, frame)
    report = look(store, frame)
    assert report.rows == 1
    assert report.pairs == ()
    words = [item for item in features_of(frame) if item.dtype == "category"]
    only = explore(store, TABLE, words, key="cust_id", partition=MONTH)
    assert only.correlation.names == ()
    assert len(only.categories.names) == len(words)


def test_the_report_is_json_without_nan(looked: Looked) -> None:
    report = looked.report.to_dict()
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert set(report) == {"rows", "features", "correlation", "categories", "between", "pairs", "target"}


def test_spearman_of_many_rows_is_taken_on_a_fixed_sample_and_says_so(store: EmbeddedStore) -> None:
    frame = strange_frame(6, rows=3_000)[["cust_id", "smooth", "holey", "tied"]]
    keep(store, frame)
    found = look(store, frame, spearman_rows=1_000).correlation
    assert found.is_sampled
    assert 800 < found.spearman_rows < 1_200
    picked = store.read_sql(
        f"SELECT cust_id FROM {TABLE} WHERE MD5(CAST(cust_id AS STRING)) < '{int(16**8 / 3):08x}'"
    )
    hashes = [md5(key.encode()).hexdigest() for key in frame["cust_id"]]
    sample = frame[[word < f"{int(16**8 / 3):08x}" for word in hashes]]
    assert set(picked.column("cust_id").to_pylist()) == set(sample["cust_id"])
    assert len(sample) == found.spearman_rows
    ranked = sample[["smooth", "holey", "tied"]].rank().corr()
    for one, other in (("smooth", "holey"), ("smooth", "tied"), ("holey", "tied")):
        value = found.spearman[found.names.index(one)][found.names.index(other)]
        assert value == pytest.approx(ranked.loc[one, other])


def test_progress_moves_to_its_end(looked: Looked) -> None:
    shares = [done / total for done, total, _ in looked.steps]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(set(shares)) > 5


def test_a_cancel_stops_the_query_that_runs(store: EmbeddedStore) -> None:
    frame = strange_frame(1, rows=20)
    keep(store, frame)
    with pytest.raises(QueryCancelled):
        look(store, frame, is_cancelled=lambda: True)


def test_more_columns_than_one_statement_takes_meet_all_the_same(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["cust_id", "smooth", "tied", "holey", "holey_twin", "other_holes", "kind", "rare"]
    frame = strange_frame(2, rows=100)[names]
    keep(store, frame)
    wanted = look(store, frame)
    monkeypatch.setattr("mlopslib.eda.source._FEATURES", {"duckdb": 3})
    monkeypatch.setattr("mlopslib.eda.source._SUMS", {"duckdb": 12})
    monkeypatch.setattr("mlopslib.eda.pairs._RANKED", {"duckdb": 4})
    monkeypatch.setattr("mlopslib.eda.pairs._GROUP", 2)
    monkeypatch.setattr("mlopslib.eda.mixed._TOGETHER", {"duckdb": 2})
    monkeypatch.setattr("mlopslib.eda.mixed._BUNDLES", {"duckdb": 1})
    monkeypatch.setattr("mlopslib.eda.mixed._JOINT_LEVELS", 1)
    monkeypatch.setattr("mlopslib.eda.pairs._CHARACTERS", 2_500)
    assert look(store, frame).to_dict() == wanted.to_dict()
