"""The scorer of the serving worker: derived variables in Python, trees in LightGBM's C library."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mlopslib.derive import parse_expression
from mlopslib.errors import PackageDamaged, RequestInvalid
from mlopslib.scoring.contract import Input, read_inputs
from mlopslib.scoring.lightgbm_c import Booster, FastRow, FloatArray

_NAN = float("nan")
#: from this many rows on, derived variables are computed by column and not by row
_BATCH_FROM = 8

_Values = Mapping[str, "float | str | None"]
_Getter = Callable[[_Values], float]


class NativeScorer:
    """Scores raw input rows with a package's booster.

    Parameters
    ----------
    contract
        The package's ``contract.json``.
    booster_text
        The package's ``model.txt``, whose hash was checked.

    Notes
    -----
    Threads may share a scorer: each has its own buffers and its own LightGBM fast configuration.
    ``None`` and NaN are missing; a category that training did not see is scored as missing.
    """

    def __init__(self, contract: Mapping[str, Any], booster_text: str) -> None:
        self.contract: dict[str, Any] = dict(contract)
        self._inputs = read_inputs(contract)
        self._names = [item.name for item in self._inputs]
        self._booster = Booster(booster_text)
        columns = contract["model_columns"]
        if len(columns) != self._booster.n_features:
            raise PackageDamaged(
                f"contract.json names {len(columns)} columns, model.txt has {self._booster.n_features}",
                field="contract.json",
            )
        self._derived = {
            item["name"]: parse_expression(item["expression"], columns=self._names)
            for item in contract["derived"]
        }
        self._codes = {
            column["name"]: {text: float(code) for code, text in enumerate(column["categories"])}
            for column in columns
            if column["type"] == "category"
        }
        # every category of the contract is known to the trees too: features are never dropped
        if lost := [
            item.name for item in self._inputs if not item.is_number and item.name not in self._codes
        ]:
            raise PackageDamaged(f"contract.json: the category {lost[0]} is not a column of the model")
        self._columns = [column["name"] for column in columns]
        if unknown := set(self._columns) - set(self._names) - set(self._derived):
            raise PackageDamaged(f"contract.json: nothing gives the column {min(unknown)}")
        self._getters = [self._getter(name) for name in self._columns]
        self._local = threading.local()

    def score(self, rows: Sequence[Mapping[str, Any]]) -> FloatArray:
        """Probabilities of the target, shape ``(len(rows),)``.

        Rows were checked by `RequestContract`; fields beside the inputs are ignored. Raises
        RequestInvalid where an input is missing from a row or a number is not one.
        """
        n = len(rows)
        if n < _BATCH_FROM:
            return np.array([self._score_row(row, i) for i, row in enumerate(rows)], dtype=np.float64)
        return self.score_columns({item.name: _column(rows, item) for item in self._inputs})

    def score_columns(self, columns: Mapping[str, npt.NDArray[Any]]) -> FloatArray:
        """Probabilities for whole columns: numbers as floats (NaN = missing), categories as objects."""
        return self._booster.predict(self.matrix(columns))

    def matrix(self, columns: Mapping[str, npt.NDArray[Any]]) -> FloatArray:
        """What the booster sees: derived variables computed, categories as their codes."""
        known = {name: self._known(name, columns[name]) for name in self._names}
        matrix = np.empty((len(next(iter(known.values()))), len(self._columns)), dtype=np.float64)
        for position, name in enumerate(self._columns):
            if name in self._derived:
                matrix[:, position] = self._derived[name].to_numpy(known)
            elif name in self._codes:
                codes = self._codes[name]
                matrix[:, position] = [codes.get(value, _NAN) for value in known[name]]
            else:
                matrix[:, position] = known[name]
        return matrix

    def _known(self, name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A category that training did not see is missing, for derived variables too."""
        codes = self._codes.get(name)
        if codes is None:
            return np.asarray(values, dtype=np.float64)
        return np.array([value if value in codes else None for value in values], dtype=object)

    def _score_row(self, row: Mapping[str, Any], position: int) -> float:
        fast: FastRow | None = getattr(self._local, "fast", None)
        if fast is None:
            fast = self._local.fast = FastRow(self._booster)
        values = {item.name: _value(row, item, position) for item in self._inputs}
        for name, codes in self._codes.items():
            if values[name] not in codes:
                values[name] = None
        buffer = fast.row
        for column, getter in enumerate(self._getters):
            buffer[column] = getter(values)
        return fast.predict()

    def _getter(self, name: str) -> _Getter:
        if name in self._derived:
            return self._derived[name].to_closure()
        if name in self._codes:
            codes = self._codes[name]
            return lambda values: codes.get(values[name], _NAN)  # type: ignore[arg-type, unused-ignore]
        return lambda values: values[name]  # type: ignore[return-value]


def _value(row: Mapping[str, Any], item: Input, position: int) -> float | str | None:
    try:
        value = row[item.name]
    except KeyError:
        field = f"requests[{position}].{item.name}"
        raise RequestInvalid(f"{field}: the field is missing", field=field) from None
    if not item.is_number:
        return None if value is None else str(value)
    if type(value) is float:
        return value
    if value is None:
        return _NAN
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        field = f"requests[{position}].{item.name}"
        raise RequestInvalid(f"{field}: a number is needed", field=field) from error


def _column(rows: Sequence[Mapping[str, Any]], item: Input) -> npt.NDArray[Any]:
    values = [_value(row, item, position) for position, row in enumerate(rows)]
    return np.array(values, dtype=np.float64 if item.is_number else object)
