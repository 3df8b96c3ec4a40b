"""The tree of a derived variable's expression."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Value = float | str | None
#: one row in, one number out; NaN is missing
Closure = Callable[[Mapping[str, Value]], float]


@dataclass(frozen=True)
class Number:
    value: float


@dataclass(frozen=True)
class Text:
    value: str


@dataclass(frozen=True)
class Column:
    name: str


@dataclass(frozen=True)
class Negate:
    value: Node


@dataclass(frozen=True)
class Arithmetic:
    operator: Literal["+", "-", "*", "/"]
    left: Node
    right: Node


@dataclass(frozen=True)
class Call:
    """A function that is missing when an argument is: min, max, log, exp, sqrt, abs, floor."""

    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class If:
    condition: Node
    yes: Node
    no: Node


@dataclass(frozen=True)
class Coalesce:
    values: tuple[Node, ...]


@dataclass(frozen=True)
class Compare:
    operator: Literal["==", "!=", "<", "<=", ">", ">="]
    left: Node
    right: Node


@dataclass(frozen=True)
class OneOf:
    value: Node
    options: tuple[Number | Text, ...]


@dataclass(frozen=True)
class Not:
    value: Node


@dataclass(frozen=True)
class Logic:
    operator: Literal["and", "or"]
    left: Node
    right: Node


@dataclass(frozen=True)
class IsMissing:
    value: Node


Node = (
    Number
    | Text
    | Column
    | Negate
    | Arithmetic
    | Call
    | If
    | Coalesce
    | Compare
    | OneOf
    | Not
    | Logic
    | IsMissing
)
#: nodes that are true or false; as a number they are 1 or 0
CONDITIONS = (Compare, OneOf, Not, Logic, IsMissing)


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, from left to right."""
    yield node
    for part in fields(node):
        value: Any = getattr(node, part.name)
        for child in value if isinstance(value, tuple) else (value,):
            if isinstance(child, Node):
                yield from walk(child)


@dataclass(frozen=True)
class Expression:
    """A derived variable: one definition, used in training, in batch, in serving and in PMML.

    Attributes
    ----------
    text
        What the person wrote.
    columns
        Columns that it reads, each once, in the order of their first use.
    category_columns
        Those among them that it reads as texts.

    Notes
    -----
    The values are IEEE doubles and missing. Missing propagates through arithmetic, functions and
    comparisons; ``x / 0``, ``log(x <= 0)``, ``sqrt(x < 0)`` and an ``exp`` that overflows are missing.
    ``and`` and ``or`` follow SQL: ``false and missing`` is false, ``true or missing`` is true. An ``if``
    whose condition is missing is missing; the branch not taken does not matter. Only ``is_missing`` and
    ``coalesce`` turn missing into something else. A condition as a number is 1 or 0.

    A category that the model has not seen must be made missing *before* its expressions are computed:
    PMML does so, and the three forms below agree only on the same input.
    """

    text: str
    node: Node
    columns: tuple[str, ...]
    category_columns: frozenset[str]

    def to_numpy(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Compute for whole columns.

        Parameters
        ----------
        columns
            Arrays of one length by name: numbers as float64 with NaN for missing, categories as object
            arrays with None (or NaN) for missing. Columns that the expression does not read are ignored.

        Returns
        -------
        numpy.ndarray of float64, shape (n,)
            NaN where the result is missing.

        Raises
        ------
        ExpressionInvalid
            If a column is not given, or a number column holds texts.

        Examples
        --------
        >>> import numpy as np
        >>> from mlopslib.derive import parse_expression
        >>> parse_expression("amt / cnt").to_numpy(
        ...     {"amt": np.array([10.0, 5.0, np.nan]), "cnt": np.array([4.0, 0.0, 1.0])}
        ... )
        array([2.5, nan, nan])
        """
        from mlopslib.derive.columnwise import evaluate

        return evaluate(self, columns)

    def to_closure(self) -> Closure:
        """A function of one row, for serving. Bit for bit the numbers of `to_numpy`.

        A key that the row lacks, None and NaN are all missing.

        Examples
        --------
        >>> from mlopslib.derive import parse_expression
        >>> score = parse_expression("if(kind in ('A', 'B'), amt * 2, 0)").to_closure()
        >>> score({"kind": "B", "amt": 3.5}), score({"kind": "Z", "amt": None}), score({"amt": 1.0})
        (7.0, 0.0, nan)
        """
        from mlopslib.derive.rowwise import compile_node

        return compile_node(self.node)

    def to_sklearn2pmml(self) -> tuple[list[str], str]:
        """Columns and text for sklearn2pmml's ``ExpressionTransformer(text, dtype=float)``.

        The text names columns as ``X["name"]``, tests every column for missing and every divisor for
        ``0.0`` in nested ifs before it is used, and has no ``and`` or ``or``: the form on which pypmml,
        JPMML and Python agree.

        Examples
        --------
        >>> from mlopslib.derive import parse_expression
        >>> parse_expression("1 / a").to_sklearn2pmml()
        (['a'], '(None if pandas.isnull(X["a"]) else (None if X["a"] == 0.0 else (1.0 / X["a"])))')
        """
        from mlopslib.derive.pmml import sklearn2pmml_text

        return list(self.columns), sklearn2pmml_text(self.node)
