"""The conditions of a query over the columns of its tables, whatever subqueries lie between.

A condition of an outer SELECT is carried down to the tables inside its subqueries, with a note of
where it does not limit what they read: below a window, an aggregate or a LIMIT, and where the row may
come from the empty side of an outer join.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, product

from sqlglot import exp

from mlopslib.sql.blocks import Block, Query, Source
from mlopslib.sql.dialect import Impala

#: a column of one occurrence of a table: (number of the occurrence, column)
Variable = tuple[int, str]

#: combinations of union branches that one condition is written out for; above it, it limits nothing
_MAX_ALTERNATIVES = 64
#: functions whose value is one of the values of their argument
_ONE_OF = (exp.Max, exp.Min, exp.FirstValue, exp.LastValue, exp.Lag, exp.Lead)


@dataclass(frozen=True)
class Reach:
    """How a condition reaches one occurrence of a table."""

    #: it limits the rows that are read
    is_limiting: bool
    #: occurrences whose columns are all NULL together, where an outer join finds no partner
    empty_sides: tuple[frozenset[int], ...] = ()


@dataclass
class Condition:
    """One condition, for one choice of branches of the unions below it."""

    #: columns are named by `variable_name`; `opaque` stands where a value cannot be followed
    formula: exp.Expr
    reach: dict[int, Reach]
    #: its AND terms as they were written, in the order of those of `formula`
    terms: tuple[str, ...]
    choice: dict[int, int] = field(default_factory=dict)


OPAQUE = "opaque"


def variable_name(variable: Variable) -> str:
    return f"v{variable[0]}__{variable[1]}"


def variable_of(column: exp.Column) -> Variable | None:
    head, _, name = column.name.partition("__")
    return (int(head[1:]), name) if head[1:].isdigit() else None


def variables_in(formula: exp.Expr) -> set[Variable]:
    found = (variable_of(column) for column in formula.find_all(exp.Column))
    return {variable for variable in found if variable is not None}


def is_opaque(formula: exp.Expr) -> bool:
    return any(column.name == OPAQUE for column in formula.find_all(exp.Column))


def and_terms(formula: exp.Expr) -> list[exp.Expr]:
    if isinstance(formula, exp.Paren):
        return and_terms(formula.this)
    if isinstance(formula, exp.And):
        return and_terms(formula.args["this"]) + and_terms(formula.args["expression"])
    return [formula]


def conditions_of(query: Query) -> list[list[Condition]]:
    """Every condition of a query, each as its alternatives: one for each choice of union branches."""
    return _Collector(query).collect()


@dataclass
class _Value:
    """An expression over variables, and how its variables were reached."""

    node: exp.Expr
    reach: dict[int, Reach]
    choice: dict[int, int]


class _Collector:
    def __init__(self, query: Query) -> None:
        self.query = query
        self._under: dict[int, frozenset[int]] = {}

    def collect(self) -> list[list[Condition]]:
        found = []
        for block in self.query.blocks:
            for formula, limited, at in self._formulas(block):
                found.append(self._alternatives(formula, block, limited, at))
                for part in formula.find_all(exp.In):
                    inner = block.nested.get(id(part.args.get("query")))
                    if inner:
                        found.append(self._membership(part, block, inner))
        return [alternatives for alternatives in found if alternatives]

    def _formulas(self, block: Block) -> Iterator[tuple[exp.Expr, list[Source], Source | None]]:
        """Conditions of a block, the sources whose rows each limits, and the join that it belongs to."""
        before: list[Source] = []
        for source in block.sources.values():
            if source.on is not None:
                everything = [*before, source]
                limited = {
                    "LEFT": [source],
                    "ANTI": [source],
                    "RIGHT": before,
                    "FULL": [],
                }.get(source.side, everything)
                yield source.on, list(limited), source
            before.append(source)
        for part in ("where", "having"):
            if (node := block.select.args.get(part)) is not None:
                yield node.this, list(block.sources.values()), None

    def _alternatives(
        self, formula: exp.Expr, block: Block, limited: list[Source], at: Source | None
    ) -> list[Condition]:
        allowed = frozenset[int]().union(*(self.under(source) for source in limited))
        values = self._expand(formula, block, at)
        terms = tuple(term.sql(dialect=Impala) for term in and_terms(formula))
        return [
            Condition(
                value.node,
                {
                    number: reach if number in allowed else Reach(False)
                    for number, reach in value.reach.items()
                },
                terms,
                value.choice,
            )
            for value in values
        ]

    def _membership(self, node: exp.In, block: Block, inner: list[Block]) -> list[Condition]:
        """``x IN (SELECT y ..)`` asks the inner query for nothing but rows with y = x, NOT IN as well."""
        found = []
        for branch in inner:
            output = next(iter(branch.outputs.values()))
            for left, right in product(self._expand(node.this, block), self._output(output, branch)):
                reach = {number: Reach(False) for number in left.reach} | right.reach
                formula = exp.EQ(this=left.node.copy(), expression=right.node.copy())
                terms = (node.sql(dialect=Impala),)
                found.append(Condition(formula, reach, terms, left.choice | right.choice))
        return found

    def under(self, source: Source) -> frozenset[int]:
        """Numbers of the occurrences whose rows a source passes on."""
        if id(source) not in self._under:
            numbers = {source.number} if source.table is not None else set()
            for block in source.blocks:
                for inner in block.sources.values():
                    numbers |= self.under(inner)
            self._under[id(source)] = frozenset(numbers)
        return self._under[id(source)]

    def _expand(self, node: exp.Expr, block: Block, at: Source | None = None) -> list[_Value]:
        """An expression of a block over the columns of the tables; [] where there are too many ways."""
        tree = exp.Paren(this=node.copy())
        spots: list[tuple[exp.Expr, list[_Value]]] = []
        self._spots(node, tree.this, block, at, spots)
        ways = 1
        for _, values in spots:
            ways *= max(1, len(values))
        if ways > _MAX_ALTERNATIVES:
            return []
        found = []
        for chosen in product(*(values for _, values in spots)):
            choice: dict[int, int] = {}
            if any(choice.setdefault(key, at) != at for value in chosen for key, at in value.choice.items()):
                continue
            reach = _merged([value.reach for value in chosen])
            found.append(_Value(_filled(tree, spots, list(chosen)), reach, choice))
        return found

    def _spots(
        self,
        node: exp.Expr,
        copy: exp.Expr,
        block: Block,
        at: Source | None,
        spots: list[tuple[exp.Expr, list[_Value]]],
    ) -> None:
        """Where the copy of an expression holds columns and subqueries, and what they stand for."""
        if isinstance(node, exp.In) and node.args.get("query") is not None:
            inner = block.nested.get(id(node.args["query"]), [])
            self._spots(node.this, copy.this, block, at, spots)
            values = [
                _frozen(value) for branch in inner for value in self._output(_first(branch), branch)
            ] or [_opaque()]
            spots.append((copy.args["query"], values))
        elif isinstance(node, exp.Query):
            branches = block.nested.get(id(node), [])
            is_value = not isinstance(node.parent, exp.Exists)
            values = [
                _frozen(value)
                for branch in branches
                if is_value
                for value in self._output(_first(branch), branch)
            ]
            spots.append((copy, values or [_opaque()]))
        elif isinstance(node, exp.Exists | exp.AggFunc | exp.Window):
            spots.append((copy, [_opaque()]))
        elif isinstance(node, exp.Column):
            spots.append((copy, self._column(node, block, at)))
        else:
            for one, other in zip(node.iter_expressions(), copy.iter_expressions(), strict=True):
                self._spots(one, other, block, at, spots)

    def _column(self, column: exp.Column, block: Block, at: Source | None) -> list[_Value]:
        place = block.source_of(column)
        if place is None:
            return [_opaque()]
        owner, source = place
        values = self._of_source(source, column.name)
        if owner is not block:  # a column of a query around this one: its rows are limited there
            return [_frozen(value) for value in values]
        if not _is_nullable(source, owner, at):
            return values
        empty = self.under(source)
        return [
            _Value(
                value.node,
                {
                    number: Reach(reach.is_limiting, (*reach.empty_sides, empty))
                    for number, reach in value.reach.items()
                },
                value.choice,
            )
            for value in values
        ]

    def _of_source(self, source: Source, name: str) -> list[_Value]:
        if source.table is not None:
            variable = (source.number, name.lower())
            return [_Value(exp.column(variable_name(variable)), {source.number: Reach(True)}, {})]
        names = list(source.blocks[0].outputs)
        if name not in names:
            return [_opaque()]
        position = names.index(name)
        found = []
        for number, branch in enumerate(source.blocks):
            output = next(islice(branch.outputs.values(), position, None), None)
            for value in self._output(output, branch) if output is not None else [_opaque()]:
                choice = value.choice | ({id(source): number} if len(source.blocks) > 1 else {})
                found.append(_Value(value.node, value.reach, choice))
        return found

    def _output(self, output: exp.Expr, block: Block) -> list[_Value]:
        """What an output of a block stands for, to a condition outside of the block."""
        node = output
        is_through = _passes_conditions(output, block)
        while isinstance(node, exp.Window | exp.IgnoreNulls | exp.RespectNulls | exp.Filter | exp.Paren):
            node = node.this
        if isinstance(node, _ONE_OF):
            values = self._expand(node.this, block)
        elif isinstance(output, exp.Window) or output.find(exp.AggFunc, exp.Window):
            return [_opaque()]
        else:
            values = self._expand(output, block)
        return [value if is_through else _frozen(value) for value in values] or [_opaque()]


def _first(block: Block) -> exp.Expr:
    return next(iter(block.outputs.values()))


def _passes_conditions(output: exp.Expr, block: Block) -> bool:
    """True where rows with another value of this output change nothing in those that are kept."""
    select = block.select
    if select.args.get("limit") or select.args.get("offset"):
        return False
    if any(isinstance(item, exp.Star) for item in select.expressions):
        return False
    windows = [window for item in select.expressions for window in item.find_all(exp.Window)]
    if any(output not in (window.args.get("partition_by") or ()) for window in windows):
        return False
    group = select.args.get("group")
    if group is not None:
        keys = group.expressions
        return output in keys and not any(
            group.args.get(part) for part in ("rollup", "cube", "grouping_sets")
        )
    return not any(_is_aggregate(node) for item in select.expressions for node in item.find_all(exp.AggFunc))


def _is_aggregate(node: exp.Expr) -> bool:
    parent = node.parent
    while isinstance(parent, exp.IgnoreNulls | exp.RespectNulls | exp.Filter):
        parent = parent.parent
    return not isinstance(parent, exp.Window)


def _is_nullable(source: Source, block: Block, at: Source | None) -> bool:
    """True where an outer join may have put NULLs in the place of a source's row, before the join `at`."""
    if source is at:
        return False
    sources = list(block.sources.values())
    end = sources.index(at) if at is not None else len(sources)
    after = sources[sources.index(source) + 1 : end]
    return source.side in {"LEFT", "FULL"} or any(other.side in {"RIGHT", "FULL"} for other in after)


