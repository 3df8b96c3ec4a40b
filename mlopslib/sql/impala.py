"""A query that was read and perhaps changed, printed in Impala's own words again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp
from sqlglot.dialects.hive import Hive
from sqlglot.generators.hive import HiveGenerator

from mlopslib.errors import SqlRejected
from mlopslib.sql.dialect import IMPLIED


def _cast(self: Any, node: exp.Cast | exp.TryCast) -> str:
    if node.meta.get(IMPLIED) and isinstance(node.this, exp.Add | exp.Sub):
        # the sum of a time and an interval has the time's own type already
        return f"({self.sql(node, 'this')})"
    return f"CAST({self.sql(node, 'this')} AS {self.sql(node, 'to')})"


def _interval(self: Any, node: exp.Interval) -> str:
    """Impala counts an interval with a number, where the parser keeps a text."""
    count = node.this
    amount = count.name if isinstance(count, exp.Literal) else self.sql(count)
    return f"INTERVAL {amount} {node.text('unit').upper()}"


def _call(name: str, *arguments: str) -> Callable[[Any, exp.Expr], str]:
    return lambda self, node: str(self.func(name, *(node.args.get(item) for item in arguments)))


def _with_format(name: str) -> Callable[[Any, exp.Expr], str]:
    return lambda self, node: str(self.func(name, node.this, self.format_time(node)))


def _median(self: Any, node: exp.ApproxQuantile) -> str:
    quantile = node.args.get("quantile")
    if isinstance(quantile, exp.Literal) and float(quantile.name) == 0.5:
        return str(self.func("APPX_MEDIAN", node.this))
    return _no_percentile(self, node)


def _no_percentile(self: Any, node: exp.Expr) -> str:
    raise SqlRejected(
        "Impala has no PERCENTILE: use APPX_MEDIAN, or NTILE over the ordered rows", field="sql"
    )


def _instr(self: Any, node: exp.StrPosition) -> str:
    return str(self.func("INSTR", node.this, node.args.get("substr"), node.args.get("position")))


class ImpalaSql(Hive):
    """Impala's names for what the parser of `Impala` read."""

    NULL_ORDERING = "nulls_are_large"

    class Generator(HiveGenerator):
        TRANSFORMS = {
            **HiveGenerator.TRANSFORMS,
            exp.Cast: _cast,
            exp.TryCast: _cast,
            exp.TsOrDsToDate: lambda self, e: f"CAST({self.sql(e, 'this')} AS DATE)",
            exp.Interval: _interval,
            exp.TimeToStr: _with_format("FROM_TIMESTAMP"),
            exp.StrToTime: _with_format("TO_TIMESTAMP"),
            exp.StrToUnix: _with_format("UNIX_TIMESTAMP"),
            exp.UnixToStr: _with_format("FROM_UNIXTIME"),
            exp.TimeToUnix: _call("UNIX_TIMESTAMP", "this"),
            exp.UnixToTime: _call("TO_TIMESTAMP", "this"),
            exp.TimeStrToTime: lambda self, e: f"CAST({self.sql(e, 'this')} AS TIMESTAMP)",
            exp.DateTrunc: lambda self, e: f"DATE_TRUNC('{e.text('unit').upper()}', {self.sql(e, 'this')})",
            exp.TimestampTrunc: lambda self, e: (
                f"DATE_TRUNC('{e.text('unit').upper()}', {self.sql(e, 'this')})"
            ),
            exp.Extract: lambda self, e: f"EXTRACT({e.name.upper()} FROM {self.sql(e, 'expression')})",
            exp.DayOfYear: _call("DAYOFYEAR", "this"),
            # older Impala reads || as OR
            exp.DPipe: _call("CONCAT", "this", "expression"),
            exp.Trunc: _call("TRUNCATE", "this", "decimals"),
            exp.ApproxDistinct: _call("NDV", "this"),
            exp.ApproxQuantile: _median,
            exp.Quantile: _no_percentile,
            exp.Left: _call("STRLEFT", "this", "expression"),
            exp.Right: _call("STRRIGHT", "this", "expression"),
            exp.StrPosition: _instr,
            exp.SplitPart: _call("SPLIT_PART", "this", "delimiter", "part_index"),
            exp.RegexpLike: _call("REGEXP_LIKE", "this", "expression", "flag"),
            exp.GroupConcat: _call("GROUP_CONCAT", "this", "separator"),
            exp.Variance: _call("VARIANCE_SAMP", "this"),
            exp.VariancePop: _call("VARIANCE_POP", "this"),
        }
