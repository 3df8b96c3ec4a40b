"""The text that each engine gets for one guarded query."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import sqlglot
from sqlglot import exp
from sqlglot.dialects.hive import Hive
from sqlglot.errors import SqlglotError
from sqlglot.generators.hive import HiveGenerator
from sqlglot.parsers.hive import HiveParser

from mlopslib.errors import SqlRejected
from mlopslib.sql.guard import guard_select, to_duckdb, to_spark
from mlopslib.sql.impala import ImpalaSql

Engine = Literal["duckdb", "impala", "hive", "spark"]
Q = TypeVar("Q", bound=exp.Expr)


def to_engine(query: str | exp.Query, engine: str, *, limit: int | None = None) -> str:
    """The text of a query for an engine, giving at most `limit` rows.

    Impala gets its own SQL back, printed from the parsed text: function names and their arguments stay as
    the author wrote them, comments are gone, so nothing that the guard did not see can reach the engine.
    The others get a translation that gives the same values.

    Raises
    ------
    SqlRejected
        If the text does not pass `guard_select`, or cannot be said in the engine's SQL.

    Examples
    --------
    >>> to_engine("select zeroifnull(x) y, add_months(d, -3) /* d */ from t", "impala")
    'SELECT ZEROIFNULL(x) AS y, ADD_MONTHS(d, -3) FROM t'
    >>> to_engine("select zeroifnull(x) y from t", "spark")
    'SELECT COALESCE(`x`, 0) AS `y` FROM `t`'
    >>> to_engine("select x from t order by x limit 50", "impala", limit=10)
    'SELECT x FROM t ORDER BY x LIMIT 10'
    """
    tree = guard_select(query) if isinstance(query, str) else query
    try:
        if engine == "impala" and isinstance(query, str):
            as_written = sqlglot.parse_one(query, dialect=ImpalaText)
            return _limited(as_written, limit).sql(dialect=ImpalaText, comments=False)
        tree = _limited(tree, limit)
        if engine == "duckdb":
            return to_duckdb(tree)
        if engine == "spark":
            return to_spark(tree)
        if engine == "impala":
            return tree.sql(dialect=ImpalaSql, identify=True, comments=False)
        return tree.sql(dialect="hive", comments=False)
    except (SqlglotError, RecursionError) as error:
        first = str(error).strip().splitlines()[0]
        raise SqlRejected(
            f"this query cannot be said in the SQL of {engine}: {first}", field="sql"
        ) from error


def _limited(query: Q, rows: int | None) -> Q:
    """A query that gives at most `rows`; its order stays, and a limit of its own that is smaller."""
    if rows is None:
        return query
    own = query.args.get("limit")
    if own is not None:
        count = own.args.get("expression")
        if not isinstance(count, exp.Literal) or int(count.name) <= rows:
            return query
    query = query.copy()
    query.set("limit", exp.Limit(expression=exp.Literal.number(rows)))
    return query


class ImpalaText(Hive):
    """Impala SQL read only to be printed again: a function is a name with arguments, nothing more."""

    NULL_ORDERING = "nulls_are_large"

    class Parser(HiveParser):
        FUNCTIONS = {}

    class Generator(HiveGenerator):
        def interval_sql(self, expression: exp.Interval) -> str:
            """Impala counts an interval with a number, where the parser keeps a text."""
            value: Any = expression.this
            if isinstance(value, exp.Literal) and value.is_string:
                value = exp.Literal.number(value.name)
            return f"INTERVAL {self.sql(value)} {self.sql(expression, 'unit')}"
