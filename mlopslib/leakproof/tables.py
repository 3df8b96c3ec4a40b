"""The scratch copy: the tables that a query reads, as far as it reads them, for a sample of entities."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from sqlglot import exp

from mlopslib.dates import date_params
from mlopslib.definition import FeatureSetSpec
from mlopslib.errors import ColumnMismatch
from mlopslib.leakproof.columns import Moments, Rows, moments_of, months_of, writing_in
from mlopslib.offline.base import OfflineStore
from mlopslib.sql.datecolumns import (
    Writing,
    dating_columns,
    end_of,
    is_birth,
    is_period,
    label_horizon,
    writing_by_name,
)
from mlopslib.sql.dialect import Impala
from mlopslib.sql.guard import guard_select, tables_in
from mlopslib.sql.lineage import filters_of, sources_of
from mlopslib.sql.render import render_sql

#: keys that are looked at to choose the sample from
_KEYS_SEEN = 200_000
#: endings of keys that one query lists
_MOST_ENDINGS = 200
#: dates from here on mean "never"
NEVER = np.datetime64("9000-01-01", "us")
#: the share of rows in which two dates must fall into the same month to date the same thing
_AGREE = 0.99


@dataclass
class SourceTable:
    """One table of the scratch copy."""

    name: str
    data: pa.Table
    #: the engine's words for all of its columns
    types: dict[str, str]
    #: how each date column is written
    writings: dict[str, Writing]
    #: columns of which any after the base date makes a row a future one
    dated_by: tuple[str, ...]
    #: why its rows say nothing about what comes later; None: they do
    timeless: str | None
    #: which rows are dated after the base date
    future: Rows
    moments: dict[str, Moments] = field(default_factory=dict)
    #: columns that are known only later, with the months that they look ahead (0: not known)
    labels: dict[str, int] = field(default_factory=dict)
    #: columns that a poison leaves alone: keys
    keys: frozenset[str] = frozenset()

    @property
    def row_moments(self) -> Moments:
        return self.moments[self.dated_by[0]]

    def secondary(self) -> list[str]:
        """Date columns that tell of something else than the row."""
        return [name for name in self.writings if name not in self.dated_by and not is_birth(name)]


def read_tables(
    store: OfflineStore,
    spec: FeatureSetSpec,
    base_ym: str,
    *,
    timeless: Mapping[str, str],
    labels: Collection[tuple[str, str]],
    entities: int,
    rows: int,
    check: Callable[[], None],
) -> list[SourceTable]:
    """Read what the query of a feature set reads: its columns, and those that hold dates.

    Tables with the entity's key are read for a sample of `entities`, the same in each; others up to
    `rows` rows. A part of a database is a database: what is proved of it does not rest on its size.
    """
    params = date_params(base_ym)
    sql = render_sql(spec.sql, params)
    names = tables_in(sql)
    schema = {name: {c.name: c.type for c in store.describe(name)} for name in names}
    read = set(filters_of(sql, schema)).union(*sources_of(sql, schema).values())
    origin = {column for _, column in sources_of(sql, schema).get(spec.entity_key, frozenset())}
    sample = _Sample(store, sorted(origin | {spec.entity_key}), schema, entities)
    keys = _join_columns(sql)
    declared = {name.lower(): reason for name, reason in timeless.items()}
    found = []
    for name in names:
        check()
        columns = _columns(name, schema[name], read, sample.keys)
        data = sample.read(name, columns, rows)
        found.append(
            _table(
                name, data, schema[name], declared, _partitions(store, name, schema[name]), params["base_dt"]
            )
        )
        table = found[-1]
        table.labels = {
            column: label_horizon(column) or 0
            for column in data.column_names
            if (name, column) in labels
            or (label_horizon(column) is not None and f"{name}.{column}" not in declared)
        }
        table.keys = frozenset(
            column for column in data.column_names if column in keys or column in sample.keys
        ) - set(table.labels)
    return found


def _columns(
    table: str, types: Mapping[str, str], read: Collection[tuple[str, str]], keys: Collection[str]
) -> list[str]:
    """What the query reads of a table, its dates and keys; never nothing."""
    lower = {name.lower(): name for name in types}
    wanted = {column for owner, column in read if owner == table} & set(lower)
    wanted |= {name for name, own in lower.items() if writing_by_name(name, types[own]) is not None}
    wanted |= set(keys) & set(lower)
    return [name for name in types if name.lower() in wanted] or list(types)[:1]


def _join_columns(sql: str) -> set[str]:
    """Names of columns that are held equal to another column, or that tell things apart."""
    found: set[str] = set()
    query = guard_select(sql)
    for node in query.find_all(exp.EQ):
        if isinstance(node.this, exp.Column) and isinstance(node.expression, exp.Column):
            found |= {node.this.name.lower(), node.expression.name.lower()}
    for join in query.find_all(exp.Join):
        found |= {item.name.lower() for item in join.args.get("using") or ()}
    for part in query.find_all(exp.In):
        if part.args.get("query") is not None and isinstance(part.this, exp.Column):
            found.add(part.this.name.lower())
    return found


def _partitions(store: OfflineStore, table: str, types: Mapping[str, str]) -> tuple[str, ...]:
    found = []
    for name, type_ in types.items():
        if writing_by_name(name, type_) is None:
            continue
        try:
            store.partitions(table, name)
        except ColumnMismatch:
            continue
        found.append(name)
    return tuple(found)


def _table(
    name: str,
    data: pa.Table,
    types: Mapping[str, str],
    declared: Mapping[str, str],
    partitions: tuple[str, ...],
    base_dt: str,
) -> SourceTable:
    writings = {
        column: writing
        for column in data.column_names
        if f"{name}.{column}" not in declared
        and (writing := writing_in(data.column(column), column, types[column])) is not None
    }
    moments = {column: moments_of(data.column(column)) for column in writings}
    dated_by = _dated_by(dating_columns(list(writings), partition=partitions), moments, partitions)
    after = np.datetime64(end_of(base_dt), "us")
    future = np.zeros(data.num_rows, dtype=np.bool_)
    for column in dated_by:
        future |= moments[column] > after
    return SourceTable(name, data, dict(types), writings, dated_by, declared.get(name), future, moments)


def _dated_by(
    candidates: tuple[str, ...], moments: Mapping[str, Moments], partitions: tuple[str, ...]
) -> tuple[str, ...]:
    """The column that dates the rows, and those that always fall into its month."""
    known = [name for name in candidates if not np.isnat(moments[name]).all()] or list(candidates)
    if not known:
        return ()
    # a date that is often missing, or "never", tells of something else than the row
    firm = [name for name in known if _is_firm(moments[name])] or known
    periods = [name for name in firm if name in partitions or is_period(name)]
    first = periods[0] if periods else min(firm, key=lambda name: _middle(moments[name]))
    months = months_of(moments[first])
    return (first, *(name for name in firm if name != first and _agrees(months_of(moments[name]), months)))


def _is_firm(moments: Moments) -> bool:
    never = np.isnat(moments) | (moments >= NEVER)
    return bool(never.mean() < 0.5) if len(moments) else True


def _middle(moments: Moments) -> float:
    known = moments[~np.isnat(moments)]
    return float(np.median(known.astype(np.int64))) if len(known) else float("inf")


def _agrees(months: np.ndarray, with_: np.ndarray) -> bool:
    both = ~np.isnan(months) & ~np.isnan(with_)
    return bool(both.any() and (months[both] == with_[both]).mean() >= _AGREE)


class _Sample:
    """The same entities in each table that has their key."""

    def __init__(
        self,
        store: OfflineStore,
        keys: list[str],
        schema: Mapping[str, Mapping[str, str]],
        entities: int,
    ) -> None:
        self.store, self.keys = store, keys
        self.schema, self.entities = schema, entities
        self._chosen: Callable[[str, int], str] | None = None

    def read(self, table: str, columns: list[str], rows: int) -> pa.Table:
        key = next((name for name in self.keys if name in self.schema[table]), None)
        names = ", ".join(f"`{name}`" for name in columns)
        entities = self.entities
        while True:
            where = self._where(key, entities) if key is not None else ""
            data = self.store.read_sql(
                f"SELECT {names} FROM {table}{where} LIMIT {rows + 1}"  # noqa: S608
            )
            if data.num_rows <= rows or not where or entities < 2:
                return data.slice(0, rows).combine_chunks()
            entities //= 4

    def _where(self, key: str, entities: int) -> str:
        """A condition that about so many entities meet; empty where all may be read."""
        if self._chosen is None:
            self._chosen = self._chooser()
        return self._chosen(f"`{key}`", entities)

    def _chooser(self) -> Callable[[str, int], str]:
        table, key = next(
            (table, key) for key in self.keys for table, columns in self.schema.items() if key in columns
        )
        seen = self.store.read_sql(
            f"SELECT DISTINCT `{key}` FROM {table} LIMIT {_KEYS_SEEN}"  # noqa: S608
        ).column(0)
        values = seen.drop_null().to_pylist()
        if pa.types.is_integer(seen.type):
            return lambda name, count: _by_rest(name, values, count)
        if pa.types.is_string(seen.type) or pa.types.is_large_string(seen.type):
            return lambda name, count: _by_ending(name, values, count)
        return lambda name, count: ""


def _by_rest(name: str, values: list[int], count: int) -> str:
    step = -(-len(values) // max(1, count))
    return f" WHERE PMOD({name}, {step}) = {values[0] % step}" if step > 1 else ""


def _by_ending(name: str, values: list[str], count: int) -> str:
    """Keys with certain last characters: a short condition, where a list of keys would be a long one."""
    if len(values) <= count:
        return ""
    for length in (1, 2, 3, 4):
        endings = Counter(value[-length:] for value in values)
        if min(endings.values()) <= count:
            break
    chosen: list[str] = []
    total = 0
    # in an order that has nothing to do with the keys, and is the same every time
    for ending in sorted(endings, key=lambda item: hashlib.sha256(item.encode()).digest()):
        if not chosen or total + endings[ending] <= count:
            chosen.append(ending)
            total += endings[ending]
        if total >= count * 0.9 or len(chosen) >= _MOST_ENDINGS:
            break
    return f" WHERE STRRIGHT({name}, {length}) IN ({', '.join(map(_quoted, chosen))})"


def _quoted(text: str) -> str:
    return str(exp.Literal.string(text).sql(dialect=Impala))


def spread(rows: Rows, count: int) -> np.ndarray:
    """Numbers of up to `count` of the chosen rows, spread evenly over them."""
    numbers = np.flatnonzero(rows)
    if len(numbers) <= count:
        return numbers
    return numbers[np.linspace(0, len(numbers) - 1, count).astype(np.int64)]
