"""From text to tree. A parser of our own: nothing that a person typed is ever evaluated as Python."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, cast

from mlopslib.derive.expression import (
    CONDITIONS,
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
    walk,
)
from mlopslib.derive.kinds import infer_kinds
from mlopslib.derive.pmml import sklearn2pmml_text
from mlopslib.errors import ExpressionInvalid

MAX_CHARACTERS = 2_000
MAX_DEPTH = 40
MAX_PARTS = 150

#: function -> least and most number of arguments
FUNCTIONS: dict[str, tuple[int, int]] = {
    "if": (3, 3),
    "min": (2, 20),
    "max": (2, 20),
    "abs": (1, 1),
    "floor": (1, 1),
    "log": (1, 1),
    "exp": (1, 1),
    "sqrt": (1, 1),
    "is_missing": (1, 1),
    "coalesce": (2, 20),
}
_WORDS = {"and", "or", "not", "in"}
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<sign>==|!=|<=|>=|<|>|[-+*/(),]))"
)
_HINTS = {
    "=": "compare with ==",
    "**": "multiply instead of **",
    "<>": "write !=",
    "&": "write and",
    "|": "write or",
}


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


def parse_expression(text: str, *, columns: Collection[str] | None = None) -> Expression:
    """Read the expression of a derived variable.

    Parameters
    ----------
    text
        Numbers, ``'texts'``, column names, ``+ - * /``, ``== != < <= > >=``, ``x in ('A', 'B')``,
        ``x not in (..)``, ``and or not``, and the functions ``if(condition, yes, no)``, ``min``, ``max``,
        ``abs``, ``floor``, ``log`` (natural), ``exp``, ``sqrt``, ``is_missing(x)``, ``coalesce(x, ..)``.
        What missing does is told at `Expression`.
    columns
        The columns that exist: names, or a mapping from name to ``"numeric"`` or ``"category"``, which
        lets the types be checked too. None takes any name.

    Returns
    -------
    Expression

    Raises
    ------
    ExpressionInvalid
        If the text does not parse, a column or function is unknown (the message names the nearest), texts
        and numbers are mixed, or no column is used.

    Examples
    --------
    >>> parse_expression("log(balance + 1) / max(age, 18)").columns
    ('balance', 'age')
    >>> parse_expression("ballance * 2", columns=["balance"])
    Traceback (most recent call last):
    mlopslib.errors.ExpressionInvalid: no column is called 'ballance' (character 1): did you mean 'balance'?
    """
    if len(text) > MAX_CHARACTERS:
        raise ExpressionInvalid(
            f"the expression is longer than {MAX_CHARACTERS} characters", field="expression"
        )
    node = _Parser(text, columns).parse()
    if sum(1 for _ in walk(node)) > MAX_PARTS:
        raise ExpressionInvalid(
            f"the expression has more than {MAX_PARTS} parts: make two variables of it", field="expression"
        )
    names = tuple(dict.fromkeys(part.name for part in walk(node) if isinstance(part, Column)))
    if not names:
        raise ExpressionInvalid("a derived variable must use at least one column", field="expression")
    declared = columns if isinstance(columns, Mapping) else {}
    kinds = infer_kinds(node, declared)
    texts = frozenset(name for name in names if kinds.get(name) == "text")
    sklearn2pmml_text(node)  # refuse now what could not be packaged later
    return Expression(text=text, node=node, columns=names, category_columns=texts)


class _Parser:
    """Recursive descent, one method for each level of binding."""

    def __init__(self, text: str, columns: Collection[str] | None) -> None:
        self._tokens = _tokenize(text)
        self._columns = columns
        self._at = 0
        self._depth = 0

    def parse(self) -> Node:
        try:
            node = self._or()
        except RecursionError as error:
            raise ExpressionInvalid("the expression is nested too deeply", field="expression") from error
        if self._now.kind != "end":
            raise _wrong(f"{self._now.text!r} is not expected here", self._now)
        return node

    @property
    def _now(self) -> _Token:
        return self._tokens[self._at]

    def _take(self, *texts: str) -> _Token | None:
        if self._now.kind in ("sign", "name") and self._now.text in texts:
            self._at += 1
            return self._tokens[self._at - 1]
        return None

    def _expect(self, text: str) -> None:
        if not self._take(text):
            found = self._now.text or "the end"
            raise _wrong(f"{text!r} is missing before {found!r}", self._now)

    def _or(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _wrong(f"the expression is nested deeper than {MAX_DEPTH}", self._now)
        node = self._and()
        while token := self._take("or"):
            node = Logic("or", _condition(node, token), _condition(self._and(), token))
        self._depth -= 1
        return node

    def _and(self) -> Node:
        node = self._not()
        while token := self._take("and"):
            node = Logic("and", _condition(node, token), _condition(self._not(), token))
        return node

    def _not(self) -> Node:
        count = 0
        while token := self._take("not"):
            count, last = count + 1, token
        node = self._comparison()
        if not count:
            return node
        node = _condition(node, last)
        return Not(node) if count % 2 else node

    def _comparison(self) -> Node:
        left = self._sum()
        if token := self._take("==", "!=", "<=", ">=", "<", ">"):
            node: Node = Compare(cast(Any, token.text), left, self._sum())
            if self._now.text in ("==", "!=", "<=", ">=", "<", ">"):
                raise _wrong("compare two values at a time and join with and", self._now)
            return node
        if self._take("not"):
            self._expect("in")
            return Not(OneOf(left, self._options()))
        if self._take("in"):
            return OneOf(left, self._options())
        return left

    def _options(self) -> tuple[Number | Text, ...]:
        self._expect("(")
        options: list[Number | Text] = []
        while True:
            start = self._now
            option = self._unary()
            if isinstance(option, Negate) and isinstance(option.value, Number):
                option = Number(-option.value.value)
            if not isinstance(option, Number | Text):
                raise _wrong("a list after in holds numbers or texts only", start)
            options.append(option)
            if not self._take(","):
                break
        self._expect(")")
        if len({type(option) for option in options}) > 1:
            raise _wrong("a list after in holds either numbers or texts, not both", start)
        return tuple(options)

    def _sum(self) -> Node:
        node = self._product()
        while token := self._take("+", "-"):
            node = Arithmetic(cast(Any, token.text), node, self._product())
        return node

    def _product(self) -> Node:
        node = self._unary()
        while token := self._take("*", "/"):
            right = self._unary()
            if token.text == "/" and right == Number(0.0):
                raise _wrong("dividing by 0 is always missing", token)
            node = Arithmetic(cast(Any, token.text), node, right)
        return node

    def _unary(self) -> Node:
        negative = False
        while token := self._take("-", "+"):
            negative ^= token.text == "-"
        return Negate(self._atom()) if negative else self._atom()

    def _atom(self) -> Node:
        token = self._now
        self._at += 1
        if token.kind == "number":
            return _number(token)
        if token.kind == "text":
            return _text(token)
        if token.text == "(" and token.kind == "sign":
            node = self._or()
            self._expect(")")
            return node
        if token.kind == "name" and token.text not in _WORDS:
            if self._take("("):
                return self._call(token)
            return self._column(token)
        raise _wrong(
            "the expression ends too early" if token.kind == "end" else f"{token.text!r} is not a value",
            token,
        )

    def _column(self, token: _Token) -> Column:
        if self._columns is not None and token.text not in self._columns:
            raise _wrong(f"no column is called {token.text!r}", token, near=self._columns)
        return Column(token.text)

    def _call(self, token: _Token) -> Node:
        name = token.text
        if name not in FUNCTIONS:
            raise _wrong(f"no function is called {name!r}", token, near=FUNCTIONS)
        arguments = [self._or()]
        while self._take(","):
            arguments.append(self._or())
        self._expect(")")
        least, most = FUNCTIONS[name]
        if not least <= len(arguments) <= most:
            count = str(least) if least == most else f"{least} to {most}"
            raise _wrong(f"{name} takes {count} arguments, not {len(arguments)}", token)
        if name == "if":
            return If(_condition(arguments[0], token), arguments[1], arguments[2])
        if name == "is_missing":
            return IsMissing(arguments[0])
        if name == "coalesce":
            return Coalesce(tuple(arguments))
        return Call(name, tuple(arguments))


def _tokenize(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if not match or match.lastgroup is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            hint = next((hint for sign, hint in _HINTS.items() if text.startswith(sign, at)), None)
            problem = "a text does not end" if text[at] in "'\"" else f"{text[at]!r} cannot be used"
            raise _wrong(f"{problem}: {hint}" if hint else problem, _Token("", "", at))
        kind = match.lastgroup
        tokens.append(_Token(kind, match.group(kind), match.start(kind)))
        at = match.end()
    return [*tokens, _Token("end", "", end)]


def _number(token: _Token) -> Number:
    value = float(token.text)
    if not math.isfinite(value):
        raise _wrong(f"{token.text} is too large", token)
    return Number(value)


def _text(token: _Token) -> Text:
    value = token.text[1:-1]
    # PMML's and Python's escapes differ, so a text holds nothing that would need one
    if not value.isprintable() or any(sign in value for sign in "\"'\\"):
        raise _wrong("a text may not hold quotes, backslashes or line ends", token)
    return Text(value)


def _condition(node: Node, token: _Token) -> Node:
    if not isinstance(node, CONDITIONS):
        raise _wrong(f"{token.text} needs a condition, such as amount > 0", token)
    return node


def _wrong(problem: str, token: _Token, *, near: Collection[str] | None = None) -> ExpressionInvalid:
    message = f"{problem} (character {token.at + 1})"
    if near and (match := get_close_matches(token.text, list(near), n=1, cutoff=0.6)):
        message += f": did you mean {match[0]!r}?"
    return ExpressionInvalid(message, field="expression")
