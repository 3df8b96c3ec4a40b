"""The dates that each occurrence of a table can have in a query, from its conditions and its joins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from sqlglot import exp

from mlopslib.sql.conditions import (
    OPAQUE,
    Condition,
    Variable,
    and_terms,
    is_opaque,
    variable_of,
    variables_in,
)
from mlopslib.sql.datecolumns import Writing
from mlopslib.sql.probes import Mask, Probes, column

#: dates travel from table to table over joins; a chain that is longer than this is left where it stands
_ROUNDS = 12
#: parts of a date that come again every day: they end nothing, and no list of dates holds all of them
_TIMES_OF_DAY = (exp.Hour, exp.Minute, exp.Second)
#: a comparison with NULL is never true
_STRICT = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Between, exp.Like, exp.ILike, exp.In)


@dataclass
class Dates:
    """What is left of a column's dates, and which conditions took the rest away."""

    writing: Writing
    mask: Mask
    reasons: list[str] = field(default_factory=list)


def solve(
    alternatives: list[list[Condition]],
    writings: Mapping[Variable, Writing],
    within: Mapping[int, Mapping[int, int]],
    probes: Probes,
) -> dict[Variable, Dates]:
    """Narrow the dates of every variable until nothing moves.

    Parameters
    ----------
    alternatives
        The conditions of a query (`mlopslib.sql.conditions.conditions_of`).
    writings
        How each date column of each occurrence is written.
    within
        For each occurrence, in which branch of which union it stands.
    probes
        The dates to ask for.
    """
    return _Solver(writings, within, probes).solve(alternatives)


