"""A month of features explored in the engine, against pandas and scipy over the pulled table.

    .venv/bin/python -m benchmarks.eda              # 1 million rows, 80 numbers, 20 categories
    .venv/bin/python -m benchmarks.eda --rows 200000 --numbers 40 --categories 5 --target

Each way runs in a process of its own: wall seconds after its imports, CPU seconds of all its threads, and the
most memory that it held, imports and all. The figures of both ways are compared where the definitions are the
same: Pearson, Cramer's V, moments, quantiles.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

TABLE, MONTH, KEY = "fs_bench_v1", "202210", "cust_id"
QUANTILES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
TARGET_SQL = (
    f"SELECT {KEY}, CASE WHEN n2 > 1 THEN 1 ELSE 0 END AS target FROM {TABLE} WHERE base_ym = '{MONTH}'"
)


def make_table(root: Path, rows: int, numbers: int, categories: int) -> None:
    """Correlated numbers of several shapes, a fifth with gaps of its own, a fifth with shared ones."""
    import pyarrow as pa

    from mlopslib.offline.embedded import EmbeddedStore

    r = np.random.default_rng(1)
    hidden = r.normal(size=(rows, 8))
    columns: dict[str, Any] = {KEY: pa.array([f"C{number:08d}" for number in range(rows)])}
    for place in range(numbers):
        values = hidden @ r.normal(size=8) + r.normal(size=rows)
        if place % 4 == 1:
            values = np.round(np.exp(values / 2))
        if place % 4 == 2:
            values = np.round(values * 100, 2)
        gaps = {0: r.random(rows) < 0.1, 1: hidden[:, place % 3] > 1.5}.get(place % 5)
        columns[f"n{place}"] = pa.array(values, mask=gaps)
    for place in range(categories):
        levels = np.array([f"level_{number}" for number in range(3 + 2 * place)])
        codes = (hidden[:, place % 8] * 2 + len(levels) / 2 + r.normal(size=rows)).astype(int)
        gaps = r.random(rows) < 0.05 if place % 3 == 0 else None
        columns[f"c{place}"] = pa.array(levels[np.clip(codes, 0, len(levels) - 1)], mask=gaps)
    EmbeddedStore(root).overwrite_partition(TABLE, pa.table(columns), column="base_ym", value=MONTH)


def in_engine(root: Path, numbers: list[str], categories: list[str], *, with_target: bool) -> dict[str, Any]:
    from mlopslib.definition import FeatureSpec
    from mlopslib.eda import explore
    from mlopslib.offline.embedded import EmbeddedStore

    started = _start()
    features = [FeatureSpec(name, "numeric") for name in numbers]
    features += [FeatureSpec(name, "category") for name in categories]
    parts: dict[str, float] = {}
    last: list[Any] = ["", time.perf_counter()]

    def tell(done: float, total: float, text: str) -> None:
        if text != last[0]:
            parts[last[0]] = parts.get(last[0], 0.0) + time.perf_counter() - last[1]
            last[:] = [text, time.perf_counter()]

    report = explore(
        EmbeddedStore(root, threads=2),
        TABLE,
        features,
        key=KEY,
        partition=("base_ym", MONTH),
        target=("n2 above 1", TARGET_SQL) if with_target else None,
        on_progress=tell,
    )
    found = _finish(started)
    described = {item.name: item for item in report.features}
    order = [report.correlation.names.index(name) for name in numbers]
    levels = [report.categories.names.index(name) for name in categories]
    return found | {
        "parts": {name: round(seconds, 1) for name, seconds in parts.items() if name},
        "spearman_rows": report.correlation.spearman_rows,
        "pearson": [[report.correlation.pearson[a][b] for b in order] for a in order],
        "v": [[report.categories.cramers_v[a][b] for b in levels] for a in levels],
        "means": [described[name].mean for name in numbers],
        "quantiles": [list(described[name].quantiles.values()) for name in numbers],
        "distinct": [described[name].distinct for name in [*numbers, *categories]],
    }


def in_pandas(root: Path, numbers: list[str], categories: list[str], *, with_target: bool) -> dict[str, Any]:
    """The same figures from the pulled table; Spearman on as many rows as the engine took."""
    import pandas as pd
    from scipy.stats import chi2_contingency

    from mlopslib.eda.pairs import SPEARMAN_ROWS
    from mlopslib.metrics.association import cramers_v
    from mlopslib.metrics.ranking import auc_interval
    from mlopslib.offline.embedded import EmbeddedStore

    started = _start()
    frame = EmbeddedStore(root, threads=2).read_partition(TABLE, "base_ym", MONTH).to_pandas()
    figures = frame[numbers].agg(["mean", "std", "min", "max"])
    quantiles = frame[numbers].quantile(list(QUANTILES))
    distinct = [int(frame[name].nunique()) for name in [*numbers, *categories]]
    for name in numbers:
        np.histogram(frame[name].dropna(), bins=20)
        low, high = quantiles.loc[0.25, name], quantiles.loc[0.75, name]
        ((frame[name] < low - 1.5 * (high - low)) | (frame[name] > high + 1.5 * (high - low))).mean()
    pearson = frame[numbers].corr()
    frame[numbers].sample(min(len(frame), SPEARMAN_ROWS), random_state=1).rank().corr()
    v = np.full((len(categories), len(categories)), 1.0)
    for a, one in enumerate(categories):
        for b in range(a + 1, len(categories)):
            table = pd.crosstab(frame[one], frame[categories[b]]).to_numpy()
            chi2_contingency(table, correction=False)
            v[a, b] = v[b, a] = cramers_v(table) or 0.0
    for name in categories:
        frame.groupby(name, observed=True)[numbers].agg(["count", "sum"])
    if with_target:
        target = (frame["n2"] > 1).to_numpy()
        for name in numbers:
            present = frame[name].notna().to_numpy()
            auc_interval(target[present], frame.loc[present, name])
    return _finish(started) | {
        "pearson": pearson.to_numpy().tolist(),
        "v": v.tolist(),
        "means": figures.loc["mean"].tolist(),
        "quantiles": quantiles.T.to_numpy().tolist(),
        "distinct": distinct,
    }


def _start() -> tuple[float, float]:
    return time.perf_counter(), _cpu()


def _finish(started: tuple[float, float]) -> dict[str, float]:
    return {"seconds": time.perf_counter() - started[0], "cpu": _cpu() - started[1], "peak_gib": _peak_gib()}


def _peak_gib() -> float:
    """Of this program alone: `ru_maxrss` would begin with what its parent held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024**2


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


