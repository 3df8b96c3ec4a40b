"""Putting approved versions behind endpoints: by approval, or by going back to one approved before."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from apps.common.access import require
from apps.common.audit import record
from apps.models.models import ModelVersion, RegisteredModel, Review
from apps.models.services import decide_review
from apps.models.services.reviews import require_decider
from apps.serving.models import Deployment, Endpoint
from apps.serving.services.reconcile import publish_manifests
from mlopslib.errors import Conflict, InvalidInput
from mlopslib.package.signing import sign

ENDPOINT_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
#: what an answer holds beside the repeated identifiers
_ANSWER_FIELDS = frozenset({"score"})


def create_endpoint(
    *,
    actor: Any,
    name: str,
    registered_model: RegisteredModel,
    identifiers: Sequence[str],
    echo: Sequence[str],
) -> Endpoint:
    """Open a name that services will call; nothing answers on it until a version is deployed.

    Raises AccessDenied, InvalidInput, Conflict.
    """
    require(actor, "endpoints.create")
    if not ENDPOINT_NAME.fullmatch(name):
        raise InvalidInput(
            f"{name!r} is not a name for an endpoint: start with a lower-case letter, then a-z, 0-9, -",
            field="name",
        )
    _check_identifiers(registered_model, identifiers, echo)
    try:
        with transaction.atomic():
            endpoint = Endpoint.objects.create(
                name=name,
                registered_model=registered_model,
                identifiers=list(identifiers),
                echo=list(echo),
                owner=actor,
            )
            record(
                actor,
                "endpoint.created",
                endpoint,
                model=registered_model.name,
                identifiers=list(identifiers),
                echo=list(echo),
            )
    except IntegrityError as error:
        raise Conflict(f"there is an endpoint {name} already", field="name") from error
    return endpoint


def _check_identifiers(model: RegisteredModel, identifiers: Sequence[str], echo: Sequence[str]) -> None:
    if len(set(identifiers)) != len(identifiers):
        raise InvalidInput("an identifier is named once", field="identifiers")
    for name in identifiers:
        if not isinstance(name, str) or not _FIELD_NAME.fullmatch(name):
            raise InvalidInput(
                f"{name!r} is not a field name: use letters, digits and _ (63 at most)", field="identifiers"
            )
    spec = model.spec
    inputs = {ref.column for ref in spec.features} | {item.name for item in spec.derived}
    if taken := sorted(set(identifiers) & inputs):
        raise InvalidInput(f"{', '.join(taken)}: an input of {model} already", field="identifiers")
    if taken := sorted(set(identifiers) & _ANSWER_FIELDS):
        raise InvalidInput(f"{', '.join(taken)}: a field of the answer already", field="identifiers")
    if unknown := [name for name in echo if name not in identifiers]:
        raise InvalidInput(f"{', '.join(map(str, unknown))}: not among the identifiers", field="echo")
    if len(set(echo)) != len(echo):
        raise InvalidInput("a repeated identifier is named once", field="echo")


def approve_and_deploy(*, actor: Any, review: Review, note: str = "") -> list[Deployment]:
    """Approve a version and ask the workers of every endpoint of its model to serve it: all or nothing.

    It becomes the champion when they do (`reconcile_deployments`).
    Raises AccessDenied, Conflict, InvalidInput, SignatureInvalid.
    """
    # refused before the transaction, so that the refusal itself stays in the audit trail
    require_decider(actor, review, Review.Status.APPROVED)
    with transaction.atomic():
        review = decide_review(actor=actor, review=review, decision=Review.Status.APPROVED, note=note)
        version = ModelVersion.objects.select_related("registered_model").get(pk=review.version_id)
        endpoints = list(
            Endpoint.objects.select_for_update()
            .filter(registered_model=version.registered_model_id)
            .order_by("name")
        )
        if not endpoints:
            raise Conflict(f"no endpoint serves {version.registered_model}: create one, then approve")
        deployments = [_deploy(actor, endpoint, version, review) for endpoint in endpoints]
        transaction.on_commit(publish_manifests, robust=True)
    return deployments


def roll_back(*, actor: Any, endpoint: Endpoint, version: ModelVersion) -> Deployment:
    """Ask the workers of an endpoint for a version that was approved before: a new, higher sequence number.

    Raises AccessDenied, Conflict, InvalidInput, SignatureInvalid.
    """
    require(actor, "deployments.roll_back")
    if version.registered_model_id != endpoint.registered_model_id:
        raise InvalidInput(
            f"{version} is not a version of {endpoint.registered_model}, which {endpoint} serves",
            field="version",
        )
    with transaction.atomic():
        endpoint = Endpoint.objects.select_for_update().get(pk=endpoint.pk)
        version = ModelVersion.objects.select_related("registered_model").get(pk=version.pk)
        review = (
            Review.objects.approved()
            .filter(version=version, package_sha256=version.package_sha256)
            .order_by("-decided_at")
            .first()
        )
        if review is None:
            raise Conflict(f"{version} was never approved: a rollback goes to an approved version only")
        newest = endpoint.deployments.order_by("-seq").first()
        if (
            newest is not None
            and newest.version_id == version.pk
            and newest.state != Deployment.State.REFUSED
        ):
            raise Conflict(
                f"{endpoint} has {version.label} already, as deployment #{newest.seq} ({newest.state})"
            )
        deployment = _deploy(actor, endpoint, version, review, is_rollback=True)
        transaction.on_commit(publish_manifests, robust=True)
    return deployment


def _deploy(
    actor: Any, endpoint: Endpoint, version: ModelVersion, review: Review, *, is_rollback: bool = False
) -> Deployment:
    """The next deployment of an endpoint, signed. The caller holds the endpoint's row."""
    seq = (endpoint.deployments.aggregate(seq=Max("seq"))["seq"] or 0) + 1
    manifest = {
        "endpoint": endpoint.name,
        "seq": seq,
        "model": version.registered_model.name,
        "version": version.label,
        "package_sha256": version.package_sha256,
        "identifiers": endpoint.identifiers,
        "echo": endpoint.echo,
        "approval": {
            "review_id": review.pk,
            "approved_by": review.decided_by.username[:120],
            "approved_at": review.decided_at.isoformat(),
            "package_sha256": review.package_sha256,
            "evidence_sha256": review.evidence_sha256,
        },
        "issued_at": timezone.now().isoformat(),
    }
    signed = sign(manifest, settings.SIGNING_KEY)
    # asked for and never served: the new request takes its place at once
    endpoint.deployments.filter(state=Deployment.State.PENDING).update(state=Deployment.State.SUPERSEDED)
    deployment = Deployment.objects.create(
        endpoint=endpoint,
        seq=seq,
        version=version,
        review=review,
        is_rollback=is_rollback,
        package_sha256=version.package_sha256,
        signed_manifest=signed,
        deployed_by=actor,
    )
    record(
        actor,
        "deployment.rolled_back" if is_rollback else "deployment.requested",
        deployment,
        seq=seq,
        version=version.label,
        package_sha256=version.package_sha256,
        review=review.pk,
        key_id=signed["key_id"],
    )
    return deployment
