"""Fill the months of a feature set that are not in the store, the oldest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.features.models import FeatureSet
from apps.pipelines.grid import CellState, lines_of, newest_month_of_all
from apps.pipelines.models import PipelineRun, Template
from apps.pipelines.services import ensure_pipeline, start_run
from mlopslib.dates import add_months, month_range, validate_ym
from mlopslib.errors import InvalidDate

#: more months than a bank keeps: a longer range is a typing error
MOST_MONTHS = 240


def back_fill(
    *,
    actor: Any,
    feature_set: FeatureSet,
    first_ym: str,
    last_ym: str,
    trigger: str,
    only_missing: bool = True,
    idempotency_key: str | None = None,
) -> list[PipelineRun]:
    """Start the runs that make the months from `first_ym` to `last_ym`, one for each stretch without a gap.

    Months that a run is already making are left to it, so pressing twice starts nothing twice. With
    `only_missing` the months that stand are left alone, and so are those that are not due.
    Raises AccessDenied, InvalidDate, PipelineInvalid.
    """
    months = _range(first_ym, last_ym)
    with transaction.atomic():
        pipeline = ensure_pipeline(actor=actor, template=Template.MATERIALISE, feature_set=feature_set)
        # two people who press at the same moment come one after the other
        FeatureSet.objects.select_for_update(no_key=True).get(pk=feature_set.pk)
        wanted = _wanted(feature_set, months, only_missing=only_missing)
        return [
            start_run(
                actor=actor,
                pipeline=pipeline,
                base_ym=last,
                trigger=trigger,
                params={"first_ym": first, "last_ym": last},
                idempotency_key=f"{idempotency_key}:{feature_set.pk}:{first}" if idempotency_key else None,
            )
            for first, last in stretches(wanted)
        ]


def stretches(months: Sequence[str]) -> list[tuple[str, str]]:
    """Runs of months without a gap, as (first, last).

    >>> stretches(["202611", "202612", "202701", "202704"])
    [('202611', '202701'), ('202704', '202704')]
    """
    found: list[tuple[str, str]] = []
    for ym in sorted(months):
        if found and add_months(found[-1][1], 1) == ym:
            found[-1] = (found[-1][0], ym)
        else:
            found.append((ym, ym))
    return found


def _wanted(feature_set: FeatureSet, months: list[str], *, only_missing: bool) -> list[str]:
    now = timezone.now()
    [line] = lines_of([feature_set], months, now=now, newest_of_all=newest_month_of_all(now))
    if only_missing:
        return line.wanted
    under_way = (CellState.RUNNING, CellState.QUEUED)
    return [cell.ym for cell in line.cells if cell.state not in under_way]


def _range(first_ym: str, last_ym: str) -> list[str]:
    months = []
    for field, value in (("first_ym", first_ym), ("last_ym", last_ym)):
        try:
            months.append(validate_ym(value))
        except InvalidDate as error:
            raise InvalidDate(error.message, field=field) from error
    found = month_range(*months)
    if not 0 < len(found) <= MOST_MONTHS:
        raise InvalidDate(
            f"{first_ym} to {last_ym} is not a range: the first month comes first, "
            f"and there are {MOST_MONTHS} months at most",
            field="first_ym",
        )
    return found
