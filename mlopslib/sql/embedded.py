"""Impala's SQL as DuckDB reads it, with the warehouse's values.

Each place that is changed here is one where the plain translation runs but gives another number; each
has its test with the value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.generators.duckdb import DuckDBGenerator

from mlopslib.sql.dialect import IMPLIED

_WHOLE = {exp.DType.TINYINT, exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT}
_NUMBERS = "('TINY', 'SMAL', 'INTE', 'BIGI', 'HUGE', 'FLOA', 'DOUB', 'DECI')"


def _cast(self: Any, node: exp.Cast | exp.TryCast) -> str:
    """A bad text is NULL, as in Hive; a cast to a whole number cuts, where DuckDB would round.

    Below 2**53 a double holds the whole part exactly; above it, the direct cast is exact and has
    nothing to cut. Seconds since 1970 become a time and a time becomes seconds, which DuckDB's TRY_CAST
    would give up as NULL; which of the two a column is, DuckDB knows and this text does not.
    """
    to = self.sql(node, "to")
    value = self.sql(node, "this")
    plain = f"TRY_CAST({value} AS {to})"
    if node.meta.get(IMPLIED) or (isinstance(node.this, exp.Literal) and node.this.is_string):
        return _cut(value, to) if node.to.this in _WHOLE else plain
    if node.to.this == exp.DType.TIMESTAMP:
        seconds = f"MAKE_TIMESTAMP(TRY_CAST(TRY_CAST({value} AS DOUBLE) * 1000000 AS BIGINT))"
        return f"CASE WHEN LEFT(TYPEOF({value}), 4) IN {_NUMBERS} THEN {seconds} ELSE {plain} END"
    if node.to.this not in _WHOLE:
        return plain
    if isinstance(node.this, exp.Column | exp.Cast | exp.StrToTime):
        seconds = f"TRY_CAST(FLOOR(EPOCH(TRY_CAST({value} AS TIMESTAMP))) AS {to})"
        return f"CASE WHEN TYPEOF({value}) = 'TIMESTAMP' THEN {seconds} ELSE {_cut(value, to)} END"
    return _cut(value, to)


def _cut(value: str, to: str) -> str:
    double = f"TRY_CAST({value} AS DOUBLE)"
    return (
        f"CASE WHEN ABS({double}) < 9007199254740992 THEN TRY_CAST(TRUNC({double}) AS {to}) "
        f"ELSE TRY_CAST({value} AS {to}) END"
    )


def null_if_any_null(name: str) -> Callable[[Any, exp.Greatest | exp.Least], str]:
    """GREATEST and LEAST are NULL when one argument is, where DuckDB would skip it."""

    def write(self: Any, node: exp.Greatest | exp.Least) -> str:
        values = [self.sql(value) for value in (node.this, *node.expressions)]
        missing = " OR ".join(f"{value} IS NULL" for value in values)
        return f"CASE WHEN {missing} THEN NULL ELSE {name}({', '.join(values)}) END"

    return write


#: parts of a time that DuckDB refuses to read from a text
_PARTS: dict[type[exp.Expr], str] = {
    exp.LastDay: "LAST_DAY",
    exp.Quarter: "QUARTER",
    exp.DayOfMonth: "DAYOFMONTH",
    exp.DayOfYear: "DAYOFYEAR",
    exp.WeekOfYear: "WEEKOFYEAR",
    exp.Dayname: "DAYNAME",
    exp.Monthname: "MONTHNAME",
    exp.Hour: "HOUR",
    exp.Minute: "MINUTE",
    exp.Second: "SECOND",
}


def _of_time(name: str) -> Callable[[Any, exp.Expr], str]:
    return lambda self, node: f"{name}(TRY_CAST({self.sql(node, 'this')} AS TIMESTAMP))"


def _by(operator: str) -> Callable[[Any, exp.IntDiv | exp.Mod], str]:
    def write(self: Any, node: exp.IntDiv | exp.Mod) -> str:
        return f"{self.sql(node, 'this')} {operator} NULLIF({self.sql(node, 'expression')}, 0)"

    return write


def _unix_to_str(self: Any, node: exp.UnixToStr) -> str:
    # seconds are UTC whatever the session's time zone is
    return f"STRFTIME(MAKE_TIMESTAMP({_microseconds(self, node)}), {self.format_time(node)})"


def _microseconds(self: Any, node: exp.Expr) -> str:
    return f"CAST({self.sql(node, 'this')} AS BIGINT) * 1000000"


#: microseconds of the units that are as long in every month
_MICROSECONDS = {
    "WEEK": 604_800_000_000,
    "DAY": 86_400_000_000,
    "HOUR": 3_600_000_000,
    "MINUTE": 60_000_000,
    "SECOND": 1_000_000,
    "MILLISECOND": 1_000,
    "MICROSECOND": 1,
}


def _plus(self: Any, node: exp.Add | exp.Sub) -> str:
    """Days and what is shorter are added as microseconds, months as an interval.

    DuckDB holds INTERVAL 30 DAY and INTERVAL 1 MONTH for equal and computes one of the two for both when
    they stand in one query.
    """
    sign = "+" if isinstance(node, exp.Add) else "-"
    time, interval = node.this, node.expression
    if isinstance(time, exp.Interval) and isinstance(node, exp.Add):
        time, interval = interval, time
    unit = interval.text("unit").upper().rstrip("S") if isinstance(interval, exp.Interval) else ""
    if unit not in _MICROSECONDS:
        return f"{self.sql(node, 'this')} {sign} {self.sql(node, 'expression')}"
    count = interval.this
    amount = count.name if isinstance(count, exp.Literal) else self.sql(count)
    moved = f"TRY_CAST({amount} AS BIGINT) * {_MICROSECONDS[unit]}"
    return f"MAKE_TIMESTAMP(EPOCH_US(TRY_CAST({self.sql(time)} AS TIMESTAMP)) {sign} {moved})"


def _like(self: Any, node: exp.Like | exp.ILike) -> str:
    # a backslash takes the meaning from the sign after it, which DuckDB must be told
    text: str = self.like_sql(node) if isinstance(node, exp.Like) else self.ilike_sql(node)
    return text if isinstance(node.parent, exp.Escape) else f"{text} ESCAPE '\\'"


def _substring(self: Any, node: exp.Substring) -> str:
    length = node.args.get("length")
    if length is not None and not isinstance(length, exp.Literal):
        # DuckDB reads a negative length backwards, the warehouse gives an empty text
        length = exp.Greatest(this=exp.Literal.number(0), expressions=[length.copy()])
    return str(self.func("SUBSTRING", node.this, node.args.get("start"), length))


def _strptime(self: Any, node: exp.Expr) -> str:
    return f"TRY_STRPTIME({self.sql(node, 'this')}, {self.format_time(node)})"


class Embedded(DuckDB):
    """DuckDB, where the plain translation would change a value."""

    class Generator(DuckDBGenerator):
        TRANSFORMS = {
            **DuckDBGenerator.TRANSFORMS,
            **{node: _of_time(name) for node, name in _PARTS.items()},
            # Sunday is 1 in the warehouse, 0 in DuckDB
            exp.DayOfWeek: lambda self, e: f"({_of_time('DAYOFWEEK')(self, e)} + 1)",
            # nothing divided by zero is NULL, where DuckDB would stop the query
            exp.IntDiv: _by("//"),
            exp.Mod: _by("%"),
            # PERCENTILE interpolates, the approximate one gives a value that occurs
            exp.Quantile: lambda self, e: self.func("QUANTILE_CONT", e.this, e.args["quantile"]),
            exp.ApproxQuantile: lambda self, e: self.func("QUANTILE_DISC", e.this, e.args["quantile"]),
            exp.Cast: _cast,
            exp.TryCast: _cast,
            exp.TsOrDsToDate: lambda self, e: f"TRY_CAST({self.sql(e, 'this')} AS DATE)",
            exp.Greatest: null_if_any_null("GREATEST"),
            exp.Least: null_if_any_null("LEAST"),
            exp.UnixToStr: _unix_to_str,
            exp.UnixToTime: lambda self, e: f"MAKE_TIMESTAMP({_microseconds(self, e)})",
            exp.StrToTime: _strptime,
            exp.StrToUnix: lambda self, e: f"CAST(EPOCH({_strptime(self, e)}) AS BIGINT)",
            exp.TimeToUnix: lambda self, e: f"CAST(FLOOR(EPOCH({self.sql(e, 'this')})) AS BIGINT)",
            exp.Add: _plus,
            exp.Sub: _plus,
            exp.Like: _like,
            exp.ILike: _like,
            exp.Substring: _substring,
        }
