"""Prove of one base month that a feature set does not read the future."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from mlopslib.dates import date_params
from mlopslib.definition import FeatureSetSpec
from mlopslib.errors import QueryCancelled
from mlopslib.leakproof.compare import Difference, differences, merged, sorted_answer
from mlopslib.leakproof.poison import Poison, poisons_of
from mlopslib.leakproof.scratch import Scratch, memory_scratch
from mlopslib.leakproof.tables import SourceTable, read_tables
from mlopslib.offline.base import OfflineStore
from mlopslib.sql.leaks import SourceBounds, date_bounds
from mlopslib.sql.lineage import sources_of
from mlopslib.sql.render import render_sql

Outcome = Literal["PROVED", "LEAK", "UNDECIDED"]

#: entities in the scratch copy, and rows of a table that has no entity's key
_ENTITIES, _ROWS = 1_000, 1_000_000
_SEED = 20221110


@dataclass(frozen=True)
class LeakProofResult:
    """What the future-poison test found of one base month.

    `poisoned` counts rows by table and kind: changed, added, removed, and `later` for known rows in
    which only what they say of later days was changed. `differences` name each feature that moved, how
    many entities it moved for, and one of them before and after.
    """

    outcome: Outcome
    sentence: str
    poisoned: dict[str, dict[str, int]] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    bounds: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def prove(
    store: OfflineStore,
    spec: FeatureSetSpec,
    base_ym: str,
    *,
    timeless: Mapping[str, str],
    labels: Collection[tuple[str, str]] = (),
    on_progress: Callable[[float, float, str], None] = lambda done, total, text: None,
    is_cancelled: Callable[[], bool] = lambda: False,
    scratch: Scratch | None = None,
    entities: int = _ENTITIES,
    rows: int = _ROWS,
) -> LeakProofResult:
    """Change the future in a scratch copy, compute the features again, and compare.

    The tables that the query reads are copied for a sample of entities, only the columns that it reads
    and those that hold dates. Then seven poisons follow one another, each on a fresh copy: rows dated
    after the base date are removed; given other values in two ways; joined by copies of known rows,
    dated from the first moment after the base date to ten years on; joined by rows of new entities;
    and what known rows say of later days (a closing date that lies ahead, a label) is changed in two
    ways. The answer, sorted by entity, must be the same to the byte; a double may differ in its last
    digits, below one part in 10**12, where the engine adds in another order.

    The real tables are only read. The copy lives in an embedded engine in memory: which rows a query
    reads does not depend on the engine, and that the values are the same is tested for each engine.
    Give `StoreScratch(store)` to run the query in the store's own engine, on tables made for the test.

    Parameters
    ----------
    store
        Where the source tables are.
    spec
        The feature set; its query is not rendered.
    base_ym
        The base month; its last day is the base date. A row of that day, up to its last microsecond, is
        known; the first moment of the next day is the future.
    timeless
        Tables whose rows say nothing about what comes later, with the reason; they stay as they are. A
        key ``"table.column"`` declares one column: a due date is known when the contract is signed.
    labels
        Columns (table, column) that are filled in after the date of their row.
    on_progress, is_cancelled
        Told and asked between the steps.
    scratch
        Where the query is run again; an embedded engine in memory by default.
    entities, rows
        How many entities are copied; how many rows of a table without their key.

    Raises
    ------
    SqlRejected, UnknownParameter
        The query does not pass the guard.
    QueryCancelled
        `is_cancelled` said so.
    """
    run = _Run(store, spec, base_ym, timeless, labels, on_progress, is_cancelled)
    with memory_scratch() if scratch is None else nullcontext(scratch) as place:
        return run.prove(place, entities=entities, rows=rows)


class _Run:
    def __init__(
        self,
        store: OfflineStore,
        spec: FeatureSetSpec,
        base_ym: str,
        timeless: Mapping[str, str],
        labels: Collection[tuple[str, str]],
        on_progress: Callable[[float, float, str], None],
        is_cancelled: Callable[[], bool],
    ) -> None:
        self.store, self.spec, self.base_ym = store, spec, base_ym
        self.timeless, self.labels = timeless, labels
        self.on_progress, self.is_cancelled = on_progress, is_cancelled
        self.sql = render_sql(spec.sql, date_params(base_ym))
        self.base_dt = date_params(base_ym)["base_dt"]

    def prove(self, scratch: Scratch, *, entities: int, rows: int) -> LeakProofResult:
        self._tell(0, 10, "Copying what the query reads")
        tables = read_tables(
            self.store,
            self.spec,
            self.base_ym,
            timeless=self.timeless,
            labels=set(self.labels),
            entities=entities,
            rows=rows,
            check=self._check,
        )
        bounds = self._bounds(tables)
        self._tell(1, 10, "Computing the features")
        before = self._answer(scratch, {table.name: table.data for table in tables})
        noisy, unstable = self._control(scratch, tables, before)
        found: list[Difference] = []
        counts: dict[str, dict[str, int]] = {
            table.name: {"changed": 0, "added": 0}
            for table in tables
            if table.timeless is None and table.dated_by
        }
        poisons = poisons_of(tables, self.base_ym, self._entity_columns(tables))
        for number, poison in enumerate(poisons):
            self._tell(3 + number, 10, f"Poisoning: {poison.name}")
            data = self._poisoned(tables, poison, counts)
            if data is not None:
                after = self._answer(scratch, data)
                found = merged(found, differences(before, after, self.spec.entity_key, noisy=noisy))
        self._tell(10, 10, "")
        return self._result(tables, bounds, before, counts, found, unstable)

    def _tell(self, done: float, total: float, text: str) -> None:
        self._check()
        self.on_progress(done, total, text)

    def _check(self) -> None:
        if self.is_cancelled():
            raise QueryCancelled("the leak proof was cancelled")

    def _answer(self, scratch: Scratch, data: Mapping[str, pa.Table]) -> pa.Table:
        self._check()
        return sorted_answer(scratch.run(self.sql, data), self.spec)

    def _bounds(self, tables: list[SourceTable]) -> list[SourceBounds]:
        return date_bounds(
            self.spec.sql,
            self.base_ym,
            schema={table.name: table.types for table in tables},
            timeless=self.timeless,
            writings={table.name: table.writings for table in tables},
            dated_by={table.name: table.dated_by for table in tables},
        )

    def _control(
        self, scratch: Scratch, tables: list[SourceTable], before: pa.Table
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Features that move when the rows are only shuffled: in their last digits, or wholly."""
        random = np.random.default_rng(_SEED)
        shuffled = {
            table.name: table.data.take(pa.array(random.permutation(table.data.num_rows))) for table in tables
        }
        self._tell(2, 10, "Computing them again from the same rows in another order")
        after = self._answer(scratch, shuffled)
        key = self.spec.entity_key
        moved = {item["feature"] for item in differences(before, after, key)}
        unstable = {item["feature"] for item in differences(before, after, key, noisy=before.column_names)}
        return frozenset(moved - unstable), frozenset(unstable)

    def _entity_columns(self, tables: list[SourceTable]) -> frozenset[str]:
        schema = {table.name: dict.fromkeys(table.data.column_names, "") for table in tables}
        origins = sources_of(self.spec.sql, schema).get(self.spec.entity_key, frozenset())
        return frozenset({column for _, column in origins} | {self.spec.entity_key})

    def _poisoned(
        self, tables: list[SourceTable], poison: Poison, counts: dict[str, dict[str, int]]
    ) -> dict[str, pa.Table] | None:
        """The copy with one poison in every table that it can be put into; None where there is none."""
        data, touched = {}, False
        for table in tables:
            data[table.name] = table.data
            if table.name in counts:
                data[table.name], count = poison.apply(table)
                touched = touched or count > 0
                known = counts[table.name]
                if count or poison.kind in known:
                    known[poison.kind] = max(known.get(poison.kind, 0), count)
        return data if touched else None

    def _result(
        self,
        tables: list[SourceTable],
        bounds: list[SourceBounds],
        before: pa.Table,
        counts: dict[str, dict[str, int]],
        found: list[Difference],
        unstable: frozenset[str],
    ) -> LeakProofResult:
        outcome, sentence = self._verdict(tables, bounds, before, counts, found, unstable)
        return LeakProofResult(outcome, sentence, counts, found, [item.to_dict() for item in bounds])

    def _verdict(
        self,
        tables: list[SourceTable],
        bounds: list[SourceBounds],
        before: pa.Table,
        counts: dict[str, dict[str, int]],
        found: list[Difference],
        unstable: frozenset[str],
    ) -> tuple[Outcome, str]:
        leaking = [item for item in found if item["feature"] not in unstable]
        if leaking:
            return "LEAK", self._leak_words(leaking, tables, bounds)
        base = f"{self.base_dt[:4]}-{self.base_dt[4:6]}-{self.base_dt[6:]}"
        if unstable:
            names = ", ".join(sorted(unstable))
            return "UNDECIDED", (
                f"{names} changes when the rows are only read in another order, so nothing can be proved: "
                "make the ORDER BY of its window complete, so that no two rows tie."
            )
        if not before.num_rows:
            return "UNDECIDED", f"The query gives no row for {self.base_ym}, so there is nothing to compare."
        undated = [table.name for table in tables if table.timeless is None and not table.dated_by]
        untouched = [name for name, kinds in counts.items() if not any(kinds.values())]
        if undated:
            return "UNDECIDED", (
                f"No column of {' and '.join(undated)} holds a date, so its future cannot be changed: "
                "declare it timeless, with the reason."
            )
        if untouched or not counts:
            what = (
                " and ".join(untouched) + " has no rows" if untouched else "every table is declared timeless"
            )
            return "UNDECIDED", f"Nothing could be poisoned: {what}."
        changed = sum(kinds.get("changed", 0) for kinds in counts.values())
        added = sum(kinds.get("added", 0) for kinds in counts.values())
        sentence = (
            f"{before.num_rows:,} entities kept every value when {changed:,} rows after {base} were changed "
            f"or removed and {added:,} were added."
        )
        loose = sorted({item.table for item in bounds if not item.is_clean})
        if loose:
            sentence += f" The text alone does not show it for {' and '.join(loose)}."
        return "PROVED", sentence

    def _leak_words(
        self, found: list[Difference], tables: list[SourceTable], bounds: list[SourceBounds]
    ) -> str:
        first = found[0]
        names = ", ".join(item["feature"] for item in found[:5]) + (" and others" if len(found) > 5 else "")
        example = first["example"]
        sentence = (
            f"{names} {'reads' if len(found) == 1 else 'read'} the future of {self.base_ym}: for entity "
            f"{example['entity']}, {first['feature']} was {_shown(example['before'])} and became "
            f"{_shown(example['after'])} when only what comes after the base date was changed."
        )
        loose = [item for item in bounds if not item.is_clean]
        if loose:
            return f"{sentence} In {loose[0].where}, {loose[0].table}: {loose[0].reason}."
        ahead = [f"{table.name}.{name}" for table in tables for name in (*table.secondary(), *table.labels)]
        if ahead:
            return (
                f"{sentence} It may be {' or '.join(ahead[:3])}, which can tell of later days; "
                "if that is known beforehand, as a due date is, declare the column timeless, with the reason."
            )
        return sentence


def _shown(value: Any) -> str:
    return "missing" if value is None else str(value)
