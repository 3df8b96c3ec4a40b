"""An expression over whole numpy columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlopslib.derive import rowwise
from mlopslib.derive.expression import (
    Arithmetic,
    Call,
    Coalesce,
    Column,
    Compare,
    Expression,
    If,
    IsMissing,
    Logic,
    Negate,
    Node,
    Not,
    Number,
    OneOf,
    Text,
)
from mlopslib.errors import ExpressionInvalid

Floats = NDArray[np.float64]
Columns = Mapping[str, NDArray[Any]]


def evaluate(expression: Expression, columns: Columns) -> Floats:
    """The expression's column of doubles, NaN where missing."""
    used: dict[str, NDArray[Any]] = {}
    for name in expression.columns:
        if name not in columns:
            raise ExpressionInvalid(f"column {name!r} is not among the data", field=name)
        used[name] = np.asarray(columns[name])
    lengths = {len(values) for values in used.values()}
    if len(lengths) > 1:
        raise ExpressionInvalid("the columns differ in length", field="columns")
    with np.errstate(all="ignore"):
        values = _number(expression.node, used)
    return np.array(np.broadcast_to(values, (lengths.pop(),)), dtype=np.float64)


def _number(node: Node, columns: Columns) -> Floats:
    match node:
        case Number(value):
            return np.float64(value)  # type: ignore[return-value]
        case Column(name):
            return _floats(name, columns[name])
        case Negate(value):
            return -_number(value, columns)
        case Arithmetic(operator, left, right):
            return _ARITHMETIC[operator](_number(left, columns), _number(right, columns))
        case Call(name, arguments):
            return _call(name, [_number(argument, columns) for argument in arguments])
        case If(condition, yes, no):
            test = _number(condition, columns)
            chosen = np.where(test == 1.0, _number(yes, columns), _number(no, columns))
            return np.where(np.isnan(test), np.nan, chosen)
        case Coalesce(values):
            return _coalesce([_number(value, columns) for value in values])
        case Compare(operator, left, right):
            a, b = _any_value(left, columns), _any_value(right, columns)
            return _unless(_missing(a) | _missing(b), _TESTS[operator](a, b))
        case OneOf(value, options):
            found = _any_value(value, columns)
            hit = np.zeros(np.shape(found), dtype=bool)
            for option in options:
                hit |= np.asarray(found == option.value, dtype=bool)
            return _unless(_missing(found), hit)
        case Not(value):
            return 1.0 - _number(value, columns)
        case Logic(operator, left, right):
            return _logic(0.0 if operator == "and" else 1.0, _number(left, columns), _number(right, columns))
        case IsMissing(value):
            return _missing(_any_value(value, columns)).astype(np.float64)
        case Text():
            raise TypeError("a text is not a number")


def _floats(name: str, values: NDArray[Any]) -> Floats:
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ExpressionInvalid(
            f"column {name!r} holds texts where numbers are needed", field=name
        ) from error


def _any_value(node: Node, columns: Columns) -> NDArray[Any]:
    """Numbers, or texts as an object array."""
    match node:
        case Column(name):
            return columns[name]
        case Text(value):
            return np.array(value, dtype=object)
        case Coalesce(values):
            return _coalesce([_any_value(value, columns) for value in values])
        case _:
            return np.asarray(_number(node, columns))


def _missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype == object:
        # None, or a NaN, which differs from itself
        found = [value is None or value != value for value in values.ravel()]
        return np.array(found, dtype=bool).reshape(values.shape)
    if values.dtype.kind == "f":
        return np.asarray(np.isnan(values))
    return np.zeros(values.shape, dtype=bool)


def _unless(missing: NDArray[np.bool_], test: Any) -> Floats:
    return np.where(missing, np.nan, np.asarray(test, dtype=bool).astype(np.float64))


def _coalesce(values: list[NDArray[Any]]) -> NDArray[Any]:
    found = values[0]
    for value in values[1:]:
        found = np.where(_missing(np.asarray(found)), value, found)
    return found


def _divide(top: Floats, bottom: Floats) -> Floats:
    return np.where(bottom == 0.0, np.nan, top / bottom)


def _logic(decisive: float, left: Floats, right: Floats) -> Floats:
    missing = np.isnan(left) | np.isnan(right)
    decided = (left == decisive) | (right == decisive)
    return np.where(decided, decisive, np.where(missing, np.nan, 1.0 - decisive))


def _call(name: str, arguments: list[Floats]) -> Floats:
    if name in ("min", "max"):
        function = np.minimum if name == "min" else np.maximum
        found = arguments[0]
        for argument in arguments[1:]:
            found = function(found, argument)
        return found
    return _CALLS[name](arguments[0])


def _by_row(function: Callable[[float], float]) -> Callable[[Floats], Floats]:
    """The very function that serving calls: numpy's own may differ in the last bit."""
    applied = np.frompyfunc(function, 1, 1)
    return lambda values: np.asarray(applied(values), dtype=np.float64)


_CALLS: dict[str, Callable[[Floats], Floats]] = {
    "log": _by_row(rowwise.log),
    "exp": _by_row(rowwise.exp),
    "sqrt": lambda values: np.where(values >= 0.0, np.sqrt(values), np.nan),
    "floor": np.floor,
    "abs": np.abs,
}

_ARITHMETIC: dict[str, Callable[[Floats, Floats], Floats]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
}

_TESTS: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
