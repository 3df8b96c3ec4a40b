"""PSI and EDA in the engine against pandas, and saving a frame against inserting its rows.

    .venv/bin/python -m benchmarks.offline                 # 10 million rows
    .venv/bin/python -m benchmarks.offline --rows 1000000
    .venv/bin/python -m benchmarks.offline --spark "hive://me@127.0.0.1:10000/default?auth=NOSASL&..."

Each way runs in a process of its own, one after the other: seconds after its imports, and the most memory
that the process held, imports and all. The ways of one line compute the same figures; where counts can be
compared they must be equal.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

NUMBERS = [f"x{number}" for number in range(9)]
LEVELS = list("ABCDEFGH")
TABLE = "features"
SAVED_ROWS = 200_000
#: rows that are inserted one by one; the rest is extrapolated
ONE_BY_ONE = 200
SPARK_ONE_BY_ONE = 20


def make_table(root: Path, rows: int) -> None:
    """Numbers of several shapes with gaps, one category; the same for every run."""
    import duckdb

    from mlopslib.offline.embedded import EmbeddedStore

    numbers = ", ".join(
        f"case when hash(i, {position}) % 50 = 0 then null else "
        f"{'ln(1 + ' if position % 3 == 2 else '('}(hash(i, {position}, 1) % 1000003) / {10 + position}.0"
        f" + (i % 97) * {position}) end as {name}"
        for position, name in enumerate(NUMBERS)
    )
    levels = "substr('ABCDEFGHAABBC', 1 + cast(hash(i, 77) % 13 as int), 1)"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.parquet"
        duckdb.execute(
            f"copy (select 'c' || i as cust_id, {numbers}, {levels} as seg from range({rows}) t(i)) "
            f"to '{file}' (format parquet)"
        )
        EmbeddedStore(root).import_file(TABLE, file)


def edges(root: Path) -> dict[str, list[float]]:
    """Edges of ten bins, frozen before: from one row in a hundred."""
    from mlopslib.offline.embedded import EmbeddedStore

    sample = EmbeddedStore(root).read_sql(
        f"select {', '.join(NUMBERS)} from {TABLE} where cust_id like '%00'"
    )
    shares = np.arange(1, 10) / 10
    return {
        name: sorted(set(np.quantile(sample.column(name).drop_null().to_numpy(), shares).tolist()))
        for name in NUMBERS
    }


def psi_in_the_engine(root: Path) -> dict[str, dict[str, int]]:
    """Counts of bins in one scan; the text is the same for every engine."""
    from mlopslib.offline.embedded import EmbeddedStore

    branches = []
    for name, cuts in json.loads((root / "edges.json").read_text()).items():
        chain = " ".join(f"when p.{name} < {cut!r} then {bin_}" for bin_, cut in enumerate(cuts))
        branches.append(f"when '{name}' then case when p.{name} is null then -1 {chain} else {len(cuts)} end")
    chain = " ".join(f"when p.seg = '{level}' then {number}" for number, level in enumerate(LEVELS))
    branches.append(f"when 'seg' then case when p.seg is null then -1 {chain} else 99 end")
    names = " union all ".join(f"select '{name}' f" for name in [*NUMBERS, "seg"])
    sql = (
        f"select g.f, case g.f {' '.join(branches)} end b, count(*) n from {TABLE} p "
        f"cross join ({names}) g group by 1, 2"
    )
    found: dict[str, dict[str, int]] = {}
    for row in EmbeddedStore(root).read_sql(sql).to_pylist():
        found.setdefault(row["f"], {})[str(row["b"])] = row["n"]
    return found


def _pulled(root: Path) -> pd.DataFrame:
    from mlopslib.offline.embedded import EmbeddedStore

    columns = ", ".join([*NUMBERS, "seg"])
    frame: pd.DataFrame = EmbeddedStore(root).read_sql(f"select {columns} from {TABLE}").to_pandas()
    return frame


def psi_in_pandas(root: Path) -> dict[str, dict[str, int]]:
    frame = _pulled(root)
    found = {}
    for name, cuts in json.loads((root / "edges.json").read_text()).items():
        values = frame[name].to_numpy()
        bins = np.where(np.isnan(values), -1, np.searchsorted(cuts, values, side="right"))
        found[name] = _counts(bins)
    codes = frame["seg"].map({level: number for number, level in enumerate(LEVELS)}).fillna(-1)
    found["seg"] = _counts(codes.astype(int).to_numpy())
    return found


def _counts(bins: np.ndarray) -> dict[str, int]:
    values, counts = np.unique(bins, return_counts=True)
    return {str(value): int(count) for value, count in zip(values, counts, strict=True)}


def eda_in_the_engine(root: Path) -> dict[str, object]:
    from mlopslib.definition import FeatureSpec
    from mlopslib.eda import explore
    from mlopslib.offline.embedded import EmbeddedStore

    features = [*(FeatureSpec(name, "numeric") for name in NUMBERS), FeatureSpec("seg", "category")]
    report = explore(EmbeddedStore(root), TABLE, features, key="cust_id").to_dict()
    return {item["name"]: [item["missing"], item["distinct"]] for item in report["features"]}


def eda_in_pandas(root: Path) -> dict[str, object]:
    """The same figures by the usual calls: describe, quantiles, histogram, correlations, groups."""
    frame = _pulled(root)
    numbers = frame[NUMBERS]
    numbers.describe(percentiles=[0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99])
    for name in NUMBERS:
        np.histogram(numbers[name].dropna(), bins=20)
    numbers.corr()
    # ranks of all rows would need several times the memory: as the engine does, a sample
    numbers.sample(min(len(numbers), 100_000), random_state=0).corr("spearman")
    frame.groupby("seg")[NUMBERS].agg(["mean", "count"])
    frame["seg"].value_counts()
    return {name: [int(frame[name].isna().sum()), int(frame[name].nunique())] for name in [*NUMBERS, "seg"]}


def _saved_frame() -> pd.DataFrame:
    random = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "cust_id": [f"c{number}" for number in range(SAVED_ROWS)],
            "base_ym": ["202401"] * SAVED_ROWS,
            **{f"x{number}": random.normal(size=SAVED_ROWS) for number in range(8)},
        }
    )


def _save(url: str, rows: int, calls: int) -> dict[str, object]:
    """Seconds for one call with `rows` rows, or for many calls with one row each; by a fresh table."""
    import uuid

    from mlopslib.offline import open_store

    store, name, frame = open_store(url), f"bench_{uuid.uuid4().hex[:8]}", _saved_frame()
    store.save_pandas_to_table(frame.iloc[:1], name, table_creation=True)
    started = time.perf_counter()
    for number in range(calls):
        store.save_pandas_to_table(frame.iloc[number * rows : (number + 1) * rows], name)
    seconds = time.perf_counter() - started
    found = store.read_sql(f"select count(*) as n from {name}").to_pylist()[0]["n"]
    store.drop_table(name)
    assert found == rows * calls + 1, f"{found} rows are there, {rows * calls + 1} were written"
    return {"seconds": seconds, "rows": rows * calls}


def _insert(url: str, count: int) -> dict[str, object]:
    """INSERT .. VALUES of one row at a time, as executemany and many ORMs do it."""
    from mlopslib.offline.hiveserver2 import open_hiveserver2

    store, frame = open_hiveserver2(url), _saved_frame()
    store.save_pandas_to_table(frame.iloc[:1], "bench_rows", table_creation=True)
    started = time.perf_counter()
    for row in frame.iloc[:count].itertuples(index=False):
        values = ", ".join(f"'{value}'" if isinstance(value, str) else f"{float(value)!r}D" for value in row)
        store.run(f"INSERT INTO bench_rows VALUES ({values})")
    seconds = time.perf_counter() - started
    store.drop_table("bench_rows")
    return {"seconds": seconds, "rows": count}


WAYS: dict[str, Callable[[Path, str], object]] = {
    "psi engine": lambda root, url: psi_in_the_engine(root),
    "psi pandas": lambda root, url: psi_in_pandas(root),
    "eda engine": lambda root, url: eda_in_the_engine(root),
    "eda pandas": lambda root, url: eda_in_pandas(root),
    "save frame": lambda root, url: _save(url, SAVED_ROWS, 1),
    "save rows": lambda root, url: _save(url, 1, ONE_BY_ONE),
    "insert rows": lambda root, url: _insert(url, SPARK_ONE_BY_ONE),
}


def _memory() -> float:
    """The most memory that this process has held, in GB; its parent's share is not in it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e9


