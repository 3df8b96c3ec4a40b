"""For which dates a condition holds: the engine is asked, date by date, so no meaning is guessed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlglot import exp

from mlopslib.dates import add_months, last_day
from mlopslib.errors import GijunError
from mlopslib.offline.jail import jailed_connection
from mlopslib.sql.datecolumns import Writing, end_of, is_month, read_date, span_of, write_date
from mlopslib.sql.embedded import Embedded

Mask = npt.NDArray[np.bool_]

#: every day is asked for so many days before and after the base date, then three in each month; each day
#: of a year and each Friday the 13th comes after the base date
_DAYS_BEFORE, _DAYS_AFTER = 190, 430
#: days after the base date of which every hour is asked for
_DAYS_OF_HOURS = 7
_MONTHS = 40
#: from the first year on a date counts as the beginning of time, from the last as its end
_BEGINNING, _END = 1900_12_31, 2150_01_01
_FAR_YEARS = (1900, 1950, 1970, 1980, 1990, 2000, 2005, 2010, 2015, 2020, 2030, 2050, 2100, 2199, 9999)


class Probes:
    """Dates in every writing, in a jailed engine, and what conditions say to them."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, base_dt: str, dates: Iterable[datetime]
    ) -> None:
        self._connection = connection
        self._moments = _moments(base_dt, dates)
        self._tables: dict[Writing, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = {}
        self._unary: dict[tuple[str, Writing], Mask | None] = {}
        self._binary: dict[tuple[str, Writing, Writing], Mask | None] = {}

    def size(self, writing: Writing) -> int:
        return len(self._spans(writing)[0])

    def everything(self, writing: Writing) -> Mask:
        return np.ones(self.size(writing), dtype=np.bool_)

    def span(self, mask: Mask, writing: Writing) -> tuple[str | None, str | None]:
        """First and last day (inclusive) of the dates of a mask; None where it has no end."""
        first, last = (days[mask] for days in self._spans(writing))
        if not len(first):
            return None, None
        low, high = int(first.min()), int(last.max())
        return (None if low <= _BEGINNING else str(low)), (None if high >= _END else str(high))

    def holds(self, condition: exp.Expr, writing: Writing) -> Mask | None:
        """Where a condition over one column, named ``a``, holds; None where the engine cannot say."""
        sql = _sql(condition)
        if (sql, writing) not in self._unary:
            self._unary[sql, writing] = self._ask(sql, (writing,))
        return self._unary[sql, writing]

    def pairs(self, condition: exp.Expr, one: Writing, other: Writing) -> Mask | None:
        """Where a condition over two columns, ``a`` and ``b``, holds, as a matrix."""
        sql = _sql(condition)
        if (sql, one, other) not in self._binary:
            self._binary[sql, one, other] = self._ask(sql, (one, other))
        return self._binary[sql, one, other]

    def value(self, expression: exp.Expr) -> tuple[bool, Any]:
        """(True, the value) of an expression without columns; (False, None) where the engine cannot say."""
        try:
            rows = self._connection.execute(f"SELECT {_sql(expression)}").fetchall()
        except (duckdb.Error, GijunError):
            return False, None
        return True, rows[0][0]

    def _ask(self, condition: str, writings: tuple[Writing, ...]) -> Mask | None:
        names = "ab"[: len(writings)]
        for writing in writings:
            self._spans(writing)
        tables = ", ".join(
            f"probe_{writing} AS {name}" for writing, name in zip(writings, names, strict=True)
        )
        numbers = ", ".join(f"{name}.i" for name in names)
        try:
            found = self._connection.execute(
                f"SELECT {numbers} FROM {tables} WHERE {condition}"  # noqa: S608
            ).fetchnumpy()
        except (duckdb.Error, GijunError):
            return None
        mask = np.zeros(tuple(self.size(writing) for writing in writings), dtype=np.bool_)
        mask[tuple(np.asarray(column, dtype=np.int64) for column in found.values())] = True
        return mask

    def _spans(self, writing: Writing) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        if writing not in self._tables:
            moments: dict[Any, datetime] = {}
            for moment in self._moments:
                if writing not in ("timestamp", "ymdhms", "iso_ts"):
                    moment = moment.replace(hour=0, minute=0, second=0, microsecond=0)
                moments.setdefault(write_date(moment, writing), moment)
            values = list(moments)
            table = pa.table({"i": list(range(len(values))), "v": values})
            self._connection.register(f"probe_{writing}", table)
            spans = np.array([span_of(moment, writing) for moment in moments.values()], dtype=np.int64)
            self._tables[writing] = spans[:, 0], spans[:, 1]
        return self._tables[writing]


@contextmanager
def open_probes(base_dt: str, condition_trees: Iterable[exp.Expr]) -> Iterator[Probes]:
    """Probes around a base date, and at and beside every date that the conditions name."""
    literals = (node for tree in condition_trees for node in tree.find_all(exp.Literal))
    dates = [moment for literal in literals if (moment := read_date(literal.name)) is not None]
    with jailed_connection([], memory_limit="512MB", threads=1) as connection:
        yield Probes(connection, base_dt, dates)


def column(name: str) -> exp.Column:
    """The column that a condition asks about: ``a``, or ``b`` for the second."""
    return exp.column("v", table=name)


def _sql(node: exp.Expr) -> str:
    return node.sql(dialect=Embedded, identify=True, comments=False)


def _moments(base_dt: str, dates: Iterable[datetime]) -> list[datetime]:
    base = end_of(base_dt).replace(hour=0, minute=0, second=0, microsecond=0)
    days = {base + timedelta(days=n) for n in range(-_DAYS_BEFORE, _DAYS_AFTER + 1)}
    for n in range(-_MONTHS, _MONTHS + 1):
        ym = add_months(base_dt[:6], n)
        end = last_day(ym)
        days |= {datetime(int(ym[:4]), int(ym[4:]), day) for day in (1, 15, int(end[6:]))}
    for year in _FAR_YEARS:
        days |= {datetime(year, 1, 1), datetime(year, 12, 31)}
    for moment in dates:
        day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        for near in (-1, 0, 1):
            if (day.year > 1900 or near >= 0) and (day.year < 9999 or near <= 0):
                days.add(day + timedelta(days=near))
    near_base = (base - timedelta(days=1), base + timedelta(days=2))
    times = {
        day + timedelta(hours=hour, minutes=minute, seconds=second)
        for day in days
        if near_base[0] <= day <= near_base[1] or day.day == 1
        for hour, minute, second in ((12, 0, 0), (23, 59, 59))
    }
    times |= {base + timedelta(hours=hour) for hour in range(24 * (_DAYS_OF_HOURS + 1))}
    return sorted(days | times)


__all__ = ["Mask", "Probes", "column", "is_month", "open_probes"]
