"""The rows that an exploration looks at, and the SELECTs over them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pyarrow as pa

from mlopslib.definition import check_identifier
from mlopslib.errors import InvalidInput
from mlopslib.offline.base import OfflineStore

T = TypeVar("T")

#: a statement for an engine that compiles each one to a program must stay small
_FEATURES = {"duckdb": 25}
_SUMS = {"duckdb": 4_500}
_FEW_FEATURES, _FEW_SUMS = 10, 300


@dataclass(frozen=True)
class Source:
    """Rows of one partition of a table (or of a query), with the target of each where there is one.

    Parameters
    ----------
    table
        A table's name, or one SELECT in parentheses.
    partition
        Column and value, ``("base_ym", "202210")``; None reads every row.
    key
        The column that names the entity; needed with a target and for a sample.
    target_sql
        A rendered SELECT that gives the key and ``target`` (0, 1 or NULL).
    sample
        Share of the entities to look at, picked by a hash of the key: the same ones every time.
    """

    store: OfflineStore
    table: str
    key: str
    partition: tuple[str, str] | None = None
    target_sql: str | None = None
    sample: float | None = None
    is_cancelled: Callable[[], bool] | None = field(default=None, compare=False)

    @property
    def features_at_once(self) -> int:
        """How many columns one statement may look at."""
        return _FEATURES.get(self.store.engine, _FEW_FEATURES)

    @property
    def sums_at_once(self) -> int:
        """How many sums one statement may ask for."""
        return _SUMS.get(self.store.engine, _FEW_SUMS)

    def read(self, sql: str) -> pa.Table:
        return self.store.read_sql(sql, is_cancelled=self.is_cancelled)

    def row(self, sql: str) -> list[Any]:
        """The one row of an aggregate, by position: engines name what has no alias as they like."""
        table = self.read(sql)
        return [table.column(position)[0].as_py() for position in range(table.num_columns)]

    @property
    def without_target(self) -> Source:
        return replace(self, target_sql=None)

    def sampled(self, share: float) -> Source:
        return replace(self, sample=share)

    def select(self, outputs: Sequence[str], *, where: str = "") -> str:
        """A SELECT of these outputs; columns are ``t.`name` ``, the target is ``y.target``."""
        sql = f"SELECT {', '.join(outputs)} FROM {_named(self.table)} t"  # noqa: S608
        if self.target_sql is not None:
            # the line break ends a comment that the query may end with
            sql += (
                f" LEFT JOIN (\n{self.target_sql}\n) y ON y.`{check_identifier(self.key)}` = t.`{self.key}`"
            )
        conditions = [where] if where else []
        if self.partition is not None:
            column, value = self.partition
            conditions.append(f"t.`{check_identifier(column)}` = {text(value)}")
        if self.sample is not None:
            limit = f"{min(16**8 - 1, int(self.sample * 16**8)):08x}"
            conditions.append(f"MD5(CAST(t.`{check_identifier(self.key)}` AS STRING)) < '{limit}'")
        return f"{sql} WHERE {' AND '.join(conditions)}" if conditions else sql


def column(name: str) -> str:
    return f"t.`{check_identifier(name, field=name)}`"


def number(value: float) -> str:
    """A DOUBLE literal of exactly this value: without an exponent engines read a decimal."""
    if not math.isfinite(value):
        raise InvalidInput(f"{value} cannot be written into a query", field="edges")
    digits = repr(float(value))
    digits = digits if "e" in digits else f"{digits}e0"
    return digits if value >= 0 else f"({digits})"


def text(value: str) -> str:
    """A STRING literal."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def bin_of(expression: str, bounds: Sequence[str], first: int = 0) -> str:
    """The number of the bin ``(bounds[i-1], bounds[i]]`` that a value is in, found by halving.

    >>> bin_of("x", ["1", "5"])
    'CASE WHEN x <= 1 THEN 0 ELSE CASE WHEN x <= 5 THEN 1 ELSE 2 END END'
    """
    if not bounds:
        return str(first)
    middle = (len(bounds) - 1) // 2
    low = bin_of(expression, bounds[:middle], first)
    high = bin_of(expression, bounds[middle + 1 :], first + middle + 1)
    return f"CASE WHEN {expression} <= {bounds[middle]} THEN {low} ELSE {high} END"


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _named(table: str) -> str:
    return table if table.startswith("(") else f"`{check_identifier(table, field='table')}`"
