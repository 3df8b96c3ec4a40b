"""Run a feature query for base months and keep the answers in the offline store, with their profiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlopslib.dates import date_params, month_range, validate_ym
from mlopslib.definition import FeatureSetSpec
from mlopslib.errors import DefinitionInvalid, InvalidInput
from mlopslib.offline.base import OfflineStore, WrittenPartition
from mlopslib.profile import PARTITION, MonthProfiler
from mlopslib.sql import render_sql
from mlopslib.steps.base import StepContext, StepResult


def run(ctx: StepContext) -> StepResult:
    """Materialise the months ``first_ym`` to ``last_ym`` of the run's one feature set."""
    if len(ctx.feature_sets) != 1:
        raise DefinitionInvalid(
            f"a materialise run has one feature set, not {len(ctx.feature_sets)}", field="feature_set"
        )
    feature_set = ctx.feature_sets[0]
    months = _months(ctx.params, ctx.base_ym)
    recorded = (ctx.params.get("reference_yms") or {}).get(feature_set.table)
    profiler = MonthProfiler(ctx.store, feature_set, reference_ym=recorded)
    # months that an earlier attempt finished stand in the store and in the catalog
    found: list[dict[str, Any]] = list(ctx.reported.get("months", ()))
    done = {month["base_ym"] for month in found}
    for number, ym in enumerate(months):
        if ym in done:
            continue
        ctx.progress(number, len(months), f"{feature_set.name} {ym}")
        before = profiler.references_before(ym)
        month = materialise_month(ctx.store, feature_set, ym)
        profiles = profiler.profile(ym)
        if profiler.has_moved(before):
            ctx.log(
                f"{ym} is the month that the others are compared with, and it now holds other values: "
                "their PSI stands against the former ones until they are made again"
            )
        ctx.log(f"{ym}: {month.rows:,} rows, version {month.table_version} of {feature_set.table}")
        if month.infinite:
            ctx.log(f"{ym}: {month.infinite:,} infinite values were kept as missing")
        figures = {"base_ym": ym, "rows": month.rows, "table_version": month.table_version}
        found.append({**figures, "profiles": [profile.to_dict() for profile in profiles]})
        kept = [{name: item[name] for name in figures} for item in found]
        ctx.partial({"months": found[-1:]}, {"months": kept})
    ctx.progress(len(months), len(months), "")
    rows = sum(item["rows"] for item in found)
    return StepResult(
        summary=f"{feature_set.name} v{feature_set.version}: {len(months)} months, {rows:,} rows",
        metrics={"months": found},
    )


def materialise_month(
    store: OfflineStore,
    feature_set: FeatureSetSpec,
    ym: str,
    *,
    is_cancelled: Callable[[], bool] | None = None,
) -> WrittenPartition:
    """Run the query for one base month in the engine and replace that month's partition.

    Nothing is written unless every check passes; see `OfflineStore.write_partition`.

    Raises
    ------
    EmptyMonth
        The query gives no row.
    DataError
        The entity key is missing in a row, or comes twice.
    DefinitionInvalid
        The query's columns are not those of the feature set.
    """
    sql = render_sql(feature_set.sql, date_params(validate_ym(ym)))
    return store.write_partition(feature_set, sql, column=PARTITION, value=ym, is_cancelled=is_cancelled)


def _months(params: Mapping[str, object], base_ym: str) -> list[str]:
    """The months asked for; the run's base month alone where none are named."""
    first, last = str(params.get("first_ym") or base_ym), str(params.get("last_ym") or base_ym)
    months = month_range(validate_ym(first), validate_ym(last))
    if not months:
        raise InvalidInput(f"the first month {first} is after the last month {last}", field="first_ym")
    return months
