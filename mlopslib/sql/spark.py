"""Impala's SQL as a Spark Thrift Server reads it, with Impala's values."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sqlglot import exp
from sqlglot.dialects.spark import Spark
from sqlglot.generators.spark import SparkGenerator

from mlopslib.sql.embedded import null_if_any_null

_GROUP = re.compile(r"\\([0-9])")


def _plain_cast(self: Any, node: exp.Cast | exp.TryCast) -> str:
    # Spark's TRY_CAST follows the ANSI rules; CAST in a non-ANSI session follows Hive's, as Impala does
    return f"CAST({self.sql(node, 'this')} AS {self.sql(node, 'to')})"


def _interval(self: Any, node: exp.Interval) -> str:
    """An amount that is not written out multiplies an interval of one."""
    unit = node.unit.name.upper() if node.unit else "DAY"
    amount = node.this
    if isinstance(amount, exp.Literal):
        return f"INTERVAL '{amount.name}' {unit}"
    return f"{self.sql(amount)} * INTERVAL '1' {unit}"


def _trunc(self: Any, node: exp.Trunc) -> str:
    """Spark cuts dates only; numbers are cut towards zero by hand."""
    value = self.sql(node, "this")
    digits = node.args.get("decimals")
    if digits is None:
        return f"IF({value} < 0, CEIL({value}), FLOOR({value}))"
    power = f"POWER(10, {self.sql(digits)})"
    moved = f"({value} * {power})"
    return f"(IF({value} < 0, CEIL({moved}), FLOOR({moved})) / {power})"


def _named(name: str) -> Callable[[Any, exp.Expr], str]:
    return lambda self, node: f"DATE_FORMAT(CAST({self.sql(node, 'this')} AS TIMESTAMP), '{name}')"


def _extract(self: Any, node: exp.Extract) -> str:
    # EXTRACT(SECOND ..) has a fraction in Spark
    return f"{node.name.upper()}({self.sql(node, 'expression')})"


def _truncated(self: Any, node: exp.DateTrunc | exp.TimestampTrunc) -> str:
    return f"DATE_TRUNC('{node.text('unit').upper()}', {self.sql(node, 'this')})"


def _regexp_replace(self: Any, node: exp.RegexpReplace) -> str:
    replacement = node.args.get("replacement")
    if isinstance(replacement, exp.Literal):
        # \1 names a group for Impala, $1 for Spark
        text = _GROUP.sub(lambda group: "\0" + group[1], replacement.name)
        text = text.replace("\\", "\\\\").replace("$", "\\$").replace("\0", "$")
        replacement = exp.Literal.string(text)
    return str(self.func("REGEXP_REPLACE", node.this, node.expression, replacement))


def _regexp_like(self: Any, node: exp.RegexpLike) -> str:
    pattern, flag = node.expression, node.args.get("flag")
    if isinstance(flag, exp.Literal) and flag.name:
        pattern = exp.Concat(expressions=[exp.Literal.string(f"(?{flag.name})"), pattern], coalesce=False)
    return f"{self.sql(node, 'this')} RLIKE {self.sql(pattern)}"


def _group_concat(self: Any, node: exp.GroupConcat) -> str:
    return str(self.func("LISTAGG", node.this, node.args.get("separator")))


class SparkSql(Spark):
    """Spark, where the plain translation would change a value or not run."""

    class Generator(SparkGenerator):
        TRANSFORMS = {
            **SparkGenerator.TRANSFORMS,
            exp.Cast: _plain_cast,
            exp.TryCast: _plain_cast,
            exp.TsOrDsToDate: lambda self, e: f"CAST({self.sql(e, 'this')} AS DATE)",
            exp.Greatest: null_if_any_null("GREATEST"),
            exp.Least: null_if_any_null("LEAST"),
            exp.Interval: _interval,
            exp.Trunc: _trunc,
            exp.Dayname: _named("EEEE"),
            exp.Monthname: _named("MMMM"),
            exp.Extract: _extract,
            exp.DateTrunc: _truncated,
            exp.TimestampTrunc: _truncated,
            exp.StrToTime: lambda self, e: self.func("TRY_TO_TIMESTAMP", e.this, self.format_time(e)),
            exp.UnixToTime: lambda self, e: f"CAST(FROM_UNIXTIME({self.sql(e, 'this')}) AS TIMESTAMP)",
            exp.RegexpReplace: _regexp_replace,
            exp.RegexpLike: _regexp_like,
            exp.GroupConcat: _group_concat,
        }