class _Solver:
    def __init__(
        self,
        writings: Mapping[Variable, Writing],
        within: Mapping[int, Mapping[int, int]],
        probes: Probes,
    ) -> None:
        self.probes, self.within = probes, within
        self.dates = {
            variable: Dates(writing, probes.everything(writing)) for variable, writing in writings.items()
        }
        self._rejects: dict[tuple[int, frozenset[int]], bool] = {}

    def solve(self, alternatives: list[list[Condition]]) -> dict[Variable, Dates]:
        for _ in range(_ROUNDS):
            moved = False
            for conditions in alternatives:
                for variable in {v for c in conditions for v in variables_in(c.formula) if v in self.dates}:
                    moved |= self._narrow(variable, conditions)
            if not moved:
                break
        return self.dates

    def _narrow(self, variable: Variable, conditions: list[Condition]) -> bool:
        """Keep the dates for which one of the alternatives can hold."""
        dates = self.dates[variable]
        kept = np.zeros_like(dates.mask)
        place = self.within.get(variable[0], {})
        for condition in conditions:
            if any(place.get(union, branch) != branch for union, branch in condition.choice.items()):
                continue
            reach = condition.reach.get(variable[0])
            is_limiting = reach is not None and reach.is_limiting
            if not is_limiting or not all(self._rejects_empty(condition, side) for side in reach.empty_sides):  # type: ignore[union-attr]
                return False
            kept |= self._holds(condition.formula, variable, wanted=True)
        if not conditions or bool((dates.mask & ~kept).any()) is False:
            return False
        dates.mask &= kept
        told = zip(and_terms(conditions[0].formula), conditions[0].terms, strict=False)
        dates.reasons += [
            text for term, text in told if variable in variables_in(term) and text not in dates.reasons
        ]
        return True

    def _holds(self, node: exp.Expr, variable: Variable, *, wanted: bool) -> Mask:
        """Dates of a variable for which a formula can be true (or false, where `wanted` is False)."""
        dates = self.dates[variable]
        if isinstance(node, exp.Paren):
            return self._holds(node.this, variable, wanted=wanted)
        if isinstance(node, exp.Not):
            return self._holds(node.this, variable, wanted=not wanted)
        if isinstance(node, exp.And | exp.Or):
            left = self._holds(node.args["this"], variable, wanted=wanted)
            right = self._holds(node.args["expression"], variable, wanted=wanted)
            return left & right if isinstance(node, exp.And) is wanted else left | right
        found = self._atom(node if wanted else exp.Not(this=exp.Paren(this=node.copy())), variable)
        return self.probes.everything(dates.writing) if found is None else found

    def _atom(self, node: exp.Expr, variable: Variable) -> Mask | None:
        """Dates for which one comparison can hold; None where it says nothing about the variable."""
        names = variables_in(node)
        if is_opaque(node) or any(name not in self.dates for name in names) or len(names) > 2:
            return None
        if names and _is_of_the_day(node):
            return None
        writing = self.dates[variable].writing
        if not names:
            known, value = self.probes.value(node)
            return np.full(self.probes.size(writing), bool(value), dtype=np.bool_) if known else None
        if names == {variable}:
            return self.probes.holds(_asked(node, {variable: "a"}), writing)
        if variable not in names:
            # what it asks of another row's date holds for some date of it, or for none
            return None
        (other,) = names - {variable}
        there = self.dates[other]
        pairs = self.probes.pairs(_asked(node, {variable: "a", other: "b"}), writing, there.writing)
        return None if pairs is None else np.asarray(pairs[:, there.mask].any(axis=1), dtype=np.bool_)

    def _rejects_empty(self, condition: Condition, side: frozenset[int]) -> bool:
        """True where the condition cannot hold when all columns of an outer join's side are NULL."""
        key = (id(condition), side)
        if key not in self._rejects:
            self._rejects[key] = not self._may_hold(condition.formula, side, wanted=True)
        return self._rejects[key]

    def _may_hold(self, node: exp.Expr, side: frozenset[int], *, wanted: bool) -> bool:
        if isinstance(node, exp.Paren):
            return self._may_hold(node.this, side, wanted=wanted)
        if isinstance(node, exp.Not):
            return self._may_hold(node.this, side, wanted=not wanted)
        if isinstance(node, exp.And | exp.Or):
            left = self._may_hold(node.args["this"], side, wanted=wanted)
            right = self._may_hold(node.args["expression"], side, wanted=wanted)
            return (left and right) if isinstance(node, exp.And) is wanted else (left or right)
        return self._atom_may_hold(node, side, wanted=wanted)

    def _atom_may_hold(self, node: exp.Expr, side: frozenset[int], *, wanted: bool) -> bool:
        emptied = node.transform(
            lambda part: exp.null() if isinstance(part, exp.Column) and _is_in(part, side) else part
        )
        if emptied.find(exp.Column) is None:
            known, value = self.probes.value(emptied)
            return not known or (value is not None and bool(value) is wanted)
        if not isinstance(emptied, _STRICT):
            return True
        operands = [emptied.this]
        if isinstance(emptied, exp.Binary):
            operands.append(emptied.expression)
        # a comparison whose one side is NULL is neither true nor false
        return not any(self._is_null(operand) for operand in operands)

    def _is_null(self, node: exp.Expr) -> bool:
        if node.find(exp.Column) is not None:
            return False
        known, value = self.probes.value(node)
        return known and value is None


def _is_of_the_day(node: exp.Expr) -> bool:
    """True where a comparison asks for a time of day."""
    if node.find(*_TIMES_OF_DAY) is not None:
        return True
    if any(part.name.upper() in {"HOUR", "MINUTE", "SECOND"} for part in node.find_all(exp.Extract)):
        return True
    written = [part.text("format") for part in node.find_all(exp.TimeToStr)]
    if any("%Y" not in form and ("%H" in form or "%M" in form) for form in written):
        return True
    # seconds since 1970, less whole days or hours
    return any(rest.find(exp.TimeToUnix, exp.StrToUnix) is not None for rest in node.find_all(exp.Mod))


def _is_in(part: exp.Column, side: frozenset[int]) -> bool:
    variable = variable_of(part) if part.name != OPAQUE else None
    return variable is not None and variable[0] in side


def _asked(node: exp.Expr, names: Mapping[Variable, str]) -> exp.Expr:
    """The condition with the columns of the probes in the place of its variables."""

    def ask(part: exp.Expr) -> exp.Expr:
        variable = variable_of(part) if isinstance(part, exp.Column) and part.name != OPAQUE else None
        return column(names[variable]) if variable in names else part  # type: ignore[index]

    return node.transform(ask)
