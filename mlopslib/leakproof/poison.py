"""Poisons: what a scratch copy's future is turned into. None of them touches what was known.

Known at the base date is a row that is dated at or before its end; in such a row, not what its other
dates say of later days, and not its labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlopslib.dates import date_params
from mlopslib.leakproof.columns import Moments, Rows, column_of, months_of, moved_by_months, put, to_moment
from mlopslib.leakproof.tables import NEVER, SourceTable, spread
from mlopslib.leakproof.values import other_entities, poisoned
from mlopslib.sql.datecolumns import companions, is_load, is_month

#: months after the base month that added rows are dated in
_MONTHS_ON = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 18, 24, 36, 120)
#: entities whose rows are copied into the future, and rows of each table that are
_ENTITIES, _ROWS = 150, 600
_DAY = np.timedelta64(1, "D").astype("timedelta64[us]")
_NOON = np.timedelta64(45_296, "s").astype("timedelta64[us]")

Counts = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Poison:
    """A way to make another future: `apply` gives a table's data and how many rows differ."""

    name: str
    #: which of the counts it adds to: changed, added, removed, later
    kind: str
    apply: Callable[[SourceTable], tuple[pa.Table, int]]


@dataclass
class World:
    """What the poisons need to know of all tables together."""

    base_dt: str
    entity_columns: frozenset[str]
    #: keys of the entities whose rows are copied
    entities: frozenset[object] = field(default_factory=frozenset)
    #: every entity that is known in some table
    everybody: frozenset[object] = field(default_factory=frozenset)
    #: the rows that the poisons add, by table
    copies: dict[str, pa.Table] = field(default_factory=dict)

    def others(self, column: pa.ChunkedArray) -> pa.Array:
        """Keys of entities that are there, by turns."""
        keys = np.array(sorted(self.everybody, key=str), dtype=object)
        if not len(keys):
            return column.combine_chunks()
        turns = keys[np.arange(len(column)) * 7 % len(keys)]
        try:
            return pa.array(turns.tolist(), type=column.type)
        except (pa.ArrowInvalid, pa.ArrowTypeError):  # keys of another kind than this table's
            return column.combine_chunks()

    @property
    def next_day(self) -> np.datetime64:
        following: np.datetime64 = to_moment(self.base_dt) + _DAY
        return following

    @property
    def base_month(self) -> int:
        return int(to_moment(self.base_dt).astype("datetime64[M]").astype(np.int64))


def poisons_of(tables: Sequence[SourceTable], base_ym: str, entity_columns: frozenset[str]) -> list[Poison]:
    world = World(date_params(base_ym)["base_dt"], entity_columns)
    for table in tables:
        name = next((column for column in table.data.column_names if column in entity_columns), None)
        if name is not None and table.data.num_rows:
            keys = table.data.column(name)
            known = ~table.future & np.asarray(keys.is_valid())
            world.everybody |= frozenset(keys.filter(pa.array(known)).unique().to_pylist())
            if not world.entities:
                world.entities = frozenset(keys.take(pa.array(spread(known, _ENTITIES))).to_pylist())
    return [
        Poison("the rows after the base date are removed", "removed", _removed),
        Poison("the rows after the base date have other values", "changed", lambda t: _changed(t, "high")),
        Poison(
            "the rows after the base date have other, low values", "changed", lambda t: _changed(t, "low")
        ),
        Poison("copies of known rows follow in later months", "added", lambda t: _added(t, world, "")),
        Poison("rows with other values follow", "added", lambda t: _added(t, world, "high")),
        Poison("rows of new entities follow", "added", lambda t: _added(t, world, "low")),
        Poison("what known rows say of later days is another", "later", lambda t: _later(t, world, "high")),
        Poison("what known rows say of later days is undone", "later", lambda t: _later(t, world, "low")),
    ]


def _removed(table: SourceTable) -> tuple[pa.Table, int]:
    return table.data.filter(pa.array(~table.future)), int(table.future.sum())


