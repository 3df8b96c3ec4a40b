"""What a feature query may be: one SELECT over known tables, with known functions."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches

import sqlglot
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import TokenType

from mlopslib.errors import SqlRejected, TableNotFound
from mlopslib.sql.allowed import FUNCTIONS, NODES, NOT_REPEATABLE, function_names
from mlopslib.sql.dialect import Impala
from mlopslib.sql.embedded import Embedded
from mlopslib.sql.spark import SparkSql

#: longer texts are refused before they are parsed
MAX_CHARACTERS = 100_000
_TABLE_PARTS = {"this", "db", "alias", "joins"}
#: names that an engine answers by itself where no table has a column of that name, quoted or not
_OF_THE_SESSION = frozenset(
    {
        *("current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"),
        *("current_user", "session_user", "current_role", "current_catalog", "current_schema"),
    }
)
#: how the parser shows a token in a message, and the place that it names at the end
_TOKEN = re.compile(r"<Token token_type: \S+, text: (.*?), line: \d+, col: \d+, .*?>")
_PLACE = re.compile(r"\.? Line (\d+), Col: (\d+)\.?$")


def guard_select(sql: str, *, tables: Collection[str] | None = None) -> exp.Query:
    """Parse a rendered query and refuse everything but one read.

    Parameters
    ----------
    sql
        Impala SQL with its parameters already replaced (`render_sql`).
    tables
        Names of the tables that exist, compared without regard to case; None checks no names.

    Returns
    -------
    sqlglot.exp.Query
        The parsed query.

    Raises
    ------
    SqlRejected
        If the text is not exactly one SELECT, or uses a statement, clause, function or comment that is
        not on the list. The message says what to write instead, where there is something.
    TableNotFound
        If a table is not among `tables`; the message names the nearest one.

    Examples
    --------
    >>> guard_select("select cust_id, sum(amount) as amt from txn group by cust_id").named_selects
    ['cust_id', 'amt']
    >>> guard_select("drop table txn")
    Traceback (most recent call last):
    mlopslib.errors.SqlRejected: the text must be one SELECT, this is DROP
    >>> guard_select("select 1 from tnx", tables=["txn", "balance"])
    Traceback (most recent call last):
    mlopslib.errors.TableNotFound: no table is called 'tnx': did you mean 'txn'?
    """
    query = _parse(sql)
    for node in query.walk():
        _check_node(node)
    for table in table_nodes(query):
        _check_table(table, tables)
    return query


def tables_in(sql: str | exp.Query) -> list[str]:
    """Tables that a query reads, in lower case, each once, sorted.

    Examples
    --------
    >>> tables_in("with big as (select * from Txn) select * from big join cust on big.id = cust.id")
    ['cust', 'txn']
    """
    query = guard_select(sql) if isinstance(sql, str) else sql
    return sorted({_full_name(table) for table in table_nodes(query)})


def to_duckdb(sql: str | exp.Query) -> str:
    """The text for DuckDB that gives the same values as `sql` gives in the warehouse.

    Months and days added to a date give a DATE; casts of bad text give NULL; see
    `mlopslib.sql.embedded.Embedded` for the values that a plain translation would change.

    Raises
    ------
    SqlRejected
        If the text does not pass `guard_select`.

    Examples
    --------
    >>> to_duckdb("select zeroifnull(amount) as amt from txn")
    'SELECT COALESCE("amount", 0) AS "amt" FROM "txn"'
    """
    return _written(sql, Embedded)


def to_spark(sql: str | exp.Query) -> str:
    """The text for a Spark Thrift Server that gives Impala's values.

    The session must have `spark.sql.ansi.enabled=false` and the time zone UTC.

    Raises
    ------
    SqlRejected
        If the text does not pass `guard_select`.

    Examples
    --------
    >>> to_spark("select strleft(name, 2) as v from cust order by v")
    'SELECT LEFT(`name`, 2) AS `v` FROM `cust` ORDER BY `v` NULLS LAST'
    """
    return _written(sql, SparkSql)


def _written(sql: str | exp.Query, dialect: type[Dialect]) -> str:
    query = guard_select(sql) if isinstance(sql, str) else sql
    try:
        return query.sql(dialect=dialect, identify=True, comments=False)
    except (SqlglotError, RecursionError) as error:
        raise SqlRejected(f"this query cannot be translated: {_first_line(error)}", field="sql") from error


def _parse(sql: str) -> exp.Query:
    if len(sql) > MAX_CHARACTERS:
        raise SqlRejected(f"the query is longer than {MAX_CHARACTERS:,} characters", field="sql")
    _check_comments(sql)
    try:
        tokens = Impala().tokenize(sql)
        _check_tokens(tokens)
        statements = [tree for tree in sqlglot.parse(sql, dialect=Impala) if tree is not None]
    except RecursionError as error:
        raise SqlRejected("the query is nested too deeply", field="sql") from error
    except SqlglotError as error:
        raise SqlRejected(f"this is not SQL that can be read: {_first_line(error)}", field="sql") from error
    if len(statements) != 1:
        raise SqlRejected(f"write exactly one SELECT, not {len(statements)} statements", field="sql")
    query = statements[0]
    if not isinstance(query, exp.Select | exp.SetOperation | exp.Subquery):
        word = next((token.text.upper() for token in tokens), "nothing")
        raise SqlRejected(f"the text must be one SELECT, this is {word}", field="sql")
    return query


def _check_comments(sql: str) -> None:
    """Refuse a comment inside a comment: engines disagree about where it ends."""
    position, end = 0, len(sql)
    while position < end:
        if sql[position] in "'\"`":
            position = _after_quote(sql, position)
        elif sql.startswith("--", position):
            line_end = sql.find("\n", position)
            position = end if line_end < 0 else line_end
        elif sql.startswith("/*", position):
            close = sql.find("*/", position + 2)
            if close < 0:
                raise SqlRejected("a comment that starts with /* does not end", field="sql")
            if "/*" in sql[position + 2 : close]:
                raise SqlRejected("a comment may not hold another /* comment", field="sql")
            position = close + 2
        else:
            position += 1


def _after_quote(sql: str, start: int) -> int:
    quote, position = sql[start], start + 1
    while position < len(sql):
        if sql[position] == "\\" and quote != "`":
            position += 2
            continue
        if sql[position] == quote:
            return position + 1
        position += 1
    raise SqlRejected(f"a text that starts with {quote} does not end", field="sql")


def _check_tokens(tokens: list[sqlglot.Token]) -> None:
    for token in tokens:
        if token.text.upper() == "STRAIGHT_JOIN" and token.token_type != TokenType.STRING:
            raise SqlRejected("STRAIGHT_JOIN is not supported: leave it out", field="sql")


def _check_node(node: exp.Expr) -> None:
    if isinstance(node, exp.Anonymous):
        raise SqlRejected(_unknown_function(node.name), field="sql")
    if isinstance(node, NOT_REPEATABLE):
        raise SqlRejected(
            f"{node.sql_name()} differs at each run: use the date parameters, as in '{{base_dt}}'",
            field="sql",
        )
    if isinstance(node, exp.Func) and type(node) not in FUNCTIONS:
        raise SqlRejected(_unknown_function(node.sql_name()), field="sql")
    if not isinstance(node, exp.Func) and type(node) not in NODES:
        raise SqlRejected(f"{_words(node)} may not be used in a feature query", field="sql")
    if isinstance(node, exp.With) and node.args.get("recursive"):
        raise SqlRejected("WITH RECURSIVE is not supported", field="sql")
    if isinstance(node, exp.Cast) and node.args.get("format"):
        raise SqlRejected("CAST .. FORMAT is not supported: use FROM_TIMESTAMP or TO_TIMESTAMP", field="sql")
    if isinstance(node, exp.Substring):
        _check_substring(node)
    if isinstance(node, exp.Select) and node.args.get("into"):
        raise SqlRejected("SELECT INTO writes: leave INTO out", field="sql")
    if isinstance(node, exp.Column) and not node.table and node.name.lower() in _OF_THE_SESSION:
        raise SqlRejected(
            f"{node.name} tells of the moment or the session: use the date parameters, as in '{{base_dt}}', "
            "or write the table before the column",
            field="sql",
        )
    _check_foreign(node)


def _check_foreign(node: exp.Expr) -> None:
    """Refuse what one engine has and the warehouse does not, or reads in another way."""
    said = ""
    if isinstance(node, exp.Join) and node.args.get("method"):
        said = f"{node.method.upper()} JOIN is not supported: write ON, or USING with the columns"
    elif isinstance(node, exp.Star) and any(node.args.get(part) for part in ("except_", "replace", "rename")):
        said = "* with EXCEPT, REPLACE or RENAME is not supported: name the columns"
    elif isinstance(node, exp.Distinct) and node.args.get("on"):
        said = "DISTINCT ON is not supported: use ROW_NUMBER() in a subquery"
    elif isinstance(node, exp.Group) and (node.args.get("all") or node.args.get("totals")):
        said = "GROUP BY ALL is not supported: name the columns"
    elif isinstance(node, exp.WindowSpec) and (node.args.get("exclude") or _is_of_groups(node)):
        said = "a window frame is ROWS or RANGE, without EXCLUDE"
    elif isinstance(node, exp.Limit | exp.Offset) and not isinstance(node.expression, exp.Literal):
        said = "LIMIT and OFFSET take a number"
    if said:
        raise SqlRejected(said, field="sql")


def _is_of_groups(frame: exp.WindowSpec) -> bool:
    return frame.text("kind").upper() == "GROUPS"


def _check_substring(node: exp.Substring) -> None:
    start = node.args.get("start")
    if isinstance(start, exp.Literal) and start.name == "0":
        raise SqlRejected("SUBSTR counts from 1: position 0 differs between engines", field="sql")
    value = node.this
    if isinstance(value, exp.Cast) and value.to.this in exp.DataType.TEMPORAL_TYPES:
        raise SqlRejected("SUBSTR of a time is not supported: use FROM_TIMESTAMP(ts, 'yyyyMM')", field="sql")


def table_nodes(query: exp.Query) -> Iterator[exp.Table]:
    """Every table that is not the name of a WITH query in whose reach it stands."""
    for table in query.find_all(exp.Table, bfs=False):
        if not _is_cte(table):
            yield table


def _is_cte(table: exp.Table) -> bool:
    if table.args.get("db"):
        return False
    name = table.name.lower()
    child: exp.Expr = table
    while (parent := child.parent) is not None:
        if any(cte.alias.lower() == name for cte in _visible_ctes(parent, child)):
            return True
        child = parent
    return False


def _visible_ctes(parent: exp.Expr, child: exp.Expr) -> list[exp.CTE]:
    """The WITH queries of `parent` that a name inside its part `child` may mean."""
    if isinstance(parent, exp.With):
        # a WITH query sees only those that stand before it
        return [cte for cte in parent.expressions[: child.index] if isinstance(cte, exp.CTE)]
    with_ = parent.args.get("with_")
    return list(with_.expressions) if isinstance(with_, exp.With) and child is not with_ else []


def _check_table(table: exp.Table, tables: Collection[str] | None) -> None:
    name = _full_name(table)
    if not isinstance(table.this, exp.Identifier):
        raise SqlRejected(
            f"{table.this.sql(dialect=Impala)} is not a table: functions cannot be read from", field="sql"
        )
    used = {part for part, value in table.args.items() if value}
    if used - _TABLE_PARTS:
        raise SqlRejected(f"table {name!r} may only have an alias", field="sql")
    if not all(part.isidentifier() and part.isascii() for part in name.split(".")):
        raise SqlRejected(f"{name!r} is not the name of a table", field="sql")
    if tables is None:
        return
    known = {known.lower() for known in tables}
    if name not in known:
        near = get_close_matches(name, sorted(known), n=1, cutoff=0.5)
        hint = f": did you mean {near[0]!r}?" if near else ""
        raise TableNotFound(f"no table is called {name!r}{hint}", field="sql")


def _full_name(table: exp.Table) -> str:
    return ".".join(part.name for part in table.parts).lower()


def _unknown_function(name: str) -> str:
    near = get_close_matches(name.upper(), function_names(), n=1, cutoff=0.75)
    hint = f": did you mean {near[0]}?" if near else ""
    return f"the function {name.upper()} is not on the list of allowed functions{hint}"


def _words(node: exp.Expr) -> str:
    text = node.sql(dialect=Impala)
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _first_line(error: BaseException) -> str:
    """What the parser says, without its own objects: a token is told as the text that stands there."""
    line = str(error).strip().splitlines()
    if not line:
        return type(error).__name__
    text = _TOKEN.sub(lambda token: repr(token[1]), line[0])
    return _PLACE.sub(r" (line \1, character \2)", text).rstrip(".")
