"""Which columns an expression reads as numbers and which as texts, and that it never mixes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from mlopslib.derive.expression import (
    Arithmetic,
    Call,
    Coalesce,
    Column,
    Compare,
    If,
    IsMissing,
    Logic,
    Negate,
    Node,
    Not,
    OneOf,
    Text,
)
from mlopslib.errors import ExpressionInvalid

Kind = Literal["number", "text"]


def infer_kinds(node: Node, declared: Mapping[str, str]) -> dict[str, Kind]:
    """Kinds of the columns, from what is declared and from how they are used.

    Raises ExpressionInvalid where a text stands for a number or the other way round.
    """
    kinds: dict[str, Kind] = {
        name: "text" if dtype == "category" else "number" for name, dtype in declared.items()
    }
    _require(node, "number", kinds)
    return kinds


def _require(node: Node, kind: Kind, kinds: dict[str, Kind]) -> None:
    match node:
        case Column(name):
            if kinds.setdefault(name, kind) != kind:
                raise _mixed(f"column {name!r} is a {kinds[name]}, here a {kind} is needed")
        case Text(value):
            if kind != "text":
                raise _mixed(f"the text {value!r} stands where a number is needed")
        case Coalesce(values):
            for value in values:
                _require(value, kind, kinds)
        case _ if kind == "text":
            raise _mixed("only a column, a text or coalesce of them can be compared with a text")
        case Negate(value) | Not(value):
            _require(value, "number", kinds)
        case Arithmetic(_, left, right) | Logic(_, left, right):
            _require(left, "number", kinds)
            _require(right, "number", kinds)
        case Call(_, arguments):
            for argument in arguments:
                _require(argument, "number", kinds)
        case If(condition, yes, no):
            for part in (condition, yes, no):
                _require(part, "number", kinds)
        case IsMissing(value):
            _is_missing(value, kinds)
        case OneOf(value, options):
            _require(value, "text" if isinstance(options[0], Text) else "number", kinds)
        case Compare(operator, left, right):
            wanted: Kind = "text" if _is_text(left, kinds) or _is_text(right, kinds) else "number"
            if wanted == "text" and operator not in ("==", "!="):
                raise _mixed(f"texts can be compared with == and != only, not with {operator}")
            _require(left, wanted, kinds)
            _require(right, wanted, kinds)
        case _:
            return


def _is_missing(value: Node, kinds: dict[str, Kind]) -> None:
    # a lone column may be of either kind
    if isinstance(value, Column):
        return
    _require(value, "text" if _is_text(value, kinds) else "number", kinds)


def _is_text(node: Node, kinds: Mapping[str, Kind]) -> bool:
    match node:
        case Text():
            return True
        case Column(name):
            return kinds.get(name) == "text"
        case Coalesce(values):
            return any(_is_text(value, kinds) for value in values)
        case _:
            return False


def _mixed(message: str) -> ExpressionInvalid:
    return ExpressionInvalid(message, field="expression")
