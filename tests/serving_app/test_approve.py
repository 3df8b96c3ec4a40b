"""Approve and deploy, roll back, open an endpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import redis
from django.db import IntegrityError, transaction

from apps.models.models import ModelVersion, Review
from apps.serving.models import Deployment, Endpoint
from apps.serving.services import approve_and_deploy, create_endpoint, publish_manifests, roll_back
from mlopslib.errors import AccessDenied, Conflict, GijunError, InvalidInput, SignatureInvalid
from mlopslib.package.signing import verify
from portal.models import AuditEvent
from tests.factories import (
    make_comparison,
    make_deployment,
    make_endpoint,
    make_model,
    make_review,
    make_user,
    make_version,
    sha256,
)
from tests.registry.test_decide import in_threads

pytestmark = pytest.mark.django_db


def test_approval_deploys_a_signed_manifest_to_every_endpoint(signing_keys: Path) -> None:
    review = make_review(comparison=make_comparison())
    model = review.version.registered_model
    for name in ("loan-needs", "loan-needs-branch"):
        make_endpoint(name, model=model)
    make_endpoint("other", model=make_model("other"))
    reviewer = make_user("reviewer")

    deployments = approve_and_deploy(actor=reviewer, review=review, note="fine")

    assert [d.endpoint.name for d in deployments] == ["loan-needs", "loan-needs-branch"]
    for deployment in deployments:
        manifest = verify(deployment.signed_manifest, signing_keys)
        assert (manifest["endpoint"], manifest["seq"]) == (deployment.endpoint.name, 1)
        assert manifest["version"] == review.version.label
        assert manifest["package_sha256"] == review.package_sha256 == deployment.package_sha256
        assert manifest["approval"] == {
            "review_id": review.pk,
            "approved_by": reviewer.username,
            "approved_at": Review.objects.get(pk=review.pk).decided_at.isoformat(),
            "package_sha256": review.package_sha256,
            "evidence_sha256": review.evidence_sha256,
        }
        assert (deployment.state, deployment.is_rollback) == ("PENDING", False)
    assert AuditEvent.objects.filter(action="deployment.requested").count() == 2


def test_manifest_is_the_same_after_a_trip_through_the_database(signing_keys: Path) -> None:
    review = make_review()
    make_endpoint(model=review.version.registered_model)
    approve_and_deploy(actor=make_user("reviewer"), review=review)
    assert verify(Deployment.objects.get().signed_manifest, signing_keys)["seq"] == 1


@pytest.mark.parametrize("who", ["requester", "author", "viewer", "operator", "admin"])
def test_who_may_not_decide_deploys_nothing_and_leaves_a_trace(signing_keys: Path, who: str) -> None:
    author, requester = make_user(["data_scientist", "reviewer"]), make_user(["data_scientist", "reviewer"])
    review = make_review(make_version(author=author), requested_by=requester)
    make_endpoint(model=review.version.registered_model)
    actor = {"requester": requester, "author": author}.get(who) or make_user(who)

    with pytest.raises(AccessDenied):
        approve_and_deploy(actor=actor, review=review, note="trust me")

    assert not Deployment.objects.exists()
    assert Review.objects.get(pk=review.pk).status == "PENDING"
    assert AuditEvent.objects.get(action="review.decision_refused").actor == actor


def test_a_model_without_an_endpoint_is_not_approved_into_nowhere(signing_keys: Path) -> None:
    review = make_review()
    with pytest.raises(Conflict, match="no endpoint serves loan_needs"):
        approve_and_deploy(actor=make_user("reviewer"), review=review)
    assert Review.objects.get(pk=review.pk).status == "PENDING"


def test_without_a_signing_key_nothing_is_half_done(settings: Any, tmp_path: Path) -> None:
    settings.SIGNING_KEY = tmp_path / "none.pem"
    review = make_review()
    make_endpoint(model=review.version.registered_model)
    with pytest.raises(SignatureInvalid):
        approve_and_deploy(actor=make_user("reviewer"), review=review)
    assert Review.objects.get(pk=review.pk).status == "PENDING"
    assert not Deployment.objects.exists()


def test_void_approval_deploys_nothing(signing_keys: Path) -> None:
    review = make_review()
    make_endpoint(model=review.version.registered_model)
    ModelVersion.objects.filter(pk=review.version_id).update(package_sha256=sha256("swapped"))
    with pytest.raises(Conflict, match="approval void"):
        approve_and_deploy(actor=make_user("reviewer"), review=review)
    assert not Deployment.objects.exists()


def test_a_request_that_was_not_served_yet_is_superseded(signing_keys: Path) -> None:
    champion = make_version(stage="champion")
    endpoint = make_endpoint(model=champion.registered_model)
    live = make_deployment(endpoint, version=champion)
    waiting = make_deployment(endpoint, version=champion, state="PENDING")
    review = make_review(make_version(champion.registered_model))

    approve_and_deploy(actor=make_user("reviewer"), review=review)

    states = dict(endpoint.deployments.values_list("seq", "state"))
    assert states == {live.seq: "LIVE", waiting.seq: "SUPERSEDED", 3: "PENDING"}


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_racing_approvers_make_one_deployment(signing_keys: Path) -> None:
    endpoint = make_endpoint()
    people = [make_user("reviewer"), make_user("reviewer")]
    for trial in range(1, 7):
        review = make_review(make_version(endpoint.registered_model, figures=False))
        outcomes = in_threads(
            *(lambda who=who, review=review: approve_and_deploy(actor=who, review=review) for who in people)
        )
        assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 1, outcomes
        assert endpoint.deployments.count() == trial


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_two_reviews_approved_at_once_get_two_numbers(signing_keys: Path) -> None:
    endpoint = make_endpoint()
    reviews = [make_review(make_version(endpoint.registered_model, figures=False)) for _ in range(4)]
    outcomes = in_threads(
        *(lambda r=r: approve_and_deploy(actor=make_user("reviewer"), review=r) for r in reviews)
    )
    assert not [outcome for outcome in outcomes if isinstance(outcome, GijunError)], outcomes
    assert sorted(endpoint.deployments.values_list("seq", flat=True)) == [1, 2, 3, 4]


@pytest.mark.django_db(transaction=True)
def test_manifest_is_on_the_shelf_once_approved(
    signing_keys: Path, shelf: redis.Redis, settings: Any
) -> None:
    review = make_review()
    make_endpoint(model=review.version.registered_model)
    bell = shelf.pubsub(ignore_subscribe_messages=True)
    bell.subscribe(f"{settings.REDIS_PREFIX}:manifests")
    bell.get_message(timeout=2)

    approve_and_deploy(actor=make_user("reviewer"), review=review)

    signed = json.loads(shelf.get(f"{settings.REDIS_PREFIX}:manifest:loan-needs"))
    assert verify(signed, signing_keys)["version"] == "v1"
    assert bell.get_message(timeout=2)["data"] == b"loan-needs"
    publish_manifests()
    assert bell.get_message(timeout=0.2) is None, "what is there already is not written again"


@pytest.mark.django_db(transaction=True)
def test_approval_does_not_wait_for_redis(signing_keys: Path) -> None:
    review = make_review()
    make_endpoint(model=review.version.registered_model)
    approve_and_deploy(actor=make_user("reviewer"), review=review)
    assert Review.objects.get(pk=review.pk).status == "APPROVED"


# rolling back -----------------------------------------------------------------------------------


@pytest.fixture
def served() -> Deployment:
    """v1 was champion, v2 is live."""
    old = make_version(stage="archived")
    champion = make_version(old.registered_model, stage="champion")
    endpoint = make_endpoint(model=old.registered_model)
    make_deployment(endpoint, version=old)
    return make_deployment(endpoint, version=champion)


@pytest.mark.parametrize("role", ["operator", "reviewer"])
def test_roll_back_is_a_new_higher_number(signing_keys: Path, served: Deployment, role: str) -> None:
    old = served.endpoint.registered_model.versions.get(number=1)
    person = make_user(role)
    deployment = roll_back(actor=person, endpoint=served.endpoint, version=old)
    manifest = verify(deployment.signed_manifest, signing_keys)
    assert (manifest["seq"], manifest["version"]) == (3, "v1")
    assert (deployment.is_rollback, deployment.deployed_by) == (True, person)
    assert deployment.review == old.reviews.get()
    assert manifest["approval"]["approved_by"] == old.reviews.get().decided_by.username
    assert AuditEvent.objects.get(action="deployment.rolled_back").actor == person


@pytest.mark.parametrize("role", ["viewer", "data_scientist", "admin"])
def test_rolling_back_needs_an_operator_or_a_reviewer(
    signing_keys: Path, served: Deployment, role: str
) -> None:
    old = served.endpoint.registered_model.versions.get(number=1)
    with pytest.raises(AccessDenied):
        roll_back(actor=make_user(role), endpoint=served.endpoint, version=old)


@pytest.mark.parametrize("status", [None, "PENDING", "REJECTED", "CHANGES_REQUESTED", "WITHDRAWN"])
def test_no_rollback_to_what_was_never_approved(
    signing_keys: Path, served: Deployment, status: str | None
) -> None:
    version = make_version(served.endpoint.registered_model)
    if status:
        make_review(version, status=status)
    with pytest.raises(Conflict, match="never approved"):
        roll_back(actor=make_user("operator"), endpoint=served.endpoint, version=version)


def test_no_rollback_to_a_package_that_changed_after_its_approval(
    signing_keys: Path, served: Deployment
) -> None:
    old = served.endpoint.registered_model.versions.get(number=1)
    ModelVersion.objects.filter(pk=old.pk).update(package_sha256=sha256("swapped"))
    with pytest.raises(Conflict, match="never approved"):
        roll_back(actor=make_user("operator"), endpoint=served.endpoint, version=old)


def test_no_rollback_to_what_is_served(signing_keys: Path, served: Deployment) -> None:
    with pytest.raises(Conflict, match="has v2 already"):
        roll_back(actor=make_user("operator"), endpoint=served.endpoint, version=served.version)


def test_a_refused_version_can_be_asked_for_again(signing_keys: Path, served: Deployment) -> None:
    Deployment.objects.filter(pk=served.pk).update(state="REFUSED")
    assert roll_back(actor=make_user("operator"), endpoint=served.endpoint, version=served.version).seq == 3


def test_no_rollback_to_another_model(signing_keys: Path, served: Deployment) -> None:
    other = make_version(make_model("other"), stage="champion")
    with pytest.raises(InvalidInput, match="not a version of loan_needs"):
        roll_back(actor=make_user("operator"), endpoint=served.endpoint, version=other)


# endpoints --------------------------------------------------------------------------------------


def open_endpoint(**changes: Any) -> Endpoint:
    values: dict[str, Any] = {
        "actor": changes.pop("actor", None) or make_user("operator"),
        "name": "loan-needs",
        "registered_model": changes.pop("model", None) or make_model(),
        "identifiers": ["customId", "affiNo"],
        "echo": ["affiNo"],
    }
    return create_endpoint(**(values | changes))


def test_open_an_endpoint() -> None:
    endpoint = open_endpoint()
    assert (endpoint.identifiers, endpoint.echo) == (["customId", "affiNo"], ["affiNo"])
    assert AuditEvent.objects.get(action="endpoint.created").object_label == "loan-needs"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "Loan"}, "name"),
        ({"name": "loan_needs"}, "name"),
        ({"name": "loan\n"}, "name"),
        ({"name": "../etc"}, "name"),
        ({"name": "a" * 64}, "name"),
        ({"echo": ["nobody"]}, "echo"),
        ({"echo": ["affiNo", "affiNo"]}, "echo"),
        ({"identifiers": ["affiNo", "affiNo"]}, "identifiers"),
        ({"identifiers": ["affiNo", "bal_avg_3m"]}, "identifiers"),
        ({"identifiers": ["affiNo", "score"]}, "identifiers"),
        ({"identifiers": ["affiNo", "a b"]}, "identifiers"),
    ],
)
def test_an_endpoint_that_cannot_work_names_its_fault(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as error:
        open_endpoint(**changes)
    assert error.value.field == field


def test_a_name_is_taken_once() -> None:
    endpoint = open_endpoint()
    with pytest.raises(Conflict, match="already"):
        open_endpoint(model=endpoint.registered_model)


@pytest.mark.parametrize("role", ["viewer", "reviewer", "admin"])
def test_opening_an_endpoint_needs_a_builder_or_an_operator(role: str) -> None:
    with pytest.raises(AccessDenied):
        open_endpoint(actor=make_user(role))


@pytest.mark.database
def test_database_holds_one_live_deployment_and_each_number_once(served: Deployment) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Deployment.objects.filter(endpoint=served.endpoint).update(state="LIVE")
    with pytest.raises(IntegrityError), transaction.atomic():
        make_deployment(served.endpoint, seq=served.seq, state="PENDING")
