"""Which columns of which tables a query is computed from."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from sqlglot import exp

from mlopslib.sql.blocks import Block, Schema, Source, columns_of, read_query, subqueries

#: a column of a table
Origin = tuple[str, str]


def sources_of(sql: str, schema: Schema) -> dict[str, frozenset[Origin]]:
    """The table columns that the values of each output column are computed from.

    WITH queries, subqueries, unions, joins and `*` are followed down to the tables. A window function
    is computed from what it is partitioned and ordered by as well; a subquery that gives one value,
    from what it selects. Columns that only decide which rows there are: `filters_of`.

    Parameters
    ----------
    sql
        Impala SQL, rendered or not.
    schema
        Columns of each table, with their types.

    Returns
    -------
    dict
        Output column to a set of (table, column), in the order of the SELECT; ``COUNT(*)`` has none.

    Raises
    ------
    SqlRejected
        If the guard refuses the query, or a column is in none of its sources.

    Examples
    --------
    >>> found = sources_of(
    ...     "with t as (select id, amt * rate as won from txn) select id, sum(won) as s from t group by id",
    ...     {"txn": {"id": "varchar", "amt": "double", "rate": "double"}},
    ... )
    >>> sorted(found["s"])
    [('txn', 'amt'), ('txn', 'rate')]
    """
    query = read_query(sql, schema)
    origins = _Origins()
    found: dict[str, set[Origin]] = {name: set() for name in query.branches[0].outputs}
    for branch in query.branches:
        # the branches of a union are matched by place, named by the first
        for name, expression in zip(found, branch.outputs.values(), strict=False):
            found[name] |= origins.of(expression, branch)
    return {name: frozenset(columns) for name, columns in found.items()}


def filters_of(sql: str, schema: Schema) -> frozenset[Origin]:
    """The table columns that decide which rows a query reads and how it groups and joins them.

    Those of WHERE, ON, GROUP BY, HAVING and ORDER BY, in the query and in everything that it reads.

    Examples
    --------
    >>> schema = {"txn": {"id": "varchar", "amt": "double", "ym": "varchar"}}
    >>> sorted(filters_of("select id, sum(amt) as s from txn where ym = '{base_ym}' group by id", schema))
    [('txn', 'id'), ('txn', 'ym')]
    """
    query = read_query(sql, schema)
    origins = _Origins()
    found: set[Origin] = set()
    for block in query.blocks:
        joins = [source.on for source in block.sources.values() if source.on is not None]
        for part in [*block.clauses(), *joins]:
            found |= origins.of(part, block)
    return frozenset(found)


class _Origins:
    def __init__(self) -> None:
        self._known: dict[tuple[int, str], frozenset[Origin]] = {}

    def of(self, node: exp.Expr, block: Block) -> set[Origin]:
        found: set[Origin] = set()
        for column in columns_of(node):
            found |= self._column(column, block)
        for subquery in subqueries(node):
            for inner in block.nested.get(id(subquery), ()):
                for expression in inner.outputs.values():
                    found |= self.of(expression, inner)
        return found

    def _column(self, column: exp.Column, block: Block) -> AbstractSet[Origin]:
        place = block.source_of(column)
        if place is None:
            # ORDER BY an output of the same block, or a source whose columns are not known
            expression = block.outputs.get(column.name)
            if expression is None or column in expression.walk():
                return set()
            return self.of(expression, block)
        return self._of_source(place[1], column.name)

    def _of_source(self, source: Source, name: str) -> frozenset[Origin]:
        if source.table is not None:
            return frozenset({(source.table, name.lower())})
        key = (id(source), name)
        if key not in self._known:
            found: set[Origin] = set()
            names = list(source.blocks[0].outputs)
            position = names.index(name) if name in names else None
            for branch in source.blocks:
                outputs = list(branch.outputs.values())
                if position is not None and position < len(outputs):
                    found |= self.of(outputs[position], branch)
            self._known[key] = frozenset(found)
        return self._known[key]
