"""Impala's SQL for sqlglot, which has no such dialect: Hive, and what Hive lacks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from sqlglot import exp
from sqlglot.dialects.dialect import build_formatted_time
from sqlglot.dialects.hive import Hive
from sqlglot.parsers.hive import HiveParser
from sqlglot.tokenizer_core import TokenType

from mlopslib.errors import SqlRejected

_DAY_UNITS = {
    **dict.fromkeys(("SYYYY", "YYYY", "YEAR", "SYEAR", "YYY", "YY", "Y"), "YEAR"),
    "Q": "QUARTER",
    **dict.fromkeys(("MONTH", "MON", "MM", "RM"), "MONTH"),
    **dict.fromkeys(("DAY", "DY", "D"), "WEEK"),  # Impala: the first day of the week
    **dict.fromkeys(("DDD", "DD", "J"), "DAY"),
}
_TIME_UNITS = {**dict.fromkeys(("HH", "HH12", "HH24"), "HOUR"), "MI": "MINUTE"}
_CLOCK = {"HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND"}

Builder = Callable[[list[Any]], exp.Expr]


def _arguments(name: str, args: Sequence[Any], least: int, most: int) -> None:
    if not least <= len(args) <= most:
        count = str(least) if least == most else f"{least} to {most}"
        raise SqlRejected(f"{name} takes {count} arguments, not {len(args)}", field="sql")


#: mark of a cast that a function brings with it, as against one that a person wrote
IMPLIED = "implied"


def _implied(value: exp.Expr, to: str) -> exp.Expr:
    cast = exp.TryCast(this=value, to=exp.DataType.build(to))
    cast.meta[IMPLIED] = True
    return cast


def _date(value: exp.Expr) -> exp.Expr:
    return _implied(value, "date")


def _timestamp(value: exp.Expr) -> exp.Expr:
    return _implied(value, "timestamp")


def _is_date(value: exp.Expr) -> bool:
    """Whether a value is a DATE by its own text; of a column the text does not tell."""
    value = value.unnest()
    return isinstance(value, exp.TsOrDsToDate) or (
        isinstance(value, exp.Cast) and value.to.this == exp.DType.DATE
    )


def _moved(name: str, value: Any, amount: Any, unit: str, sign: int) -> exp.Expr:
    """A date or a time moved by an amount. A time keeps its time of day, as in Impala's manual."""
    if isinstance(amount, exp.Interval):
        unit = amount.unit.name.upper().rstrip("S") if amount.unit else unit
        interval = amount
    else:
        interval = exp.Interval(this=exp.paren(amount), unit=exp.var(unit))
    operation = exp.Add if sign > 0 else exp.Sub
    if unit in _CLOCK:
        return exp.paren(operation(this=_timestamp(value), expression=interval), copy=False)
    same = _date if _is_date(value) else _timestamp
    return same(operation(this=same(value), expression=interval))


def _mover(name: str, unit: str, sign: int) -> Builder:
    def build(args: list[Any]) -> exp.Expr:
        _arguments(name, args, 2, 2)
        return _moved(name, args[0], args[1], unit, sign)

    return build


def _trunc(args: list[Any]) -> exp.Expr:
    """TRUNC of a number (one argument, or a count of digits) or of a date (a unit in quotes)."""
    _arguments("TRUNC", args, 1, 2)
    if len(args) == 1 or not args[1].is_string:
        return exp.Trunc(this=args[0], decimals=args[1] if len(args) == 2 else None)
    unit = args[1].name.upper()
    if unit in _DAY_UNITS:
        first = exp.DateTrunc(this=_date(args[0]), unit=exp.Literal.string(_DAY_UNITS[unit]))  # type: ignore[no-untyped-call]
        return _date(first)
    if unit in _TIME_UNITS:
        return exp.TimestampTrunc(this=_timestamp(args[0]), unit=exp.var(_TIME_UNITS[unit]))
    known = ", ".join(sorted({**_DAY_UNITS, **_TIME_UNITS}))
    raise SqlRejected(f"TRUNC does not know the unit {args[1].name!r}; it knows {known}", field="sql")


