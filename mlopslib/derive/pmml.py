"""An expression as text for sklearn2pmml, in the one shape that every PMML engine reads alike.

Measured with pypmml and JPMML: plain ``and``, ``or`` and comparisons of missing values fail or differ, a
division by zero is infinite instead of missing, and an integer ``0`` is not equal to ``0.0``. So each node
is written with what follows it (when it has a value, when it is missing), and every test becomes an if
around the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mlopslib.derive.expression import (
    CONDITIONS,
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
    Number,
    OneOf,
    Text,
)
from mlopslib.derive.rowwise import EXP_LIMIT
from mlopslib.errors import ExpressionInvalid

MAX_TEXT = 100_000
MAX_PARTS = 20_000

#: what the ifs around a place already know: column -> it is present
Known = Mapping[str, bool]
WithValue = Callable[[Known, str], str]
Then = Callable[[Known], str]

_CALLS = {"log": "numpy.log", "exp": "numpy.exp", "sqrt": "numpy.sqrt", "floor": "numpy.floor", "abs": "abs"}
_GUARDS = {"log": "<= 0.0", "sqrt": "< 0.0", "exp": f"> {EXP_LIMIT!r}"}


def sklearn2pmml_text(node: Node) -> str:
    """The whole expression. Raises ExpressionInvalid where it would grow out of proportion."""
    try:
        return _Writer().value(node, {}, lambda known, text: text, lambda known: "None")
    except RecursionError as error:
        raise _too_large() from error


class _Writer:
    def __init__(self) -> None:
        self._parts = 0

    def value(self, node: Node, known: Known, found: WithValue, missing: Then) -> str:
        """Text of `node`, continued by `found` with its value or by `missing`."""
        self._count()
        match node:
            case Number(number):
                return found(known, repr(number))
            case Text(text):
                return found(known, f'"{text}"')
            case Column(name):
                return self._column(name, known, found, missing)
            case Negate(inner):
                return self.value(inner, known, lambda k, x: found(k, f"(-1.0 * {x})"), missing)
            case Arithmetic(operator, left, right):
                return self._both(
                    left,
                    right,
                    known,
                    lambda k, a, b: self._arithmetic(operator, a, b, k, found, missing),
                    missing,
                )
            case Call("min" | "max" as name, arguments):
                return self._extreme("<=" if name == "min" else ">=", arguments, known, found, missing)
            case Call(name, arguments):
                return self.value(
                    arguments[0], known, lambda k, x: self._call(name, x, k, found, missing), missing
                )
            case If(condition, yes, no):
                return self.condition(
                    condition,
                    known,
                    lambda k: self.value(yes, k, found, missing),
                    lambda k: self.value(no, k, found, missing),
                    missing,
                )
            case Coalesce(values):
                rest = values[1:]
                after = missing if not rest else lambda k: self.value(Coalesce(rest), k, found, missing)
                return self.value(values[0], known, found, after)
            case Compare() | OneOf():
                # no branch of its own, so that a sum of flags does not double with each
                return self._test(node, known, lambda k, test: found(k, f"(1.0 if {test} else 0.0)"), missing)
            case _:
                return self.condition(
                    node, known, lambda k: found(k, "1.0"), lambda k: found(k, "0.0"), missing
                )

    def condition(self, node: Node, known: Known, yes: Then, no: Then, missing: Then) -> str:
        """Text that goes on with `yes`, `no` or `missing`."""
        self._count()
        match node:
            case Compare() | OneOf():
                return self._test(node, known, lambda k, test: self._when(test, yes(k), no(k)), missing)
            case Not(value):
                return self.condition(value, known, no, yes, missing)
            case Logic("and", left, right):
                return self._logic(left, right, known, (yes, no, missing), decisive=False)
            case Logic(_, left, right):
                return self._logic(left, right, known, (yes, no, missing), decisive=True)
            case IsMissing(value):
                return self.value(value, known, lambda k, x: no(k), yes)
            case _:
                raise TypeError(f"{node!r} is not one of {CONDITIONS}")

    def _test(self, node: Compare | OneOf, known: Known, found: WithValue, missing: Then) -> str:
        if isinstance(node, Compare):
            sign = node.operator
            return self._both(
                node.left, node.right, known, lambda k, a, b: found(k, f"{a} {sign} {b}"), missing
            )
        options = (f'"{one.value}"' if isinstance(one, Text) else repr(one.value) for one in node.options)
        listed = f"[{', '.join(options)}]"
        return self.value(node.value, known, lambda k, x: found(k, f"{x} in {listed}"), missing)

    def _logic(
        self, left: Node, right: Node, known: Known, then: tuple[Then, Then, Then], *, decisive: bool
    ) -> str:
        yes, no, missing = then

        def second(if_yes: Then, if_no: Then) -> Then:
            return lambda k: self.condition(right, k, if_yes, if_no, missing)

        if decisive:  # or: one true is enough
            return self.condition(left, known, yes, second(yes, no), second(yes, missing))
        return self.condition(left, known, second(yes, no), no, second(missing, no))

    def _column(self, name: str, known: Known, found: WithValue, missing: Then) -> str:
        text = f'X["{name}"]'
        if name in known:
            return found(known, text) if known[name] else missing(known)
        absent = missing({**known, name: False})
        present = found({**known, name: True}, text)
        return self._when(f"pandas.isnull({text})", absent, present)

    def _both(
        self, left: Node, right: Node, known: Known, then: Callable[[Known, str, str], str], missing: Then
    ) -> str:
        return self.value(
            left, known, lambda k, a: self.value(right, k, lambda k2, b: then(k2, a, b), missing), missing
        )

    def _arithmetic(
        self, operator: str, a: str, b: str, known: Known, found: WithValue, missing: Then
    ) -> str:
        result = found(known, f"({a} {operator} {b})")
        if operator != "/" or _is_literal(b):
            return result
        return self._when(f"{b} == 0.0", missing(known), result)

    def _call(self, name: str, x: str, known: Known, found: WithValue, missing: Then) -> str:
        result = found(known, f"{_CALLS[name]}({x})")
        if name not in _GUARDS:
            return result
        return self._when(f"{x} {_GUARDS[name]}", missing(known), result)

    def _extreme(
        self, test: str, arguments: tuple[Node, ...], known: Known, found: WithValue, missing: Then
    ) -> str:
        """The first argument against the second, the better one against the rest."""

        def against(best: str, rest: tuple[Node, ...], k: Known) -> str:
            self._count()
            if not rest:
                return found(k, best)
            return self.value(
                rest[0],
                k,
                lambda k2, x: against(f"({best} if {best} {test} {x} else {x})", rest[1:], k2),
                missing,
            )

        return self.value(arguments[0], known, lambda k, x: against(x, arguments[1:], k), missing)

    def _when(self, test: str, yes: str, no: str) -> str:
        if len(test) + len(yes) + len(no) > MAX_TEXT:
            raise _too_large()
        return yes if yes == no else f"({yes} if {test} else {no})"

    def _count(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise _too_large()


def _is_literal(text: str) -> bool:
    return text.replace(".", "").replace("e", "").replace("+", "").replace("-", "").isdigit()


def _too_large() -> ExpressionInvalid:
    return ExpressionInvalid(
        "the expression has too many branches for PMML: make two variables of it", field="expression"
    )