def run_alone(way: str, root: Path, url: str = "") -> dict[str, object]:
    command = [sys.executable, "-m", "benchmarks.offline", "--way", way, "--root", str(root), "--url", url]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _main_of_one_way(way: str, root: Path, url: str) -> None:
    import pyarrow as pa  # noqa: F401 - imports are not part of the figure

    import mlopslib.eda
    import mlopslib.offline.embedded  # noqa: F401

    before = _memory()
    started = time.perf_counter()
    result = WAYS[way](root, url)
    print(
        json.dumps({"seconds": time.perf_counter() - started, "memory": _memory() - before, "result": result})
    )


def _compare(root: Path, what: str) -> None:
    engine, pandas_ = run_alone(f"{what} engine", root), run_alone(f"{what} pandas", root)
    equal = "equal counts" if engine["result"] == pandas_["result"] else "COUNTS DIFFER"
    for name, found in (("in the engine", engine), ("in pandas", pandas_)):
        print(f"{what.upper()} {name:<14}{found['seconds']:8.1f} s {found['memory']:7.2f} GB")
    ratio, memory = (float(pandas_[part]) / float(engine[part]) for part in ("seconds", "memory"))
    print(f"    pandas takes {ratio:.1f} times the time and {memory:.1f} times the memory; {equal}")


def _compare_saving(root: Path, url: str, baseline: str, label: str) -> None:
    whole = run_alone("save frame", root, url)["result"]
    single = run_alone(baseline, root, url)["result"]
    rate, one = whole["rows"] / whole["seconds"], single["rows"] / single["seconds"]
    print(f"{label}: a frame of {whole['rows']:,} rows in {whole['seconds']:.2f} s, {rate:,.0f} rows/s")
    print(
        f"    row by row {single['rows']} rows in {single['seconds']:.1f} s, {one:,.1f} rows/s; extrapolated "
        f"{whole['rows'] / one / 60:,.0f} min for all: {rate / one:,.0f} times as long"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--spark", help="address of a HiveServer2 to save frames on, too")
    for hidden in ("--way", "--root", "--url"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.way:
        _main_of_one_way(chosen.way, Path(chosen.root), chosen.url)
        return
    with tempfile.TemporaryDirectory(prefix="gijun-benchmark-") as folder:
        root = Path(folder) / "offline"
        make_table(root, chosen.rows)
        (root / "edges.json").write_text(json.dumps(edges(root)))
        print(
            f"{chosen.rows:,} rows, {len(NUMBERS)} numbers and 1 category; Python {platform.python_version()}"
        )
        _compare(root, "psi")
        _compare(root, "eda")
        _compare_saving(root, f"delta://{root}", "save rows", "Embedded")
        if chosen.spark:
            _compare_saving(root, chosen.spark, "insert rows", "Spark")


if __name__ == "__main__":
    main()