#: parts of a time that are the same number everywhere
EXTRACTED = ("YEAR", "QUARTER", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND")


def _extracted(name: str, unit: str, value: exp.Expr) -> exp.Expr:
    if unit.upper() not in EXTRACTED:
        raise SqlRejected(f"{name} knows {', '.join(EXTRACTED)}, not {unit!r}", field="sql")
    return exp.Extract(this=exp.var(unit.upper()), expression=_timestamp(value))


def _date_part(args: list[Any]) -> exp.Expr:
    _arguments("DATE_PART", args, 2, 2)
    if not args[0].is_string:
        raise SqlRejected("DATE_PART needs its unit in quotes, as in DATE_PART('year', ts)", field="sql")
    return _extracted("DATE_PART", args[0].name, args[1])


#: Impala's letters; others mean something else in each engine, or nothing
_FORMAT = re.compile(r"yyyy|yy|MMM|MM|M|dd|d|HH|H|mm|m|ss|s|T|[^A-Za-z%]+")


def _check_format(name: str, pattern: Any) -> None:
    if not isinstance(pattern, exp.Literal) or not pattern.is_string:
        raise SqlRejected(f"{name} needs its format in quotes, as in 'yyyyMMdd'", field="sql")
    text, position = pattern.name, 0
    while position < len(text):
        match = _FORMAT.match(text, position)
        if match is None:
            raise SqlRejected(
                f"{name} does not know {text[position:]!r} in the format {text!r}: it knows yyyy, yy, MMM, "
                "MM, M, dd, d, HH, H, mm, m, ss and s",
                field="sql",
            )
        position = match.end()


def _formatted(name: str, least: int = 2) -> Callable[[list[Any], Any], exp.Expr]:
    """Hive's own function, after a look at its format."""

    def build(args: list[Any], dialect: Any) -> exp.Expr:
        _arguments(name, args, least, 2)
        if len(args) == 2:
            _check_format(name, args[1])
        built: exp.Expr = HiveParser.FUNCTIONS[name](args, dialect)
        return built

    return build


def _to_timestamp(args: list[Any], dialect: Any) -> exp.Expr:
    _arguments("TO_TIMESTAMP", args, 1, 2)
    if len(args) == 1:
        return exp.UnixToTime(this=args[0])
    _check_format("TO_TIMESTAMP", args[1])
    built: exp.Expr = build_formatted_time(exp.StrToTime)(args, dialect)
    return built


def _from_timestamp(args: list[Any], dialect: Any) -> exp.Expr:
    _arguments("FROM_TIMESTAMP", args, 2, 2)
    _check_format("FROM_TIMESTAMP", args[1])
    built: exp.Expr = build_formatted_time(exp.TimeToStr)([_timestamp(args[0]), args[1]], dialect)
    return built


def _unix_timestamp(args: list[Any], dialect: Any) -> exp.Expr:
    _arguments("UNIX_TIMESTAMP", args, 0, 2)
    if not args:
        return exp.CurrentTimestamp()
    if len(args) == 1:
        return exp.TimeToUnix(this=_timestamp(args[0]))
    _check_format("UNIX_TIMESTAMP", args[1])
    built: exp.Expr = build_formatted_time(exp.StrToUnix)(args, dialect)
    return built


def _pmod(args: list[Any]) -> exp.Expr:
    _arguments("PMOD", args, 2, 2)
    number, by = exp.paren(args[0]), exp.paren(args[1])
    rest = exp.paren(exp.Mod(this=number, expression=by))
    return exp.paren(exp.Mod(this=exp.paren(exp.Add(this=rest, expression=by.copy())), expression=by.copy()))


def _months_between(args: list[Any]) -> exp.Expr:
    _arguments("MONTHS_BETWEEN", args, 2, 2)
    # the time of day does not count, says Impala's manual; in Spark it would
    return exp.MonthsBetween(this=_date(args[0]), expression=_date(args[1]))


def _int_months_between(args: list[Any]) -> exp.Expr:
    _arguments("INT_MONTHS_BETWEEN", args, 2, 2)
    return exp.Cast(this=_months_between(args), to=exp.DataType.build("int"))


def _fixed(name: str, count: int, make: Callable[..., exp.Expr]) -> Builder:
    def build(args: list[Any]) -> exp.Expr:
        _arguments(name, args, count, count)
        return make(*args)

    return build


def _group_concat(args: list[Any]) -> exp.Expr:
    _arguments("GROUP_CONCAT", args, 1, 2)
    value, separator = args[0], args[1] if len(args) == 2 else exp.Literal.string(", ")
    if isinstance(value, exp.Distinct) and len(value.expressions) == 2:
        # the parser takes DISTINCT x, 'sep' for two distinct columns
        first, separator = value.expressions
        value = exp.Distinct(expressions=[first])
    return exp.GroupConcat(this=value, separator=separator)


_UNITS = ("YEAR", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND")
_MOVERS = {
    f"{unit}S_{verb}": _mover(f"{unit}S_{verb}", unit, sign)
    for unit in _UNITS
    for verb, sign in (("ADD", 1), ("SUB", -1))
}


class Impala(Hive):
    """Hive, and the functions that Impala has beside it."""

    # Impala sorts NULL as if it were the largest value; Hive as if the smallest
    NULL_ORDERING = "nulls_are_large"

    class Parser(HiveParser):
        FUNCTION_PARSERS = {
            **HiveParser.FUNCTION_PARSERS,
            "EXTRACT": lambda self: self._parse_extract_part(),
        }

        def _parse_extract_part(self) -> exp.Expr:
            """EXTRACT(year FROM ts), and Impala's EXTRACT(ts, 'year')."""
            first = self._parse_bitwise()
            if self._match_text_seq("FROM"):
                unit, value = first, self._parse_bitwise()
            else:
                self._match(TokenType.COMMA)
                unit, value = self._parse_bitwise(), first
            if unit is None or value is None:
                raise SqlRejected("EXTRACT is written as EXTRACT(year FROM ts)", field="sql")
            return _extracted("EXTRACT", unit.name, value)

        FUNCTIONS = {
            **HiveParser.FUNCTIONS,
            **_MOVERS,
            "ADD_MONTHS": _mover("ADD_MONTHS", "MONTH", 1),
            "DATE_ADD": _mover("DATE_ADD", "DAY", 1),
            "ADDDATE": _mover("ADDDATE", "DAY", 1),
            "DATE_SUB": _mover("DATE_SUB", "DAY", -1),
            "SUBDATE": _mover("SUBDATE", "DAY", -1),
            "TRUNC": _trunc,
            "TRUNCATE": _trunc,
            "DTRUNC": _trunc,
            "DATE_PART": _date_part,
            "TO_TIMESTAMP": _to_timestamp,
            "FROM_TIMESTAMP": _from_timestamp,
            "UNIX_TIMESTAMP": _unix_timestamp,
            "MONTHS_BETWEEN": _months_between,
            "INT_MONTHS_BETWEEN": _int_months_between,
            "PMOD": _pmod,
            "NOW": lambda args: exp.CurrentTimestamp(),
            "UTC_TIMESTAMP": lambda args: exp.CurrentTimestamp(),
            "ZEROIFNULL": _fixed(
                "ZEROIFNULL", 1, lambda x: exp.Coalesce(this=x, expressions=[exp.Literal.number(0)])
            ),
            "NULLIFZERO": _fixed(
                "NULLIFZERO", 1, lambda x: exp.Nullif(this=x, expression=exp.Literal.number(0))
            ),
            "ISNULL": _fixed("ISNULL", 2, lambda x, other: exp.Coalesce(this=x, expressions=[other])),
            "STRLEFT": _fixed("STRLEFT", 2, lambda s, n: exp.Left(this=s, expression=n)),
            "STRRIGHT": _fixed("STRRIGHT", 2, lambda s, n: exp.Right(this=s, expression=n)),
            "NDV": _fixed("NDV", 1, lambda x: exp.ApproxDistinct(this=x)),
            "APPX_MEDIAN": _fixed(
                "APPX_MEDIAN", 1, lambda x: exp.ApproxQuantile(this=x, quantile=exp.Literal.number("0.5"))
            ),
            "GROUP_CONCAT": _group_concat,
            "FROM_UNIXTIME": _formatted("FROM_UNIXTIME", least=1),
            "DATE_FORMAT": _formatted("DATE_FORMAT"),
        }
