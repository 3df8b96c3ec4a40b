"""The parts of SQL that a feature query may use. What is not listed here is refused."""

from __future__ import annotations

from functools import cache

from sqlglot import exp

from mlopslib.sql.dialect import Impala

#: clauses, operators and names
NODES: frozenset[type[exp.Expr]] = frozenset(
    {
        # the shape of a query
        exp.Select, exp.Union, exp.Except, exp.Intersect, exp.Subquery, exp.With, exp.CTE,
        exp.TableAlias, exp.From, exp.Join, exp.Where, exp.Group, exp.Having, exp.Order, exp.Ordered,
        exp.Limit, exp.Offset, exp.Distinct, exp.Table, exp.Hint, exp.GroupingSets, exp.Rollup,
        exp.Cube,
        # names and values
        exp.Column, exp.Identifier, exp.Star, exp.Alias, exp.Literal, exp.Null, exp.Boolean, exp.Tuple,
        exp.Paren, exp.DataType, exp.DataTypeParam, exp.Interval, exp.Var,
        # operators
        exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.Neg, exp.DPipe, exp.EQ, exp.NEQ,
        exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Not, exp.Between, exp.In,
        exp.Is, exp.Like, exp.ILike, exp.Escape,
        # windows and aggregates
        exp.Window, exp.WindowSpec, exp.IgnoreNulls, exp.RespectNulls, exp.Filter,
    }
)  # fmt: skip

#: functions, by the node that sqlglot reads them as
FUNCTIONS: frozenset[type[exp.Expr]] = frozenset(
    {
        # logic
        exp.And, exp.Or, exp.Case, exp.If, exp.Coalesce, exp.Nullif, exp.Nvl2, exp.DecodeCase,
        exp.Exists, exp.Any, exp.All, exp.Greatest, exp.Least, exp.Cast, exp.TryCast,
        # numbers
        exp.Abs, exp.Ceil, exp.Floor, exp.Round, exp.Trunc, exp.Sign, exp.Sqrt, exp.Exp, exp.Ln,
        exp.Log, exp.Pow, exp.Pi, exp.Sin, exp.Cos, exp.Tan, exp.Asin, exp.Acos, exp.Atan,
        # texts
        exp.Concat, exp.ConcatWs, exp.Upper, exp.Lower, exp.Trim, exp.Length, exp.Substring, exp.Left,
        exp.Right, exp.Pad, exp.Repeat, exp.Reverse, exp.Space, exp.StrPosition, exp.SplitPart,
        exp.Ascii, exp.Translate, exp.Replace, exp.MD5, exp.RegexpLike, exp.RegexpExtract, exp.RegexpReplace,
        # dates
        exp.Year, exp.Month, exp.Day, exp.Quarter, exp.DayOfMonth, exp.DayOfWeek, exp.DayOfYear,
        exp.WeekOfYear, exp.Hour, exp.Minute, exp.Second, exp.Extract, exp.LastDay, exp.DateDiff,
        exp.MonthsBetween, exp.DateTrunc, exp.TimestampTrunc, exp.TsOrDsToDate, exp.TimeStrToTime,
        exp.TimeToStr, exp.StrToTime, exp.StrToUnix, exp.TimeToUnix, exp.UnixToStr, exp.UnixToTime,
        exp.Dayname, exp.Monthname,
        # aggregates
        exp.Count, exp.Sum, exp.Avg, exp.Min, exp.Max, exp.Stddev, exp.StddevPop, exp.StddevSamp,
        exp.Variance, exp.VariancePop, exp.Corr, exp.CovarPop, exp.CovarSamp, exp.Quantile,
        exp.ApproxQuantile, exp.ApproxDistinct, exp.GroupConcat,
        # window functions
        exp.RowNumber, exp.Rank, exp.DenseRank, exp.PercentRank, exp.CumeDist, exp.Ntile, exp.Lag,
        exp.Lead, exp.FirstValue, exp.LastValue,
    }
)  # fmt: skip

#: functions whose value depends on the moment or on chance
NOT_REPEATABLE = (exp.CurrentTimestamp, exp.CurrentDate, exp.CurrentTime, exp.Rand, exp.Randn, exp.Uuid)


@cache
def function_names() -> tuple[str, ...]:
    """The names that a person may write, for the hint in a message."""
    names: set[str] = set()
    for function in FUNCTIONS:
        if issubclass(function, exp.Func):
            names.update(function.sql_names())
    names.update(name for name in Impala.Parser.FUNCTIONS if name in _IMPALA_NAMES)
    return tuple(sorted(names))


_IMPALA_NAMES = {
    "ADD_MONTHS", "DATE_ADD", "DATE_SUB", "DAYS_ADD", "DAYS_SUB", "MONTHS_ADD", "MONTHS_SUB",
    "YEARS_ADD", "YEARS_SUB", "TO_DATE", "TO_TIMESTAMP", "FROM_TIMESTAMP", "FROM_UNIXTIME",
    "UNIX_TIMESTAMP", "NVL", "IFNULL", "ZEROIFNULL", "NULLIFZERO", "STRLEFT", "STRRIGHT", "SUBSTR",
    "INSTR", "LPAD", "RPAD", "GROUP_CONCAT", "NDV", "APPX_MEDIAN", "PERCENTILE", "PERCENTILE_APPROX",
    "INT_MONTHS_BETWEEN", "PMOD", "DATE_PART", "DECODE",
}  # fmt: skip
