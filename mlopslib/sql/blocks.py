"""A query taken apart: its SELECT blocks, what each reads, and which base columns a name stands for.

A WITH query becomes one set of blocks for each place that reads it, so that "this occurrence of the
table" has a meaning. `*` is written out and every column carries the name of its source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TypeAlias

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify

from mlopslib.dates import date_params
from mlopslib.errors import SqlRejected
from mlopslib.sql.dialect import Impala
from mlopslib.sql.guard import guard_select
from mlopslib.sql.render import parameters_in, render_sql

#: columns of each table by name, with the engine's word for the type
Schema = Mapping[str, Mapping[str, str]]

#: a query that is larger than this when every WITH query is written out is refused
MAX_BLOCKS = 2_000
_UNKNOWN = re.compile(r"Unknown column: \W*(\w+)")
#: for texts that were not rendered: which base month does not matter to their shape
_ANY_MONTH = "202401"

#: WITH queries in reach, each with those that itself can read
Ctes: TypeAlias = "Mapping[str, tuple[exp.Expr, Ctes]]"


@dataclass(eq=False)
class Source:
    """One thing that a FROM reads: an occurrence of a table, or the blocks of a query in its place."""

    alias: str
    table: str | None
    blocks: list[Block]
    #: how it was joined: "", "LEFT", "RIGHT", "FULL", "SEMI", "ANTI"
    side: str
    on: exp.Expr | None
    number: int = 0


@dataclass(eq=False)
class Block:
    """One SELECT."""

    select: exp.Select
    parent: Block | None
    #: where it stands, in words: "the query", "WITH recent", "EXISTS"
    place: str
    sources: dict[str, Source] = field(default_factory=dict)
    #: blocks of the subqueries in its expressions, by the node that holds them
    nested: dict[int, list[Block]] = field(default_factory=dict)

    @property
    def outputs(self) -> dict[str, exp.Expr]:
        """The expressions that it gives, by name."""
        return {item.alias_or_name: item.unalias() for item in self.select.selects}

    def clauses(self) -> list[exp.Expr]:
        """WHERE, GROUP BY, HAVING and ORDER BY, those that are there."""
        found = (self.select.args.get(part) for part in ("where", "group", "having", "order"))
        return [node for node in found if node is not None]

    def source_of(self, column: exp.Column) -> tuple[Block, Source] | None:
        """The source that a qualified column belongs to, here or in a block around this one."""
        block: Block | None = self
        while block is not None:
            if column.table in block.sources:
                return block, block.sources[column.table]
            block = block.parent
        return None


@dataclass(eq=False)
class Query:
    #: the branches of the outermost query, one unless it is a UNION
    branches: list[Block]
    #: every block, outermost first
    blocks: list[Block]

    def occurrences(self) -> Iterator[tuple[Block, Source]]:
        """Each place where a table is read."""
        for block in self.blocks:
            for source in block.sources.values():
                if source.table is not None:
                    yield block, source


def read_query(sql: str, schema: Schema) -> Query:
    """Take a query apart.

    Parameters
    ----------
    sql
        Impala SQL, rendered or not.
    schema
        Columns of the tables that it reads; names are compared without regard to case.

    Raises
    ------
    SqlRejected
        If the guard refuses the text, or a column is in none of its sources, or in more than one.
    """
    if parameters_in(sql):
        sql = render_sql(sql, date_params(_ANY_MONTH))
    tree = guard_select(sql)
    for table in tree.find_all(exp.Table):
        if table.args.get("db"):  # "db.table" is one name here, as in the list of tables
            name = ".".join(part.name for part in table.parts).lower()
            if not table.alias:
                table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name)))
            table.set("db", None)
            table.set("this", exp.to_identifier(name, quoted=True))
    known = {table.lower(): {name.lower(): "string" for name in columns} for table, columns in schema.items()}
    try:
        qualified = qualify(
            tree,
            schema=dict[str, object](known),
            dialect=Impala,
            validate_qualify_columns=False,
            quote_identifiers=False,
        )
        reader = _Reader(known)
        branches = reader.read(qualified, None, "the query", {})
    except SqlglotError as error:
        raise SqlRejected(_not_understood(error, known), field="sql") from error
    except RecursionError as error:
        raise SqlRejected("the query is nested too deeply", field="sql") from error
    return Query(branches, reader.blocks)


class _Reader:
    def __init__(self, known: Mapping[str, Mapping[str, str]]) -> None:
        self.known = known
        self.blocks: list[Block] = []
        self.count = 0

    def read(self, query: exp.Expr, parent: Block | None, place: str, ctes: Ctes) -> list[Block]:
        """The blocks of a query: one for each branch of its unions."""
        ctes = self._with(query, ctes)
        if isinstance(query, exp.Subquery):
            return self.read(query.this, parent, place, ctes)
        if isinstance(query, exp.SetOperation):
            word = type(query).__name__.upper()
            left = self.read(query.left, parent, place, ctes)
            return left + self.read(query.right, parent, f"a branch of {word} in {place}", ctes)
        if not isinstance(query, exp.Select):
            raise SqlRejected("this query cannot be understood: it is no SELECT", field="sql")
        if len(self.blocks) >= MAX_BLOCKS:
            raise SqlRejected(
                f"the query has more than {MAX_BLOCKS:,} SELECTs with its WITH queries written out",
                field="sql",
            )
        block = Block(query, parent, place)
        self.blocks.append(block)
        self._sources(block, ctes)
        self._nested(block, ctes)
        self._check_columns(block)
        return [block]

    def _with(self, query: exp.Expr, ctes: Ctes) -> dict[str, tuple[exp.Expr, Ctes]]:
        known = dict(ctes)
        with_ = query.args.get("with_")
        for cte in with_.expressions if with_ else ():
            known[cte.alias.lower()] = (cte.this, dict(known))
        return known

    def _sources(self, block: Block, ctes: Ctes) -> None:
        select = block.select
        first = select.args.get("from_")
        if first is None:
            return
        self._add(block, first.this, "", None, ctes)
        for join in select.args.get("joins") or ():
            side = (join.side or (join.kind if join.kind in {"SEMI", "ANTI"} else "")).upper()
            if join.kind in {"SEMI", "ANTI"}:
                side = join.kind
            self._add(block, join.this, side, join.args.get("on"), ctes)

    def _add(
        self,
        block: Block,
        item: exp.Expr,
        side: str,
        on: exp.Expr | None,
        ctes: Ctes,
    ) -> None:
        alias = item.alias_or_name
        source = Source(alias, None, [], side, on)
        if isinstance(item, exp.Table) and (name := item.name.lower()) in ctes and "." not in name:
            body, outer = ctes[name]
            source.blocks = self.read(body, None, f"WITH {name}", outer)
        elif isinstance(item, exp.Table):
            self.count += 1
            source.table, source.number = item.name.lower(), self.count
        else:
            place = f"the subquery {alias}" if alias else "a subquery"
            source.blocks = self.read(item, block.parent, place, ctes)
        block.sources[alias] = source
        for join in item.args.get("joins") or ():  # FROM (a JOIN b)
            self._add(block, join.this, (join.side or "").upper(), join.args.get("on"), ctes)

    def _nested(self, block: Block, ctes: Ctes) -> None:
        parts = [*block.select.expressions]
        parts += block.clauses()
        parts += [source.on for source in block.sources.values() if source.on is not None]
        for part in parts:
            for node in subqueries(part):
                block.nested[id(node)] = self.read(node, block, _place(node), ctes)

    def _check_columns(self, block: Block) -> None:
        """Refuse a column that no source has; a source whose columns are unknown may have any."""
        for column in own_columns(block):
            found = block.source_of(column) if column.table else None
            if found is None:
                if not column.table and self._has_unknown_sources(block):
                    continue
                raise SqlRejected(self._not_found(column, block), field="sql")
            names = self._columns(found[1])
            if names is not None and column.name.lower() not in names:
                raise SqlRejected(_no_column(column, names), field="sql")

    def _columns(self, source: Source) -> list[str] | None:
        if source.table is not None:
            table = self.known.get(source.table)
            return None if table is None else list(table)
        names = list(source.blocks[0].outputs)
        return None if "*" in names else [name.lower() for name in names]

    def _not_found(self, column: exp.Column, block: Block) -> str:
        lists = {alias: self._columns(source) or [] for alias, source in block.sources.items()}
        owners = [alias for alias, names in lists.items() if column.name.lower() in names]
        if not column.table and len(owners) > 1:
            return f"{column.name!r} is in {' and in '.join(owners)}: write {owners[0]}.{column.name}"
        return _no_column(column, [name for names in lists.values() for name in names])

    def _has_unknown_sources(self, block: Block) -> bool:
        return any(self._columns(source) is None for source in block.sources.values())


def subqueries(node: exp.Expr) -> Iterator[exp.Expr]:
    """The outermost subqueries of an expression."""
    if isinstance(node, exp.Query):
        yield node
        return
    for child in node.iter_expressions():
        yield from subqueries(child)


def own_columns(block: Block) -> Iterator[exp.Column]:
    """Columns that a block itself names, outside of its FROM and of its subqueries."""
    for item in block.select.expressions:
        yield from columns_of(item)
    for clause in block.clauses():
        for column in columns_of(clause):
            # ORDER BY may name an output
            if column.table or not isinstance(clause, exp.Order) or column.name not in block.outputs:
                yield column
    for source in block.sources.values():
        if source.on is not None:
            yield from columns_of(source.on)


def columns_of(node: exp.Expr) -> Iterator[exp.Column]:
    """Columns of an expression, without those inside its subqueries."""
    if isinstance(node, exp.Query):
        return
    if isinstance(node, exp.Column):
        if not isinstance(node.this, exp.Star):
            yield node
        return
    for child in node.iter_expressions():
        yield from columns_of(child)


def _place(node: exp.Expr) -> str:
    parent = node.parent
    while isinstance(parent, exp.Subquery | exp.Paren):
        parent = parent.parent
    if isinstance(parent, exp.Exists):
        return "NOT EXISTS" if isinstance(parent.parent, exp.Not) else "EXISTS"
    if isinstance(parent, exp.In):
        return "NOT IN" if isinstance(parent.parent, exp.Not) else "IN"
    return "a subquery that gives one value"


def _no_column(column: exp.Column, names: list[str]) -> str:
    near = get_close_matches(column.name.lower(), names, n=1, cutoff=0.6)
    hint = f": did you mean {near[0]!r}?" if near else ""
    written = f"{column.table}.{column.name}" if column.table else column.name
    return f"no column is called {written!r}{hint}"


def _not_understood(error: SqlglotError, known: Mapping[str, Mapping[str, str]]) -> str:
    said = str(error).splitlines()[0]
    if unknown := _UNKNOWN.search(said):
        column = exp.column(unknown[1])
        return _no_column(column, [name for columns in known.values() for name in columns])
    return f"this query cannot be understood: {said}"
