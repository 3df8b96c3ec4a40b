"""Asking for a decision, and taking the request back."""

from __future__ import annotations

import pytest

from apps.models.models import ModelVersion, Review
from apps.models.services import evidence_of, record_evaluations, request_review, withdraw_review
from mlopslib.errors import AccessDenied, Conflict, InvalidInput
from portal.models import AuditEvent
from tests.factories import gates, make_comparison, make_model, make_review, make_user, make_version

pytestmark = pytest.mark.django_db


def test_request_makes_a_challenger_and_binds_what_was_seen() -> None:
    comparison = make_comparison()
    version, person = comparison.challenger, make_user("data_scientist")

    review = request_review(
        actor=person, version=version, comparison=comparison, gates=gates(), reason="better in 3 of 3 months"
    )

    assert (review.status, review.requested_by, review.version_author) == ("PENDING", person, version.author)
    assert review.incumbent == comparison.champion
    assert review.package_sha256 == version.package_sha256
    assert review.evidence_sha256 == evidence_of(version, comparison, gates())
    assert ModelVersion.objects.get(pk=version.pk).stage == "CHALLENGER"
    assert AuditEvent.objects.get(action="review.requested").object_id == str(review.pk)


def test_the_system_asks_on_behalf_of_the_author() -> None:
    version = make_version()
    review = request_review(actor=None, version=version, gates=gates())
    assert review.requested_by == version.author
    assert AuditEvent.objects.get(action="review.requested").actor is None


@pytest.mark.parametrize("role", ["viewer", "reviewer", "operator", "admin"])
def test_asking_needs_a_data_scientist(role: str) -> None:
    with pytest.raises(AccessDenied):
        request_review(actor=make_user(role), version=make_version(), gates=gates())


@pytest.mark.database
def test_one_request_at_a_time() -> None:
    review = make_review()
    with pytest.raises(Conflict, match="waits for a decision already"):
        request_review(actor=make_user("data_scientist"), version=review.version, gates=gates())


@pytest.mark.parametrize("stage", ["champion", "archived"])
def test_a_version_that_was_in_service_needs_no_request(stage: str) -> None:
    with pytest.raises(Conflict, match=stage.upper()):
        request_review(actor=make_user("data_scientist"), version=make_version(stage=stage), gates=gates())


def test_stale_evidence_is_refused() -> None:
    version = make_version()
    seen = evidence_of(version, None, gates())
    record_evaluations(version=version, evaluations=[{"dataset": "OOT", "base_ym": "202605", "rows": 10}])
    with pytest.raises(Conflict, match="changed since"):
        request_review(actor=version.author, version=version, gates=gates(), evidence_sha256=seen)


def test_comparison_with_a_former_champion_is_refused() -> None:
    comparison = make_comparison()
    ModelVersion.objects.champions().update(stage="ARCHIVED")
    with pytest.raises(Conflict, match="compare it again"):
        request_review(
            actor=make_user("data_scientist"),
            version=comparison.challenger,
            comparison=comparison,
            gates=gates(),
        )


def test_beside_a_champion_no_version_is_reviewed_without_a_comparison() -> None:
    champion = make_version(stage="champion")
    version = make_version(champion.registered_model)
    with pytest.raises(Conflict, match="not compared with the champion, v1"):
        request_review(actor=make_user("data_scientist"), version=version, gates=gates())
    assert not Review.objects.filter(version=version).exists()


def test_comparison_of_another_version_is_refused() -> None:
    comparison = make_comparison()
    other = make_version(comparison.registered_model)
    with pytest.raises(InvalidInput, match="not a comparison of"):
        request_review(actor=make_user("data_scientist"), version=other, comparison=comparison)


def test_after_a_rejection_it_can_be_asked_again() -> None:
    review = make_review(status="REJECTED")
    again = request_review(actor=make_user("data_scientist"), version=review.version, gates=gates())
    assert Review.objects.filter(version=review.version).count() == 2
    assert again.status == "PENDING"


def test_requester_withdraws() -> None:
    review = make_review(requested_by=make_user("data_scientist"))
    withdrawn = withdraw_review(actor=review.requested_by, review=review)
    assert (withdrawn.status, withdrawn.decided_by) == ("WITHDRAWN", None)
    assert ModelVersion.objects.get(pk=review.version_id).stage == "CANDIDATE"
    with pytest.raises(Conflict, match="withdrawn"):
        withdraw_review(actor=review.requested_by, review=review)


def test_a_stranger_does_not_withdraw() -> None:
    review = make_review()
    with pytest.raises(AccessDenied, match="can be withdrawn by"):
        withdraw_review(actor=make_user("data_scientist"), review=review)
    with pytest.raises(AccessDenied):
        withdraw_review(actor=make_user("reviewer"), review=review)


def test_withdrawing_a_decided_review_is_a_conflict() -> None:
    model = make_model()
    review = make_review(
        make_version(model), status="REJECTED", decided_by=make_user("reviewer", username="jihye")
    )
    with pytest.raises(Conflict, match="jihye"):
        withdraw_review(actor=review.requested_by, review=review)
