"""The fitted booster inside one scikit-learn pipeline, and that pipeline as PMML.

The model is trained once, by LightGBM; here its very trees are set into a pipeline
domains -> derived variables -> LightGBM, which sklearn2pmml writes as one PMML file.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import LabelEncoder
from sklearn2pmml import sklearn2pmml
from sklearn2pmml.decoration import Alias, CategoricalDomain, ContinuousDomain
from sklearn2pmml.pipeline import PMMLPipeline
from sklearn2pmml.preprocessing import ExpressionTransformer

from mlopslib.derive import parse_expression
from mlopslib.errors import PackageError
from mlopslib.scoring.contract import Input, read_inputs
from mlopslib.scoring.pmml import java_home


def known_columns(
    contract: Mapping[str, Any], columns: Mapping[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[Any]]:
    """The inputs with unseen categories missing: what PMML makes of them before an expression reads them."""
    known = {}
    for item in read_inputs(contract):
        values = columns[item.name]
        if item.is_number:
            known[item.name] = np.asarray(values, dtype=np.float64)
        else:
            levels = set(item.categories or ())
            known[item.name] = np.array([v if v in levels else None for v in values], dtype=object)
    return known


def model_frame(contract: Mapping[str, Any], columns: Mapping[str, npt.NDArray[Any]]) -> pd.DataFrame:
    """The columns that the booster sees, in its order, from whole input columns.

    Numbers are floats with NaN; categories become pandas categoricals, unseen ones missing.
    """
    known = known_columns(contract, columns)
    derived = {item["name"]: item["expression"] for item in contract["derived"]}
    data: dict[str, Any] = {}
    for column in contract["model_columns"]:
        name = column["name"]
        if name in derived:
            data[name] = parse_expression(derived[name], columns=list(known)).to_numpy(known)
        elif column["type"] == "category":
            data[name] = as_category(known[name], column["categories"])
        else:
            data[name] = known[name]
    return pd.DataFrame(data)


def as_category(values: npt.NDArray[Any], categories: Sequence[str]) -> Any:
    known = {text: code for code, text in enumerate(categories)}
    codes = np.array([known.get(value, -1) for value in values], dtype=np.int64)
    return pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(list(categories)))


class FittedPipeline:
    """A PMMLPipeline around an already fitted booster.

    Parameters
    ----------
    contract
        The package's ``contract.json``.
    booster_text
        The model text of a booster trained on `model_frame` columns.
    """

    def __init__(self, contract: Mapping[str, Any], booster_text: str) -> None:
        self.contract = contract
        self._inputs = read_inputs(contract)
        expected = [column["name"] for column in contract["model_columns"]]
        booster = lgb.Booster(model_str=booster_text)
        if booster.feature_name() != expected:
            raise PackageError(f"the booster's columns {booster.feature_name()} are not {expected}")
        domains, derive = _domains(self._inputs), _derive(contract, self._inputs)
        example = self._frame([_example_row(self._inputs)])
        derive.fit(domains.fit_transform(example))
        self._pipeline = PMMLPipeline(
            [("domains", domains), ("derive", derive), ("classifier", _classifier(booster))]
        )
        self._pipeline.active_fields = np.array([item.name for item in self._inputs])
        self._pipeline.target_fields = np.array([contract["target"]])

    def score(self, rows: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.float64]:
        """Probabilities of the target by scikit-learn's own path, one row's expressions at a time."""
        with warnings.catch_warnings():
            # pandas warns of categories that are not in the dtype; they are meant to become missing
            warnings.simplefilter("ignore")
            scores = self._pipeline.predict_proba(self._frame(rows))[:, 1]
        return np.asarray(scores, dtype=np.float64)

    def to_pmml(self, workdir: Path) -> bytes:
        """The pipeline as a PMML file. Raises PackageError with the converter's words."""
        path = workdir / "model.pmml"
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                sklearn2pmml(self._pipeline, str(path), java_home=java_home())
        except RuntimeError as error:
            raise PackageError(
                f"the pipeline does not convert to PMML: {error}\n{said.getvalue()}"
            ) from error
        return _keep_categories_text(path.read_text(encoding="utf-8"), self._inputs).encode()

    def _frame(self, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
        return pd.DataFrame(
            {
                item.name: pd.Series(
                    [row[item.name] for row in rows], dtype="float64" if item.is_number else "object"
                )
                for item in self._inputs
            }
        )


def _domains(inputs: Sequence[Input]) -> ColumnTransformer:
    def domain(item: Input) -> ContinuousDomain | CategoricalDomain:
        if item.is_number:
            # no valid range in the file: a value outside the training range is still a value
            return ContinuousDomain(with_data=False, with_statistics=False, invalid_value_treatment="as_is")
        dtype = pd.CategoricalDtype(list(item.categories or ()))
        return CategoricalDomain(dtype=dtype, invalid_value_treatment="as_missing")

    transformer = ColumnTransformer(
        [(item.name, domain(item), [item.name]) for item in inputs],
        remainder="drop",
        verbose_feature_names_out=False,
    )
    return transformer.set_output(transform="pandas")


def _derive(contract: Mapping[str, Any], inputs: Sequence[Input]) -> ColumnTransformer:
    expressions = {item["name"]: item["expression"] for item in contract["derived"]}
    names = [item.name for item in inputs]
    parts = []
    for column in contract["model_columns"]:
        name = column["name"]
        if name in expressions:
            columns, text = parse_expression(expressions[name], columns=names).to_sklearn2pmml()
            parts.append((name, Alias(ExpressionTransformer(text, dtype=float), name), list(columns)))
        else:
            parts.append((name, "passthrough", [name]))
    transformer = ColumnTransformer(parts, remainder="drop", verbose_feature_names_out=False)
    return transformer.set_output(transform="pandas")


def _classifier(booster: lgb.Booster) -> lgb.LGBMClassifier:
    """scikit-learn's face of a booster that was trained elsewhere."""
    classifier = lgb.LGBMClassifier(objective="binary", n_jobs=1)
    classifier._Booster = booster
    classifier._objective = "binary"
    classifier._n_features = classifier._n_features_in = booster.num_feature()
    classifier._le = LabelEncoder().fit([0, 1])
    classifier._classes = classifier._le.classes_
    classifier._n_classes = 2
    classifier._class_map = {0: 0, 1: 1}
    classifier._best_iteration = 0
    classifier._evals_result = {}
    classifier.fitted_ = True
    return classifier


def _example_row(inputs: Sequence[Input]) -> dict[str, Any]:
    return {item.name: 1.0 if item.is_number else (item.categories or ("",))[0] for item in inputs}


def _keep_categories_text(pmml: str, inputs: Sequence[Input]) -> str:
    """Declare categories as text: the converter takes codes like ``"01"`` for whole numbers.

    Read as numbers, an unseen ``"1"`` would be the known ``"01"``.
    """
    for item in inputs:
        if item.is_number:
            continue
        name = re.escape(item.name)
        pmml = re.sub(
            rf'(<DataField name="{name}" optype="categorical" dataType=")[a-z]+"', r'\g<1>string"', pmml
        )
        pmml = re.sub(
            rf'(<SimpleSetPredicate field="{name}" booleanOperator="\w+">\s*<Array type=")[a-z]+"',
            r'\g<1>string"',
            pmml,
        )
    return pmml
