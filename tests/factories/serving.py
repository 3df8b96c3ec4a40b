"""Endpoints, deployments and workers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone

from apps.models.models import ModelVersion, RegisteredModel, Review
from apps.serving.models import Deployment, Endpoint, ServingWorker
from tests.factories.people import numbers
from tests.factories.registry import make_model, make_review, make_version


def make_endpoint(
    name: str = "loan-needs", *, model: RegisteredModel | None = None, **fields: Any
) -> Endpoint:
    model = model or RegisteredModel.objects.first() or make_model()
    values = {"identifiers": ["customId", "affiNo", "affiCode"], "echo": ["affiNo", "affiCode"]} | fields
    return Endpoint.objects.create(
        name=name, registered_model=model, owner=values.pop("owner", None) or model.owner, **values
    )


def make_deployment(
    endpoint: Endpoint | None = None,
    *,
    version: ModelVersion | None = None,
    review: Review | None = None,
    state: str = "LIVE",
    live_at: datetime | None = None,
    **fields: Any,
) -> Deployment:
    """A deployment as rows only: its manifest carries no real signature."""
    endpoint = endpoint or Endpoint.objects.first() or make_endpoint()
    if version is None:
        version = (
            review.version if review else endpoint.registered_model.versions.filter(stage="CHAMPION").first()
        )
        version = version or make_version(endpoint.registered_model, stage="champion")
    review = (
        review or version.reviews.filter(status="APPROVED").first() or make_review(version, status="APPROVED")
    )
    newest = endpoint.deployments.order_by("-seq").first()
    seq = fields.pop("seq", newest.seq + 1 if newest else 1)
    if state == "LIVE":
        endpoint.deployments.filter(state="LIVE").update(state="SUPERSEDED")
        live_at = live_at or timezone.now()
    manifest = {
        "endpoint": endpoint.name,
        "seq": seq,
        "model": endpoint.registered_model.name,
        "version": version.label,
        "package_sha256": version.package_sha256,
        "identifiers": endpoint.identifiers,
        "echo": endpoint.echo,
    }
    values = {
        "package_sha256": version.package_sha256,
        "signed_manifest": {"manifest": manifest, "key_id": "0" * 16, "signature": ""},
        "deployed_by": review.decided_by,
    } | fields
    return Deployment.objects.create(
        endpoint=endpoint, seq=seq, version=version, review=review, state=state, live_at=live_at, **values
    )


def make_worker(deployment: Deployment, *, worker_id: str | None = None, **fields: Any) -> ServingWorker:
    """A worker process that serves this deployment."""
    number = next(numbers)
    values = {
        "host": "score-01",
        "pid": 4_000 + number,
        "port": 9_000,
        "seq": deployment.seq,
        "version_label": deployment.version.label,
        "state": "serving",
        "requests": 120,
        "started_at": timezone.now(),
        "seen_at": timezone.now(),
    } | fields
    return ServingWorker.objects.create(
        worker_id=worker_id or f"score-01-{number}", endpoint=deployment.endpoint, **values
    )
