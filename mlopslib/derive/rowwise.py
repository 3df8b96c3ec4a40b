"""An expression as nested Python functions over one row."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from mlopslib.derive.expression import (
    Arithmetic,
    Call,
    Closure,
    Coalesce,
    Column,
    Compare,
    If,
    IsMissing,
    Logic,
    Negate,
    Node,
    Not,
    Number,
    OneOf,
    Text,
    Value,
)

#: exp of more than this is not a finite double
EXP_LIMIT = 709.782712893384
_NAN = math.nan

Row = Mapping[str, Value]


def log(value: float) -> float:
    return math.log(value) if value > 0.0 else _NAN


def exp(value: float) -> float:
    return math.exp(value) if value <= EXP_LIMIT else _NAN


def sqrt(value: float) -> float:
    return math.sqrt(value) if value >= 0.0 else _NAN


def floor(value: float) -> float:
    return float(math.floor(value)) if math.isfinite(value) else value


_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "log": log,
    "exp": exp,
    "sqrt": sqrt,
    "floor": floor,
    "abs": abs,
}


def compile_node(node: Node) -> Closure:
    """The function of a number; conditions give 1.0, 0.0 or NaN."""
    match node:
        case Number(number):
            return lambda row: number
        case Column(name):
            return _column(name)
        case Negate(value):
            inner = compile_node(value)
            return lambda row: -inner(row)
        case Arithmetic(operator, left, right):
            return _arithmetic(operator, compile_node(left), compile_node(right))
        case Call(name, arguments):
            return _call(name, [compile_node(argument) for argument in arguments])
        case If(condition, yes, no):
            return _if(compile_node(condition), compile_node(yes), compile_node(no))
        case Coalesce(values):
            return _coalesce([compile_node(value) for value in values])
        case Compare(operator, left, right):
            return _compare(operator, left, right)
        case OneOf(value, options):
            return _one_of(_any_value(value), frozenset(option.value for option in options))
        case Not(value):
            inner = compile_node(value)
            return lambda row: 1.0 - inner(row)
        case Logic(operator, left, right):
            return _logic(0.0 if operator == "and" else 1.0, compile_node(left), compile_node(right))
        case IsMissing(value):
            return _is_missing(_any_value(value))
        case Text():
            raise TypeError("a text is not a number")


def _column(name: str) -> Closure:
    def read(row: Row) -> float:
        value = row.get(name)
        return _NAN if value is None else float(value)

    return read


def _any_value(node: Node) -> Callable[[Row], Any]:
    """The function of a number or a text; None or NaN when missing."""
    match node:
        case Column(name):
            return lambda row: row.get(name)
        case Text(value):
            return lambda row: value
        case Coalesce(values):
            return _coalesce([_any_value(value) for value in values])
        case _:
            return compile_node(node)


def _missing(value: Any) -> bool:
    return value is None or value != value


def _is_missing(value: Callable[[Row], Any]) -> Closure:
    return lambda row: 1.0 if _missing(value(row)) else 0.0


def _one_of(value: Callable[[Row], Any], options: frozenset[Any]) -> Closure:
    def test(row: Row) -> float:
        found = value(row)
        return _NAN if _missing(found) else float(found in options)

    return test


def _compare(operator: str, left: Node, right: Node) -> Closure:
    first, second = _any_value(left), _any_value(right)
    test = _TESTS[operator]

    def compare(row: Row) -> float:
        a, b = first(row), second(row)
        if _missing(a) or _missing(b):
            return _NAN
        return float(test(a, b))

    return compare


_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: bool(a == b),
    "!=": lambda a, b: bool(a != b),
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
}


def _arithmetic(operator: str, left: Closure, right: Closure) -> Closure:
    if operator == "+":
        return lambda row: left(row) + right(row)
    if operator == "-":
        return lambda row: left(row) - right(row)
    if operator == "*":
        return lambda row: left(row) * right(row)

    def divide(row: Row) -> float:
        top, bottom = left(row), right(row)
        return top / bottom if bottom else _NAN

    return divide


def _call(name: str, arguments: list[Closure]) -> Closure:
    if name in ("min", "max"):
        return _extreme(name, arguments)
    function, argument = _FUNCTIONS[name], arguments[0]
    return lambda row: function(argument(row))


def _extreme(name: str, arguments: list[Closure]) -> Closure:
    least = name == "min"

    def extreme(row: Row) -> float:
        best = arguments[0](row)
        for argument in arguments[1:]:
            value = argument(row)
            if value != value or best != best:
                return _NAN
            if (value < best) if least else (value > best):
                best = value
        return best

    return extreme


def _if(condition: Closure, yes: Closure, no: Closure) -> Closure:
    def choose(row: Row) -> float:
        test = condition(row)
        if test != test:
            return _NAN
        return yes(row) if test else no(row)

    return choose


def _coalesce(values: list[Callable[[Row], Any]]) -> Callable[[Row], Any]:
    def first(row: Row) -> Any:
        found: Any = _NAN
        for value in values:
            found = value(row)
            if not _missing(found):
                return found
        return found

    return first


def _logic(decisive: float, left: Closure, right: Closure) -> Closure:
    """`and` is decided by one false, `or` by one true, whatever is missing."""

    def logic(row: Row) -> float:
        first = left(row)
        if first == decisive:
            return decisive
        second = right(row)
        if second == decisive:
            return decisive
        return first + second if first != first or second != second else 1.0 - decisive

    return logic
