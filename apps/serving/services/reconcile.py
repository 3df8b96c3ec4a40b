"""Bringing what is asked for and what the workers do together; safe to run any number of times, anywhere."""

from __future__ import annotations

import logging

from django.db import transaction
from django.utils import timezone

from apps.common.audit import record
from apps.models.services import promote
from apps.serving.client import (
    EndpointReport,
    WorkerHeartbeat,
    WorkersView,
    alive,
    read_workers,
    write_manifests,
)
from apps.serving.models import Deployment, Endpoint, ServingWorker
from mlopslib.errors import GijunError

logger = logging.getLogger(__name__)


def publish_manifests() -> bool:
    """Lay the newest signed manifest of every endpoint where the workers look; False while Redis is away."""
    newest = Deployment.objects.newest().values_list("endpoint__name", "signed_manifest")
    return write_manifests(dict(newest))


def reconcile_deployments() -> list[Deployment]:
    """Read what the workers say; returns the deployments whose state changed by it.

    The newest deployment of an endpoint is LIVE when every live worker (and there is one) serves it, and its
    version is then the champion; REFUSED when a worker refused it. While Redis is away nothing changes.
    """
    view = read_workers()
    if not view.is_available:
        return []
    endpoints = {endpoint.name: endpoint for endpoint in Endpoint.objects.all()}
    _keep_workers(view, endpoints)
    changed = []
    for deployment in Deployment.objects.newest().select_related("endpoint"):
        if deployment.state not in (Deployment.State.PENDING, Deployment.State.REFUSED):
            continue
        try:
            after = _judge(deployment, view)
        except GijunError:
            logger.exception("%s cannot be settled", deployment)
            continue
        if after is not None:
            changed.append(after)
    return changed


def _judge(deployment: Deployment, view: WorkersView) -> Deployment | None:
    """The deployment with its new state, or None where the workers have not settled it."""
    reports = alive(view.workers, deployment.endpoint.name)
    if not reports:
        return None
    if all(_serves(report, deployment) for _, report in reports):
        return _go_live(deployment, workers=len(reports))
    refusals = sorted(
        f"{worker.worker_id}: {report.reason or 'no reason given'}"
        for worker, report in reports
        if report is not None and report.state == "refused" and report.target_seq == deployment.seq
    )
    if refusals:
        return _mark_refused(deployment, "\n".join(refusals))
    return None


def _serves(report: EndpointReport | None, deployment: Deployment) -> bool:
    return (
        report is not None
        and report.seq == deployment.seq
        and report.package_sha256 == deployment.package_sha256
    )


def _go_live(deployment: Deployment, *, workers: int) -> Deployment | None:
    state = Deployment.State
    with transaction.atomic():
        Endpoint.objects.select_for_update().get(pk=deployment.endpoint_id)
        others = Deployment.objects.filter(endpoint=deployment.endpoint_id)
        if others.filter(seq__gt=deployment.seq).exists():
            return None
        others.filter(state__in=[state.LIVE, state.PENDING]).exclude(pk=deployment.pk).update(
            state=state.SUPERSEDED
        )
        is_mine = Deployment.objects.filter(
            pk=deployment.pk, state__in=[state.PENDING, state.REFUSED]
        ).update(state=state.LIVE, reason="", live_at=timezone.now())
        if not is_mine:
            return None
        deployment = Deployment.objects.select_related("endpoint", "version__registered_model").get(
            pk=deployment.pk
        )
        record(None, "deployment.live", deployment, seq=deployment.seq, workers=workers)
        if not _is_awaited_elsewhere(deployment):
            promote(version=deployment.version)
    return deployment


def _is_awaited_elsewhere(deployment: Deployment) -> bool:
    """Whether another endpoint was asked for the same version and does not serve it yet."""
    asked = Deployment.objects.newest().filter(version=deployment.version_id)
    return asked.exclude(state=Deployment.State.LIVE).exists()


def _mark_refused(deployment: Deployment, reason: str) -> Deployment | None:
    state = Deployment.State
    with transaction.atomic():
        is_mine = Deployment.objects.filter(pk=deployment.pk, state=state.PENDING).update(
            state=state.REFUSED, reason=reason
        )
        if not is_mine:
            Deployment.objects.filter(pk=deployment.pk, state=state.REFUSED).exclude(reason=reason).update(
                reason=reason
            )
            return None
        deployment = Deployment.objects.select_related("endpoint", "version__registered_model").get(
            pk=deployment.pk
        )
        record(None, "deployment.refused", deployment, seq=deployment.seq, reason=reason)
    return deployment


def _keep_workers(view: WorkersView, endpoints: dict[str, Endpoint]) -> None:
    """Copy heartbeats into rows; a worker whose heartbeat died leaves the table."""
    rows = [
        _row(worker, endpoints[name], report)
        for worker in view.workers
        for name, report in worker.endpoints.items()
        if name in endpoints
    ]
    present = {(row.worker_id, row.endpoint_id) for row in rows}
    with transaction.atomic():
        gone = [
            pk
            for pk, worker_id, endpoint_id in ServingWorker.objects.values_list(
                "pk", "worker_id", "endpoint_id"
            )
            if (worker_id, endpoint_id) not in present
        ]
        if gone:
            ServingWorker.objects.filter(pk__in=gone).delete()
        if rows:
            ServingWorker.objects.bulk_create(
                rows,
                update_conflicts=True,
                unique_fields=["worker_id", "endpoint"],
                update_fields=[
                    "host",
                    "pid",
                    "port",
                    "seq",
                    "version_label",
                    "state",
                    "reason",
                    "requests",
                    "started_at",
                    "seen_at",
                ],
            )


def _row(worker: WorkerHeartbeat, endpoint: Endpoint, report: EndpointReport) -> ServingWorker:
    return ServingWorker(
        worker_id=worker.worker_id,
        endpoint=endpoint,
        host=worker.host,
        pid=worker.pid,
        port=worker.port,
        seq=report.seq,
        version_label=report.version,
        state=report.state,
        reason=report.reason,
        requests=report.requests,
        started_at=worker.started_at,
        seen_at=worker.at,
    )