WAYS = {"engine": in_engine, "pandas": in_pandas}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--numbers", type=int, default=80)
    parser.add_argument("--categories", type=int, default=20)
    parser.add_argument("--target", action="store_true", help="with the association with a target")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    numbers = [f"n{place}" for place in range(options.numbers)]
    categories = [f"c{place}" for place in range(options.categories)]
    if options.way:
        way = WAYS[options.way]
        print(json.dumps(way(options.root, numbers, categories, with_target=options.target)))
        return
    print(
        f"{options.rows:,} rows, {options.numbers} numbers, {options.categories} categories; "
        f"Python {platform.python_version()}"
    )
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "store"
        make_table(root, options.rows, options.numbers, options.categories)
        found = {name: _alone(name, root, options) for name in WAYS}
    for name, figures in found.items():
        print(
            f"  {name:8} {figures['seconds']:7.1f} s  {figures['cpu']:7.1f} CPU s  "
            f"{figures['peak_gib']:5.2f} GiB at most"
        )
    print(f"  parts of the engine's time: {found['engine']['parts']}")
    print(f"  Spearman on {found['engine']['spearman_rows']:,} rows")
    for name in ("pearson", "v", "means", "quantiles"):
        one, other = (np.array(found[way][name], dtype=float) for way in WAYS)
        print(f"  largest difference of {name}: {float(np.nanmax(np.abs(one - other), initial=0.0)):.1e}")
    print(f"  distinct values are the same: {found['engine']['distinct'] == found['pandas']['distinct']}")


def _alone(name: str, root: Path, options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.eda", "--way", name, "--root", str(root)]
    command += ["--numbers", str(options.numbers), "--categories", str(options.categories)]
    command += ["--target"] if options.target else []
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


if __name__ == "__main__":
    main()
