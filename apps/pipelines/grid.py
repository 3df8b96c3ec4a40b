"""Feature sets by months: what stands in the store, what is under way, what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db.models import Max, Min
from django.db.models.fields.json import KT
from django.utils import timezone

from apps.features.models import FeatureSet, Materialisation
from apps.pipelines.models import PipelineRun, Schedule, StepRun, Template
from apps.pipelines.querysets import ACTIVE
from apps.pipelines.schedules import base_month, latest_due
from mlopslib.dates import add_months, month_range

#: runs of the shown feature sets that are looked at, newest first
_NEWEST_RUNS = 500


class CellState(StrEnum):
    DONE = "done"
    RUNNING = "running"
    QUEUED = "queued"
    FAILED = "failed"
    MISSING = "missing"
    NOT_DUE = "not_due"


@dataclass(frozen=True)
class Cell:
    """One base month of one feature set."""

    ym: str
    state: CellState
    rows: int | None = None
    made_at: datetime | None = None
    run_id: int | None = None


@dataclass
class Line:
    """One feature set's months. `wanted` are those that a back-fill of the window would make."""

    feature_set: FeatureSet
    cells: list[Cell]
    schedule: Schedule | None = None
    active_run: int | None = None

    @property
    def wanted(self) -> list[str]:
        states = (CellState.MISSING, CellState.FAILED)
        return [cell.ym for cell in self.cells if cell.state in states]

    def count(self, *states: str) -> int:
        return sum(cell.state in states for cell in self.cells)

    @property
    def done(self) -> int:
        return self.count(CellState.DONE)

    @property
    def under_way(self) -> int:
        return self.count(CellState.RUNNING, CellState.QUEUED)


@dataclass(frozen=True)
class _Run:
    """A materialise run as the grid sees it: its range, and the months that it has finished."""

    pk: int
    status: str
    first_ym: str
    last_ym: str
    finished_at: datetime | None
    done: frozenset[str] = frozenset()

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE

    @property
    def turn(self) -> str:
        """The month that it works at, or at which it ended; empty where none is left."""
        months = month_range(self.first_ym, self.last_ym)
        return next((ym for ym in months if ym not in self.done), "")


@dataclass
class _Facts:
    """What the tables say of the shown feature sets; read in a fixed number of queries."""

    made: dict[int, dict[str, Materialisation]] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)
    runs: dict[int, list[_Run]] = field(default_factory=dict)
    schedules: dict[int, Schedule] = field(default_factory=dict)


def newest_due(schedule: Schedule | None, now: datetime, newest_of_all: str) -> str:
    """The newest month that should stand: by the schedule, else the newest that any feature set has."""
    if schedule is not None and schedule.is_enabled:
        return base_month(schedule, latest_due(schedule, now))
    return newest_of_all


def newest_month_of_all(now: datetime) -> str:
    """The newest month in the store; the last complete calendar month while it is empty."""
    newest = Materialisation.objects.aggregate(newest=Max("base_ym"))["newest"]
    return newest or add_months(f"{timezone.localtime(now):%Y%m}", -1)


def lines_of(
    feature_sets: Sequence[FeatureSet], months: Sequence[str], *, now: datetime, newest_of_all: str
) -> list[Line]:
    """The grid's lines. Five queries, whatever the number of sets and months."""
    facts = _read(feature_sets, months)
    lines = []
    for row in feature_sets:
        schedule = facts.schedules.get(row.pk)
        last = newest_due(schedule, now, newest_of_all)
        runs = facts.runs.get(row.pk, [])
        made = facts.made.get(row.pk, {})
        first = facts.first.get(row.name, "")
        cells = [_cell(ym, made.get(ym), runs, is_due=first <= ym <= last) for ym in months]
        active = next((run.pk for run in reversed(runs) if run.is_active), None)
        lines.append(Line(row, cells, schedule, active))
    return lines


def _cell(ym: str, made: Materialisation | None, runs: Iterable[_Run], *, is_due: bool) -> Cell:
    """The newest run that says something of the month decides; then what stands in the store."""
    rows, made_at, run_id = (made.rows, made.created_at, None) if made else (None, None, None)
    for run in runs:
        if not run.first_ym <= ym <= run.last_ym:
            continue
        if run.is_active and ym not in run.done:
            at_work = run.status == PipelineRun.Status.RUNNING and ym == run.turn
            return Cell(ym, CellState.RUNNING if at_work else CellState.QUEUED, rows, made_at, run.pk)
        if ym in run.done or run.status == PipelineRun.Status.SUCCEEDED:
            run_id = run_id or run.pk
            break
        is_newer = made_at is None or (run.finished_at is not None and run.finished_at > made_at)
        if run.status == PipelineRun.Status.FAILED and ym == run.turn and is_newer:
            return Cell(ym, CellState.FAILED, rows, made_at, run.pk)
    if made is not None:
        return Cell(ym, CellState.DONE, rows, made_at, run_id)
    return Cell(ym, CellState.MISSING if is_due else CellState.NOT_DUE)


def _read(feature_sets: Sequence[FeatureSet], months: Sequence[str]) -> _Facts:
    facts = _Facts()
    shown = Materialisation.objects.filter(feature_set__in=feature_sets)
    for item in shown.filter(base_ym__gte=months[0], base_ym__lte=months[-1]):
        facts.made.setdefault(item.feature_set_id, {})[item.base_ym] = item
    names = [row.name for row in feature_sets]
    # an older version's months tell where the history begins
    firsts = Materialisation.objects.filter(feature_set__name__in=names).order_by()
    facts.first = dict(firsts.values_list("feature_set__name").annotate(first=Min("base_ym")))
    facts.runs = _runs(feature_sets)
    schedules = Schedule.objects.filter(
        pipeline__feature_set__in=feature_sets, pipeline__template=Template.MATERIALISE
    )
    for schedule in schedules.select_related("pipeline").order_by("is_enabled", "-pk"):
        # an enabled one comes last and stays
        facts.schedules[schedule.pipeline.feature_set_id] = schedule
    return facts


def _runs(feature_sets: Sequence[FeatureSet]) -> dict[int, list[_Run]]:
    """Materialise runs of each set, newest first. The frozen definitions stay in the database."""
    rows: list[dict[str, Any]] = list(
        PipelineRun.objects.filter(pipeline__feature_set__in=feature_sets, template=Template.MATERIALISE)
        .order_by("-pk")
        .values("pk", "status", "base_ym", "finished_at", "pipeline__feature_set_id")
        .annotate(first=KT("params__first_ym"), last=KT("params__last_ym"))[:_NEWEST_RUNS]
    )
    unfinished = [row["pk"] for row in rows if row["status"] != PipelineRun.Status.SUCCEEDED]
    steps = StepRun.objects.filter(run__in=unfinished, name="materialise").values_list("run_id", "metrics")
    done = {run_id: _finished(metrics) for run_id, metrics in steps}
    runs: dict[int, list[_Run]] = {}
    for row in rows:
        run = _Run(
            row["pk"],
            row["status"],
            row["first"] or row["base_ym"],
            row["last"] or row["base_ym"],
            row["finished_at"],
            done.get(row["pk"], frozenset()),
        )
        runs.setdefault(row["pipeline__feature_set_id"], []).append(run)
    return runs


def _finished(metrics: dict[str, Any]) -> frozenset[str]:
    return frozenset(month["base_ym"] for month in metrics.get("months", ()))
