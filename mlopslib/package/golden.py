"""Rows that are hard on a scorer: real ones, missing, unseen, extreme, and on both sides of every split."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from mlopslib.derive import parse_expression
from mlopslib.scoring.contract import Input, read_inputs

Row = dict[str, "float | str | None"]

#: fewest golden rows in a package
MIN_ROWS = 200
_SAMPLE_ROWS = 120
_SPLITS_PER_INPUT = 8
_LEVELS_PER_INPUT = 30
_EXTREMES = (0.0, -1.0, 1e-12, -1e9, 1e15, 1e200, -1e200)
_UNSEEN = "never seen"
#: LightGBM takes |x| up to this (float32 1e-35) as 0 before its trees; the PMML compares the value itself
ZERO = 1.0000000180025095e-35


def split_thresholds(booster_text: str) -> dict[str, list[float]]:
    """Thresholds of the numeric splits by column name, sorted, from LightGBM's model text."""
    names: list[str] = []
    found: dict[str, set[float]] = {}
    features: list[int] = []
    thresholds: list[float] = []
    for line in booster_text.splitlines():
        key, _, text = line.partition("=")
        if key == "feature_names":
            names = text.split(" ")
        elif key == "split_feature":
            features = [int(item) for item in text.split()]
        elif key == "threshold":
            thresholds = [float(item) for item in text.split()]
        elif key == "decision_type":
            for feature, threshold, kind in zip(features, thresholds, text.split(), strict=True):
                # bit 0 marks a split on a set of categories; its "threshold" is an index
                if not int(kind) & 1:
                    found.setdefault(names[feature], set()).add(threshold)
    return {name: sorted(values) for name, values in found.items()}


def golden_rows(
    contract: Mapping[str, Any],
    sample: Mapping[str, npt.NDArray[Any]],
    booster_text: str,
    *,
    seed: int,
) -> list[tuple[str, Row]]:
    """(label, row) pairs, at least `MIN_ROWS`, all of which the contract allows.

    Parameters
    ----------
    sample
        Real rows by input column: floats with NaN, categories as objects with None.
    """
    inputs = read_inputs(contract)
    random = np.random.default_rng(seed)
    real = _rows(inputs, sample)
    hard = list(_hard_rows(contract, inputs, real, split_thresholds(booster_text), random))
    n = max(_SAMPLE_ROWS, MIN_ROWS - len(hard))
    picked = random.choice(len(real), size=n, replace=len(real) < n)
    return [("real", dict(real[i])) for i in picked] + hard


def forbidden_missing_rows(
    contract: Mapping[str, Any], sample: Mapping[str, npt.NDArray[Any]], *, seed: int
) -> list[tuple[str, Row]]:
    """Rows that requests may not hold (null where training had none) but that batch scoring may meet."""
    inputs = read_inputs(contract)
    real = _rows(inputs, sample)
    random = np.random.default_rng(seed)
    return [
        (f"{item.name} missing against the contract", {**real[random.integers(len(real))], item.name: None})
        for item in inputs
        if not item.nullable
    ]


def _rows(inputs: tuple[Input, ...], sample: Mapping[str, npt.NDArray[Any]]) -> list[Row]:
    columns = {item.name: sample[item.name].tolist() for item in inputs}
    n = len(next(iter(columns.values())))
    rows: list[Row] = [{name: _plain(values[i]) for name, values in columns.items()} for i in range(n)]
    required = [item.name for item in inputs if not item.nullable]
    kept = [row for row in rows if all(row[name] is not None for name in required)]
    if not kept:
        raise ValueError("the sample has no row that the contract allows")
    return kept


def _plain(value: Any) -> float | str | None:
    if value is None or isinstance(value, str):
        return value
    return None if math.isnan(value) else float(value)


def _hard_rows(
    contract: Mapping[str, Any],
    inputs: tuple[Input, ...],
    real: list[Row],
    thresholds: Mapping[str, list[float]],
    random: np.random.Generator,
) -> Iterator[tuple[str, Row]]:
    def change(label: str, **values: float | str | None) -> tuple[str, Row]:
        return label, {**real[int(random.integers(len(real)))], **values}

    for item in inputs:
        name = item.name
        if item.nullable:
            yield change(f"{name} missing", **{name: None})
            yield change(f"{name} missing", **{name: None})
        if item.is_number:
            for value in _numbers(item, real):
                yield change(f"{name} extreme", **{name: value})
            for value in _around(thresholds.get(name, [])):
                yield change(f"{name} at a split", **{name: value})
        else:
            for level in [*(item.categories or ())[:_LEVELS_PER_INPUT], _UNSEEN, ""]:
                yield change(f"{name} = {level}", **{name: level})
    nullable = {item.name: None for item in inputs if item.nullable}
    yield change("all that may be missing is missing", **nullable)
    numbers = {item.name for item in inputs if item.is_number}
    for derived in contract["derived"]:
        expression = parse_expression(derived["expression"], columns=[item.name for item in inputs])
        columns = [name for name in expression.columns if name in numbers]
        for values in _divisors(columns):
            yield change(f"{derived['name']} with zeros", **values)


def _numbers(item: Input, real: list[Row]) -> list[float]:
    seen = [value for row in real if isinstance(value := row[item.name], float)]
    return [*_EXTREMES, min(seen), max(seen)] if seen else list(_EXTREMES)


def _around(thresholds: list[float]) -> Iterator[float]:
    """Each of a spread of thresholds, and its neighbours one step below and above."""
    count = min(len(thresholds), _SPLITS_PER_INPUT)
    for position in np.linspace(0, len(thresholds) - 1, count).astype(int):
        threshold = thresholds[position]
        for value in (math.nextafter(threshold, -math.inf), threshold, math.nextafter(threshold, math.inf)):
            if value == 0.0 or abs(value) > ZERO:
                yield value


def _divisors(columns: list[str]) -> Iterator[dict[str, float | str | None]]:
    """Values that make divisors like ``b``, ``b + 1``, ``b - c`` and ``b + c`` zero."""
    for name in columns:
        for value in (0.0, -1.0, 1.0):
            yield {name: value}
    if columns:
        yield dict.fromkeys(columns, 0.0)
        yield dict.fromkeys(columns, 7.0)
    for first, second in combinations(columns, 2):
        yield {first: 3.0, second: -3.0}
