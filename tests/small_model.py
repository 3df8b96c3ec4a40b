"""A small trained model and its package: made once in a test run, with everything that is hard in it."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mlopslib.artifacts import ArtifactStore
from mlopslib.definition import Derived, FeatureRef, ModelSpec
from mlopslib.package.build import PackageSource, build_contract, build_package, build_reference
from mlopslib.package.pipeline import model_frame
from mlopslib.package.read import ModelPackage, read_package
from mlopslib.package.verify import ParityReport
from mlopslib.training import fit_booster

SPEC = ModelSpec(
    name="small",
    entity_key="customer_id",
    target_sql="SELECT customer_id, target FROM targets",
    features=(
        FeatureRef("facts", 1, "amt", "numeric"),
        FeatureRef("facts", 1, "kind", "category"),
        FeatureRef("facts", 1, "cnt", "numeric"),
        FeatureRef("facts", 1, "age", "numeric"),
        FeatureRef("facts", 1, "code", "category"),
        FeatureRef("facts", 1, "flag", "category"),
    ),
    derived=(
        Derived("amt_per_cnt", "amt / cnt"),
        Derived("log_amt", "log(amt + 1)"),
        Derived("ab_amt", "if(kind in ('A', 'B'), amt * 2, 0)"),
        Derived("age_gap", "coalesce(amt, 0) / (age - 40)"),
    ),
    params={"n_estimators": 40, "num_leaves": 15, "min_child_samples": 10},
)


def make_columns(n: int = 3000, *, seed: int = 5) -> dict[str, np.ndarray]:
    """Raw inputs and the target. `age` and `flag` are never missing; codes are digits with zeros before."""
    random = np.random.default_rng(seed)
    amt = np.round(np.exp(random.normal(3, 1, n)), 1)
    cnt = random.poisson(1.2, n).astype(float)
    age = random.integers(20, 80, n).astype(float)
    kind = random.choice(["A", "B", "C", "D", "E", "F"], n).astype(object)
    code = random.choice(["00", "01", "02", "1", "10", "7"], n).astype(object)
    flag = random.choice(["N", "Y"], n).astype(object)
    z = -1 + 0.03 * (amt - 20) * (kind == "A") + 0.6 * cnt * (flag == "Y") - 0.02 * age
    z += 1.2 * np.isin(code, ["01", "7", "10"]) + 0.5 * (kind == "C")
    target = (random.random(n) < 1 / (1 + np.exp(-z))).astype(float)
    amt[random.random(n) < 0.05] = np.nan
    cnt[random.random(n) < 0.03] = np.nan
    kind[random.random(n) < 0.05] = None
    code[random.random(n) < 0.04] = None
    return {"amt": amt, "kind": kind, "cnt": cnt, "age": age, "code": code, "flag": flag, "target": target}


def make_rows(n: int = 200, *, seed: int = 11) -> list[dict[str, Any]]:
    """Request rows as JSON gives them."""
    columns = make_columns(n, seed=seed)
    columns.pop("target")
    return [
        {
            name: None if values[i] is None or values[i] != values[i] else values[i]
            for name, values in columns.items()
        }
        for i in range(n)
    ]


@dataclass(frozen=True)
class SmallModel:
    artifacts: ArtifactStore
    source: PackageSource
    package: ModelPackage
    report: ParityReport


def make_source(spec: ModelSpec = SPEC, *, columns: dict[str, np.ndarray] | None = None) -> PackageSource:
    columns = columns or make_columns()
    categories, nullable = {}, {}
    for ref in spec.features:
        values = columns[ref.column].tolist()
        nullable[ref.column] = any(value is None or value != value for value in values)
        if ref.dtype == "category":
            categories[ref.column] = sorted({value for value in values if value is not None})
    contract = build_contract(spec, categories=categories, nullable=nullable)
    frame = model_frame(contract, columns)
    stopping = np.arange(len(frame)) % 6 == 0
    fitted = fit_booster(frame, columns["target"], stopping, params=spec.params, seed=spec.seed)
    inputs = {ref.column: columns[ref.column] for ref in spec.features}
    from mlopslib.scoring import NativeScorer

    scores = NativeScorer(contract, fitted.text).score_columns(inputs)
    return PackageSource(
        spec=spec,
        base_ym="202606",
        booster_text=fitted.text,
        contract=contract,
        sample=inputs,
        reference=build_reference(contract, inputs, scores),
        train_months=("202601", "202602"),
        oot_months=("202604",),
    )


@cache
def small_model() -> SmallModel:
    root = Path(tempfile.mkdtemp(prefix="gijun-small-model-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    artifacts = ArtifactStore(root / "artifacts")
    source = make_source()
    manifest, report = build_package(artifacts, source, workdir=root)
    return SmallModel(artifacts, source, read_package(artifacts, manifest.sha256), report)
