"""Look at one month of a feature set: distributions, correlations, association with a target."""

from __future__ import annotations

from typing import Any

from mlopslib.dates import date_params
from mlopslib.eda import EdaReport, explore
from mlopslib.errors import DefinitionInvalid, EmptyMonth
from mlopslib.profile import PARTITION
from mlopslib.sql import render_sql
from mlopslib.steps.base import StepContext, StepResult


def run(ctx: StepContext) -> StepResult:
    """Explore the run's base month, which must stand in the store.

    Artefact ``eda``: `mlopslib.eda.EdaReport` as JSON. Metrics ``eda``: the month, its rows and the label of
    the target, where the run's parameters name one.

    Raises
    ------
    EmptyMonth
        The month was not materialised.
    DataError, SingleClassTarget
        The target cannot be used.
    """
    if len(ctx.feature_sets) != 1:
        raise DefinitionInvalid(
            f"an EDA run has one feature set, not {len(ctx.feature_sets)}", field="feature_set"
        )
    feature_set = ctx.feature_sets[0]
    if ctx.base_ym not in ctx.store.partitions(feature_set.table, PARTITION):
        raise EmptyMonth(
            f"{feature_set.name} v{feature_set.version} has no month {ctx.base_ym}: materialise it first",
            field="base_ym",
        )
    target = _target(ctx.params.get("target"), ctx.base_ym)
    report = explore(
        ctx.store,
        feature_set.table,
        feature_set.features,
        key=feature_set.entity_key,
        partition=(PARTITION, ctx.base_ym),
        target=target,
        on_progress=ctx.progress,
    )
    if report.correlation.is_sampled:
        ctx.log(f"rank correlations on a sample of {report.correlation.spearman_rows:,} rows")
    for name in report.categories.capped:
        ctx.log(f"{name} has many levels: its rare ones count as one in its associations")
    label = target[0] if target else ""
    return StepResult(
        summary=_summary(report),
        metrics={"eda": {"base_ym": ctx.base_ym, "rows": report.rows, "target_label": label}},
        artifacts={"eda": ctx.artifacts.put_json(report.to_dict())},
    )


def _target(asked: Any, base_ym: str) -> tuple[str, str] | None:
    if not asked:
        return None
    return str(asked["label"]), render_sql(str(asked["sql"]), date_params(base_ym))


def _summary(report: EdaReport) -> str:
    numbers = sum(item.dtype == "numeric" for item in report.features)
    categories = len(report.features) - numbers
    found = " and ".join(
        f"{count:,} {word}"
        for count, word in (
            (numbers, "number" if numbers == 1 else "numbers"),
            (categories, "category" if categories == 1 else "categories"),
        )
        if count
    )
    text = f"{found} of {report.rows:,} rows"
    if report.pairs:
        pair = report.pairs[0]
        text += f"; strongest pair {pair.a} and {pair.b} ({pair.value:.2f})"
    if report.target is not None:
        known = [item for item in report.target.features if item.iv is not None]
        if known:
            best = max(known, key=lambda item: item.iv or 0.0)
            text += f"; most about {report.target.label}: {best.name} (information value {best.iv:.2f})"
    return text