def _opaque() -> _Value:
    return _Value(exp.column(OPAQUE), {}, {})


def _frozen(value: _Value) -> _Value:
    return _Value(value.node, {number: Reach(False) for number in value.reach}, value.choice)


def _merged(reaches: list[dict[int, Reach]]) -> dict[int, Reach]:
    """Reached in two ways, an occurrence is limited where both limit it."""
    found: dict[int, Reach] = {}
    for reach in reaches:
        for number, item in reach.items():
            known = found.get(number)
            found[number] = (
                item
                if known is None
                else Reach(
                    known.is_limiting and item.is_limiting,
                    tuple(dict.fromkeys((*known.empty_sides, *item.empty_sides))),
                )
            )
    return found


def _filled(tree: exp.Expr, spots: list[tuple[exp.Expr, list[_Value]]], chosen: list[_Value]) -> exp.Expr:
    """A copy of the tree with the chosen expressions in the places of its columns."""
    replaced = {id(spot): value.node for (spot, _), value in zip(spots, chosen, strict=True)}

    def fill(node: exp.Expr) -> exp.Expr:
        if id(node) in replaced:
            new = replaced[id(node)].copy()
            return new if isinstance(new, exp.Column) else exp.Paren(this=new)
        if isinstance(node, exp.In) and id(node.args.get("query")) in replaced:
            inner = replaced[id(node.args["query"])].copy()
            return exp.EQ(this=fill(node.this), expression=exp.Paren(this=inner))
        args = {
            key: (
                [fill(item) if isinstance(item, exp.Expr) else item for item in value]
                if isinstance(value, list)
                else fill(value)
                if isinstance(value, exp.Expr)
                else value
            )
            for key, value in node.args.items()
        }
        return type(node)(**args)

    return fill(tree.args["this"])