def _changed(table: SourceTable, way: str) -> tuple[pa.Table, int]:
    rows = table.future
    data = table.data
    if not rows.any():
        return data, 0
    for name in data.column_names:
        if name in table.keys or name in table.dated_by:
            continue
        if name in table.writings:
            months = 1 if way == "high" else 5
            moved = moved_by_months(table.moments[name], months, table.writings[name])
            data = _with(data, name, rows, table.writings[name], moved)
        else:
            data = _set(data, name, poisoned(data.column(name), rows, way=way))
    if way == "low":  # later, but still after the base date
        for name in table.dated_by:
            moved = moved_by_months(table.moments[name], 1, table.writings[name])
            data = _with(data, name, rows, table.writings[name], moved)
    return data, int(rows.sum())


def _added(table: SourceTable, world: World, way: str) -> tuple[pa.Table, int]:
    """Rows after the base date: of the same entities, of others that may have had none, of new ones."""
    if table.name not in world.copies:
        world.copies[table.name] = _all_copies(table, world)
    new = world.copies[table.name]
    if not new.num_rows:
        return table.data, 0
    everything = np.ones(new.num_rows, dtype=np.bool_)
    for name in new.column_names:
        if name in world.entity_columns:
            column = new.column(name)
            every_third = np.arange(new.num_rows) % 3 == 0
            keys = other_entities(column) if way == "low" else world.others(column)
            new = _set(new, name, put(column, every_third, keys))
        elif way and name not in table.keys and name not in table.writings:
            new = _set(new, name, poisoned(new.column(name), everything, way=way))
    return pa.concat_tables([table.data, new]), new.num_rows


def _all_copies(table: SourceTable, world: World) -> pa.Table:
    numbers = _to_copy(table, world)
    if not len(numbers):
        return table.data.slice(0, 0)
    at_once = [_copies(table, numbers, world, months) for months in _MONTHS_ON]
    at_once += [_copies(table, numbers, world, None, at=at) for at in (np.timedelta64(0, "us"), _NOON)]
    return pa.concat_tables(at_once).combine_chunks()


