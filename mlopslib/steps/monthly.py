"""Reading base months from the offline store: features joined by entity, and the target of the month."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from mlopslib.dates import date_params
from mlopslib.definition import FeatureRef, FeatureSetSpec, ModelSpec
from mlopslib.errors import DataError, DefinitionInvalid, EmptyMonth
from mlopslib.profile import MonthProfiler
from mlopslib.sql import render_sql, tables_in
from mlopslib.steps.base import StepContext
from mlopslib.steps.materialise import materialise_month


class MonthReader:
    """Months of a model's inputs, from table versions that were pinned before the first read.

    Parameters
    ----------
    columns
        Column of the data set -> the feature that it holds.

    Attributes
    ----------
    versions
        Table -> version that was read; the same versions give the same rows later.
    materialised
        Feature-set months that had to be made: each with its feature set, rows and profiles.
    """

    def __init__(self, ctx: StepContext, spec: ModelSpec, columns: Mapping[str, FeatureRef]) -> None:
        self._ctx = ctx
        self._spec = spec
        self._columns = columns
        self._sets = self._pinned_sets()
        self.versions: dict[str, int] = {}
        self.materialised: list[dict[str, Any]] = []

    def read(self, parts: Mapping[str, str], *, with_target: Collection[str]) -> pd.DataFrame:
        """Rows of the months in `parts` (month -> part), sorted by month and entity.

        Raises
        ------
        EmptyMonth
            A month has no entities, or one of `with_target` no target.
        DataError
            The target query repeats an entity, gives something else than 0, 1 or NULL, or fits no entity.
        """
        months = sorted(parts)
        self._materialise(months)
        self._pin(months, with_target)
        frames = []
        for number, ym in enumerate(months):
            self._ctx.progress(number, len(months), f"Reading {ym}")
            frame = self._features(ym)
            target = self._target(ym) if ym in with_target else None
            frame.insert(1, "base_ym", ym)
            frame.insert(2, "part", parts[ym])
            frame.insert(3, "target", _align(frame[self._spec.entity_key], target, ym))
            frames.append(frame)
            self._ctx.log(f"{ym} ({parts[ym]}): {len(frame):,} rows{_responders(frame)}")
        self._ctx.progress(len(months), len(months), "")
        return pd.concat(frames, ignore_index=True)

    def _pinned_sets(self) -> list[FeatureSetSpec]:
        """Feature sets in the order of first use; the first gives the population."""
        known = {(item.name, item.version): item for item in self._ctx.feature_sets}
        wanted = dict.fromkeys((ref.feature_set, ref.version) for ref in self._columns.values())
        for name, version in wanted:
            if (name, version) not in known:
                raise DefinitionInvalid(
                    f"the model takes features of {name} v{version}, which the run does not have",
                    field="features",
                )
        return [known[pin] for pin in wanted]

    def _materialise(self, months: list[str]) -> None:
        store = self._ctx.store
        absent = [
            (feature_set, ym)
            for feature_set in self._sets
            for ym in sorted(set(months) - set(store.partitions(feature_set.table, "base_ym")))
        ]
        recorded = self._ctx.params.get("reference_yms") or {}
        profilers = {
            item.table: MonthProfiler(store, item, reference_ym=recorded.get(item.table))
            for item in dict.fromkeys(feature_set for feature_set, _ in absent)
        }
        for number, (feature_set, ym) in enumerate(absent):
            self._ctx.progress(number, len(absent), f"Making {feature_set.name} {ym}")
            made = materialise_month(store, feature_set, ym)
            self._ctx.log(f"made {feature_set.name} v{feature_set.version} {ym}: {made.rows:,} rows")
            month = {
                "feature_set": feature_set.name,
                "version": feature_set.version,
                "base_ym": ym,
                "rows": made.rows,
                "table_version": made.table_version,
                "profiles": [item.to_dict() for item in profilers[feature_set.table].profile(ym)],
            }
            self.materialised.append(month)
            # the month stands, whatever becomes of this run
            self._ctx.partial({"materialised": [month]}, {})

    def _pin(self, months: list[str], with_target: Collection[str]) -> None:
        tables = [item.table for item in self._sets]
        if with_target:
            tables += tables_in(render_sql(self._spec.target_sql, date_params(months[0])))
        store = self._ctx.store
        # a table that does not exist is named by the query that reads it
        self.versions = {name: store.table_version(name) for name in tables if store.table_exists(name)}

    def _features(self, ym: str) -> pd.DataFrame:
        frame: pd.DataFrame = self._ctx.store.read_sql(self._select(ym), versions=self.versions).to_pandas()
        if frame.empty:
            raise EmptyMonth(f"{self._sets[0].name} has no entities in {ym}", field="base_ym")
        for name, ref in self._columns.items():
            frame[name] = _as_declared(frame[name], ref)
        return frame

    def _select(self, ym: str) -> str:
        """One SELECT over the partitions of the month; every name was checked to be an identifier."""
        alias = {(item.name, item.version): f"t{number}" for number, item in enumerate(self._sets)}
        key = self._spec.entity_key
        first = self._sets[0]
        outputs = [f"t0.`{first.entity_key}` AS `{key}`"]
        outputs += [
            f"{alias[ref.feature_set, ref.version]}.`{ref.column}` AS `{name}`"
            for name, ref in self._columns.items()
        ]
        joins = [
            f"LEFT JOIN `{item.table}` t{number} ON t{number}.`{item.entity_key}` = t0.`{first.entity_key}` "
            f"AND t{number}.`base_ym` = '{ym}'"
            for number, item in enumerate(self._sets)
            if number
        ]
        return (
            f"SELECT {', '.join(outputs)} FROM `{first.table}` t0 {' '.join(joins)} "  # noqa: S608
            f"WHERE t0.`base_ym` = '{ym}' ORDER BY `{key}`"
        )

    def _target(self, ym: str) -> pd.Series[float]:
        key = self._spec.entity_key
        sql = render_sql(self._spec.target_sql, date_params(ym))
        frame = self._ctx.store.read_sql(sql, versions=self.versions).to_pandas()
        lacking = [name for name in (key, "target") if name not in frame.columns]
        if lacking:
            raise DefinitionInvalid(
                f"the target query gives {', '.join(frame.columns)}, it lacks {', '.join(lacking)}",
                field="target_sql",
            )
        if frame.empty:
            raise EmptyMonth(f"the target query has no row for {ym}", field="target_sql")
        if frame[key].isna().any() or frame[key].duplicated().any():
            raise DataError(
                f"the target query gives an entity twice, or none, in {ym}: one row for each {key} is needed",
                field="target_sql",
            )
        values = pd.to_numeric(frame["target"], errors="coerce").astype("float64")
        if (frame["target"].notna() & ~values.isin([0.0, 1.0])).any():
            raise DataError(f"the target is something else than 0, 1 or NULL in {ym}", field="target_sql")
        return pd.Series(values.to_numpy(), index=pd.Index(frame[key]))


def _as_declared(column: pd.Series[Any], ref: FeatureRef) -> pd.Series[Any]:
    """Floats for numbers; a column that is something else than the definition says is refused."""
    is_number = pd.api.types.is_numeric_dtype(column)
    if column.notna().any() and is_number != (ref.dtype == "numeric"):
        found = "numbers" if is_number else "texts"
        raise DefinitionInvalid(
            f"{ref.column} of {ref.feature_set} v{ref.version} holds {found}, the definition takes it as "
            f"{ref.dtype}",
            field=ref.column,
        )
    return column.astype("float64") if ref.dtype == "numeric" else column.astype("str")


def _align(entities: pd.Series[str], target: pd.Series[float] | None, ym: str) -> pd.Series[float]:
    """The target of each entity; an entity that the target query leaves out has none."""
    if target is None:
        return pd.Series(float("nan"), index=entities.index)
    aligned = entities.map(target).astype("float64")
    if aligned.notna().sum() == 0:
        raise DataError(
            f"no entity of {ym} has a target: is the key of the target query of the same type?",
            field="target_sql",
        )
    return aligned


def _responders(frame: pd.DataFrame) -> str:
    known = frame["target"].notna().sum()
    return f", {int(frame['target'].sum()):,} of {known:,} respond" if known else ""
