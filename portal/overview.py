"""What the home page tells: what waits, what runs, what drifts, how the champions do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db.models import Prefetch

from apps.common.access import may
from apps.common.charting import PSI_WATCH, psi_band
from apps.features.models import FeatureSet
from apps.models.models import Evaluation, FeatureDrift, ModelVersion, RegisteredModel, Review
from apps.pipelines.models import PipelineRun, StepRun
from apps.serving.models import Deployment, Endpoint
from portal.models import AuditEvent

RECENT = 8


@dataclass(frozen=True)
class Trip:
    """A PSI of a champion above a band in its newest month."""

    version: ModelVersion
    base_ym: str
    subject: str
    psi: float

    @property
    def band(self) -> str:
        return psi_band(self.psi)


@dataclass
class Health:
    """A champion's newest figures."""

    version: ModelVersion
    auc: Evaluation | None = None
    score_psi: Evaluation | None = None
    #: of the newest month, the worst last
    drifts: list[FeatureDrift] = field(default_factory=list)
    psi_by_month: list[float | None] = field(default_factory=list)
    endpoints: list[EndpointState] = field(default_factory=list)

    @property
    def worst(self) -> FeatureDrift | None:
        return self.drifts[-1] if self.drifts else None


@dataclass(frozen=True)
class EndpointState:
    endpoint: Endpoint
    live: Deployment | None
    serving: int
    workers: int


@dataclass(frozen=True)
class Waiting:
    review: Review
    gates_passed: int
    gates: int
    is_mine_to_decide: bool


@dataclass(frozen=True)
class Running:
    run: PipelineRun
    steps: int
    done: int
    current: StepRun | None


def overview(user: Any) -> dict[str, Any]:
    """The context of the home page."""
    health = champion_health()
    waiting = waiting_reviews(user)
    running = running_runs()
    trips = tripped_bands(health)
    sees_audit = may(user, "audit.view")
    is_empty = not (health or waiting or running)
    return {
        "health": health,
        "waiting": waiting,
        "waiting_for_me": sum(item.is_mine_to_decide for item in waiting),
        "running": running,
        "trips": trips,
        "act_trips": sum(trip.band == "act" for trip in trips),
        "failed": failed_runs(),
        "events": list(AuditEvent.objects.select_related("actor")[:RECENT]) if sees_audit else [],
        "recent_runs": [] if sees_audit else list(PipelineRun.objects.select_related("pipeline")[:RECENT]),
        "sees_audit": sees_audit,
        "has_feature_sets": FeatureSet.objects.exists() if is_empty else True,
        "has_models": RegisteredModel.objects.exists() if is_empty else True,
        "is_empty": is_empty,
    }


def waiting_reviews(user: Any) -> list[Waiting]:
    rows = (
        Review.objects.filter(status=Review.Status.PENDING)
        .select_related("version__registered_model", "incumbent", "requested_by", "comparison")
        .order_by("created_at")
    )
    for_me = set(Review.objects.waiting_for(user).values_list("pk", flat=True))
    found = []
    for review in rows:
        mine = review.pk in for_me
        passed = sum(gate.get("passed") is True for gate in review.gates)
        found.append(Waiting(review, passed, len(review.gates), mine))
    return sorted(found, key=lambda item: not item.is_mine_to_decide)


def running_runs() -> list[Running]:
    rows = (
        PipelineRun.objects.filter(status__in=[PipelineRun.Status.PENDING, PipelineRun.Status.RUNNING])
        .select_related("pipeline", "requested_by")
        .prefetch_related("steps")[:RECENT]
    )
    found = []
    for run in rows:
        steps = list(run.steps.all())
        done = sum(step.state == StepRun.State.SUCCEEDED for step in steps)
        current = next((step for step in steps if step.state == StepRun.State.RUNNING), None)
        found.append(Running(run, len(steps), done, current))
    return found


def failed_runs() -> list[PipelineRun]:
    """Runs whose newest attempt for the same pipeline and month failed."""
    newest: dict[tuple[int, str], PipelineRun] = {}
    for run in PipelineRun.objects.select_related("pipeline").order_by("-id")[:50]:
        newest.setdefault((run.pipeline_id, run.base_ym), run)
    return [run for run in newest.values() if run.status == PipelineRun.Status.FAILED][:5]


def champion_health() -> list[Health]:
    """Every champion with its newest AUC, PSI and serving state, in a fixed number of queries."""
    champions = (
        ModelVersion.objects.filter(stage=ModelVersion.Stage.CHAMPION)
        .select_related("registered_model")
        .order_by("registered_model__name")
    )
    by_version = {version.pk: Health(version) for version in champions}
    if not by_version:
        return []
    _add_evaluations(by_version)
    _add_drifts(by_version)
    _add_endpoints({item.version.registered_model_id: item for item in by_version.values()})
    return list(by_version.values())


def _add_evaluations(by_version: dict[int, Health]) -> None:
    rows = (
        Evaluation.objects.filter(
            version__in=by_version, dataset__in=[Evaluation.Dataset.OOT, Evaluation.Dataset.PRODUCTION]
        )
        .exclude(base_ym="")
        .defer("details")
        .order_by("base_ym", "dataset")
    )
    for row in rows:
        item = by_version[row.version_id]
        if row.auc is not None:
            item.auc = row
        if row.score_psi is not None:
            item.score_psi = row
        if row.dataset == Evaluation.Dataset.PRODUCTION:
            item.psi_by_month.append(row.score_psi)


def _add_drifts(by_version: dict[int, Health]) -> None:
    rows = FeatureDrift.objects.filter(version__in=by_version).defer("details").order_by("base_ym", "psi")
    for row in rows:
        item = by_version[row.version_id]
        if item.worst is not None and item.worst.base_ym != row.base_ym:
            item.drifts = []
        item.drifts.append(row)


def _add_endpoints(by_model: dict[int, Health]) -> None:
    live = Prefetch(
        "deployments",
        Deployment.objects.filter(state=Deployment.State.LIVE).select_related("version"),
        to_attr="live_deployments",
    )
    rows = Endpoint.objects.filter(registered_model__in=by_model).prefetch_related(live, "workers")
    for endpoint in rows:
        deployment = next(iter(endpoint.live_deployments), None)
        workers = list(endpoint.workers.all())
        serving = sum(w.state == "serving" and deployment and w.seq == deployment.seq for w in workers)
        by_model[endpoint.registered_model_id].endpoints.append(
            EndpointState(endpoint, deployment, int(serving), len(workers))
        )


def tripped_bands(health: list[Health]) -> list[Trip]:
    """Score PSI and feature PSI of champions at or above 0.10 in their newest month, worst first."""
    trips: list[Trip] = []
    for item in health:
        if item.score_psi and (item.score_psi.score_psi or 0) >= PSI_WATCH:
            trips.append(Trip(item.version, item.score_psi.base_ym, "", item.score_psi.score_psi or 0))
        drifted = [row for row in reversed(item.drifts) if row.psi >= PSI_WATCH]
        trips.extend(Trip(item.version, row.base_ym, row.feature, row.psi) for row in drifted[:5])
    return sorted(trips, key=lambda trip: -trip.psi)