def _to_copy(table: SourceTable, world: World) -> np.ndarray:
    """Known rows of the chosen entities, the newest first; any rows where there are none."""
    rows = ~table.future & ~np.isnat(table.row_moments)
    if not rows.any():
        rows = np.ones(table.data.num_rows, dtype=np.bool_)
    name = next((column for column in table.data.column_names if column in world.entity_columns), None)
    if name is not None and world.entities:
        kind = table.data.column(name).type
        try:
            chosen = pa.array(sorted(world.entities, key=str), type=kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            chosen = pa.array([], type=kind)
        theirs = rows & np.asarray(pc.is_in(table.data.column(name), value_set=chosen))
        rows = theirs if theirs.any() else rows
    numbers = np.flatnonzero(rows)
    newest = numbers[np.argsort(-table.row_moments[numbers].astype(np.int64), kind="stable")]
    half = newest[: _ROWS // 2]
    return np.unique(np.concatenate([half, spread(rows, _ROWS - len(half))]))


def _copies(
    table: SourceTable,
    numbers: np.ndarray,
    world: World,
    months: int | None,
    *,
    at: np.timedelta64 | None = None,
) -> pa.Table:
    """Copies of rows, dated so many months after the base month, or on the day after the base date."""
    data = table.data.take(pa.array(numbers))
    own = table.row_moments[numbers]
    shift = world.base_month + (1 if months is None else months) - months_of(own)
    by = np.where(np.isnan(shift), 0, shift).astype(np.int64)
    for name, writing in table.writings.items():
        given = table.moments[name][numbers]
        moved = moved_by_months(given, by, writing)
        if name in table.dated_by:
            there = _after(moved, world, months, at, is_month=is_month(writing))
            moved = np.where(np.isnat(given), given, there) if name != table.dated_by[0] else there
        else:
            moved = np.where(given >= NEVER, given, moved)
        kind = data.column(name).type
        data = _set(data, name, pa.chunked_array([column_of(moved, writing, kind)]))
    return data


def _after(
    moved: Moments, world: World, months: int | None, at: np.timedelta64 | None, *, is_month: bool
) -> Moments:
    """Dates that are surely after the base date."""
    if is_month:
        first = np.datetime64(world.base_month + (months or 1), "M").astype("datetime64[us]")
        return np.full(moved.shape, first)
    if months is None:
        return np.full(moved.shape, world.next_day + (at if at is not None else np.timedelta64(0, "us")))
    # a base date before the end of its month may be followed by days of the same month
    there = np.where(np.isnat(moved), world.next_day, moved)
    return np.maximum(there, world.next_day)


def _later(table: SourceTable, world: World, way: str) -> tuple[pa.Table, int]:
    """Other values for what a known row can only say in hindsight."""
    data, touched = table.data, np.zeros(table.data.num_rows, dtype=np.bool_)
    known = ~table.future
    for name in table.secondary():
        rows = known & _hindsight(table, name, world)
        if not rows.any():
            continue
        moved = _another_later(table.moments[name], world, way, _has_never(table.moments[name]))
        data = _with(data, name, rows, table.writings[name], moved)
        for other in companions(name, data.column_names):
            if other not in table.writings and other not in table.keys:
                data = _set(data, other, poisoned(data.column(other), rows, way=way))
        touched |= rows
    for name, horizon in table.labels.items():
        if name in table.writings:
            continue
        rows = known & _unripe(table, world, horizon)
        if rows.any():
            data = _set(data, name, poisoned(data.column(name), rows, way=way))
            touched |= rows
    return data, int(touched.sum())


def _hindsight(table: SourceTable, name: str, world: World) -> Rows:
    """Rows whose date in a column lies after the base date, or is yet to come.

    A missing date means "not yet" only where the column is filled in afterwards: where some row has a
    date in it that is later than the row itself.
    """
    moments = table.moments[name]
    own = table.row_moments
    later = moments >= world.next_day
    if is_load(name):
        return later & (moments < NEVER)
    ends = (own.astype("datetime64[M]") + np.timedelta64(1, "M")).astype("datetime64[us]")
    is_later = (moments > own) if not is_month(table.writings[table.dated_by[0]]) else (moments >= ends)
    is_filled_in = bool((is_later & (moments < NEVER)).any())
    return (later | np.isnat(moments)) if is_filled_in else (later & (moments < NEVER))


def _has_never(moments: Moments) -> np.datetime64 | None:
    """How a column says "never": a far date, or nothing (NaT); None where it never says so."""
    far = moments[moments >= NEVER]
    if len(far):
        return np.datetime64(far[0], "us")
    return np.datetime64("NaT", "us") if np.isnat(moments).any() else None


def _another_later(moments: Moments, world: World, way: str, never: np.datetime64 | None) -> Moments:
    """Another date after the base date; every second one "never" where the column says so."""
    step = 2 if way == "high" else 9
    months = months_of(np.where((moments >= NEVER) | np.isnat(moments), np.datetime64("NaT", "us"), moments))
    own = np.where(np.isnan(months), world.base_month + 1, months).astype(np.int64)
    first = (own + step).astype("datetime64[M]").astype("datetime64[us]")
    moved = np.maximum(first, world.next_day)
    if never is not None:
        parity = 0 if way == "high" else 1
        moved = np.where(np.arange(len(moments)) % 2 == parity, never, moved)
    found: Moments = moved.astype("datetime64[us]")
    return found


def _unripe(table: SourceTable, world: World, horizon: int) -> Rows:
    """Rows whose label is not yet known at the base date; all where it does not say how far it looks."""
    if not horizon:
        return np.ones(table.data.num_rows, dtype=np.bool_)
    months = months_of(table.row_moments)
    return ~np.isnan(months) & (months + horizon > world.base_month)


def _set(data: pa.Table, name: str, column: pa.ChunkedArray | pa.Array) -> pa.Table:
    position = data.column_names.index(name)
    return data.set_column(position, data.schema.field(name), column.cast(data.schema.field(name).type))


def _with(data: pa.Table, name: str, rows: Rows, writing: str, moments: Moments) -> pa.Table:
    column = data.column(name)
    return _set(data, name, put(column, rows, column_of(moments, writing, column.type)))  # type: ignore[arg-type]
