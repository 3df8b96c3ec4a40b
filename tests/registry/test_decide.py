"""Four eyes, one decision, bound to what was seen."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from apps.models.models import Evaluation, ModelVersion, Review
from apps.models.services import (
    decide_review,
    evidence_of,
    record_evaluations,
    why_not_decide,
    withdraw_review,
)
from mlopslib.errors import AccessDenied, Conflict, GijunError, InvalidInput
from portal.models import AuditEvent
from tests.factories import (
    make_comparison,
    make_feature_set,
    make_model,
    make_review,
    make_user,
    make_version,
    sha256,
)

pytestmark = pytest.mark.django_db

APPROVED = Review.Status.APPROVED


def stage_of(version: ModelVersion) -> str:
    return ModelVersion.objects.get(pk=version.pk).stage


def test_reviewer_approves() -> None:
    review = make_review(comparison=make_comparison())
    reviewer = make_user("reviewer")

    decided = decide_review(actor=reviewer, review=review, decision=APPROVED, note="")

    assert (decided.status, decided.decided_by) == (APPROVED, reviewer)
    assert decided.decided_at is not None
    event = AuditEvent.objects.get(action="review.approved")
    assert (event.actor, event.data["package_sha256"]) == (reviewer, review.package_sha256)
    assert event.data["evidence_sha256"] == review.evidence_sha256


def test_approved_version_waits_for_the_workers_before_it_is_champion() -> None:
    review = make_review()
    decide_review(actor=make_user("reviewer"), review=review, decision=APPROVED)
    assert stage_of(review.version) == "CHALLENGER"


@pytest.mark.parametrize("decision", ["APPROVED", "REJECTED", "CHANGES_REQUESTED"])
def test_requester_cannot_decide_on_own_request(decision: str) -> None:
    requester = make_user(["data_scientist", "reviewer"])
    review = make_review(requested_by=requester)

    with pytest.raises(AccessDenied, match="you asked for this review"):
        decide_review(actor=requester, review=review, decision=decision, note="mine")

    review.refresh_from_db()
    assert review.status == "PENDING"
    refused = AuditEvent.objects.get(action="review.decision_refused")
    assert (refused.actor, refused.data["decision"]) == (requester, decision)


def test_version_author_cannot_approve_what_somebody_else_requested() -> None:
    author = make_user(["data_scientist", "reviewer"])
    review = make_review(make_version(author=author), requested_by=make_user("data_scientist"))
    with pytest.raises(AccessDenied, match="you trained loan_needs v1"):
        decide_review(actor=author, review=review, decision=APPROVED)


def test_owner_of_the_model_cannot_approve() -> None:
    owner = make_user(["data_scientist", "reviewer"])
    model = make_model(owner=owner, feature_owner=make_user("data_scientist"))
    review = make_review(make_version(model, author=make_user("data_scientist")))
    with pytest.raises(AccessDenied, match="you defined the model loan_needs"):
        decide_review(actor=owner, review=review, decision=APPROVED)


def test_owner_of_a_pinned_feature_set_cannot_approve() -> None:
    writer = make_user(["data_scientist", "reviewer"])
    feature_set = make_feature_set("cust_txn", owner=writer)
    review = make_review(make_version(make_model(feature_sets=[make_feature_set(), feature_set])))
    # the model moves on to a newer version of the set; the trained version still holds the old one
    make_feature_set("cust_txn")
    with pytest.raises(AccessDenied, match="you wrote the feature set cust_txn v1"):
        decide_review(actor=writer, review=review, decision=APPROVED)


@pytest.mark.parametrize("roles", [[], ["viewer"], ["data_scientist"], ["operator"], ["admin"]])
def test_deciding_needs_the_role_reviewer(roles: list[str]) -> None:
    review = make_review()
    with pytest.raises(AccessDenied, match="role reviewer"):
        decide_review(actor=make_user(roles), review=review, decision=APPROVED)


def test_superuser_without_the_role_decides_nothing() -> None:
    with pytest.raises(AccessDenied):
        decide_review(actor=make_user([], is_superuser=True), review=make_review(), decision=APPROVED)


def test_the_system_decides_nothing() -> None:
    with pytest.raises(AccessDenied):
        decide_review(actor=None, review=make_review(), decision=APPROVED)


def test_a_role_taken_away_since_log_in_counts_at_once() -> None:
    reviewer = make_user("reviewer")
    assert "reviewer" in reviewer.roles  # remembered on this object, as in a long request
    reviewer.groups.remove(Group.objects.get(name="reviewer"))
    with pytest.raises(AccessDenied):
        decide_review(actor=reviewer, review=make_review(), decision=APPROVED)


def test_closed_account_decides_nothing() -> None:
    reviewer = make_user("reviewer")
    type(reviewer).objects.filter(pk=reviewer.pk).update(is_active=False)
    with pytest.raises(AccessDenied):
        decide_review(actor=reviewer, review=make_review(), decision=APPROVED)


def test_second_decision_is_a_conflict_that_names_the_first() -> None:
    review = make_review()
    decide_review(actor=make_user("reviewer", username="jihye"), review=review, decision=APPROVED)
    with pytest.raises(Conflict, match="decided by jihye"):
        decide_review(actor=make_user("reviewer"), review=review, decision="REJECTED", note="late")


def test_decision_after_withdrawal_is_a_conflict() -> None:
    review = make_review()
    withdraw_review(actor=review.requested_by, review=review)
    with pytest.raises(Conflict, match="withdrawn"):
        decide_review(actor=make_user("reviewer"), review=review, decision=APPROVED)


@pytest.mark.parametrize("decision", ["REJECTED", "CHANGES_REQUESTED"])
def test_saying_no_needs_a_reason_and_makes_a_candidate_again(decision: str) -> None:
    review = make_review()
    reviewer = make_user("reviewer")
    with pytest.raises(InvalidInput) as error:
        decide_review(actor=reviewer, review=review, decision=decision, note="   ")
    assert error.value.field == "note"

    decide_review(actor=reviewer, review=review, decision=decision, note="OOT is too short")
    assert stage_of(review.version) == "CANDIDATE"


def test_approving_past_a_failed_gate_needs_a_reason() -> None:
    review = make_review(failed_gate="max_score_psi")
    reviewer = make_user("reviewer")
    with pytest.raises(InvalidInput, match="max_score_psi did not pass"):
        decide_review(actor=reviewer, review=review, decision=APPROVED)
    decided = decide_review(actor=reviewer, review=review, decision=APPROVED, note="seasonal, seen last year")
    assert decided.note == "seasonal, seen last year"


def test_a_gate_that_was_not_measured_did_not_pass() -> None:
    review = make_review()
    gates = [{**review.gates[0], "passed": None}]
    Review.objects.filter(pk=review.pk).update(
        gates=gates, evidence_sha256=evidence_of(review.version, None, gates)
    )
    review.refresh_from_db()
    with pytest.raises(InvalidInput, match="did not pass"):
        decide_review(actor=make_user("reviewer"), review=review, decision=APPROVED)


@pytest.mark.parametrize("decision", ["PENDING", "WITHDRAWN", "approved", ""])
def test_only_decisions_decide(decision: str) -> None:
    with pytest.raises(InvalidInput, match="not a decision"):
        decide_review(actor=make_user("reviewer"), review=make_review(), decision=decision, note="x")


# approval void ----------------------------------------------------------------------------------


def change_package(review: Review) -> None:
    ModelVersion.objects.filter(pk=review.version_id).update(package_sha256=sha256("another"))


def change_figure(review: Review) -> None:
    record_evaluations(
        version=review.version,
        evaluations=[{"dataset": "OOT", "base_ym": "", "rows": 60_000, "positives": 2_400, "auc": 0.9}],
    )


def add_figure(review: Review) -> None:
    record_evaluations(
        version=review.version, evaluations=[{"dataset": "OOT", "base_ym": "202605", "rows": 10}]
    )


def change_report(review: Review) -> None:
    review.comparison.report["pooled"]["auc_difference"]["value"] += 1e-6
    review.comparison.save()


def change_gate(review: Review) -> None:
    Review.objects.filter(pk=review.pk).update(gates=[{**review.gates[0], "limit": 0.1}, *review.gates[1:]])


def change_definition(review: Review) -> None:
    definition = {**review.version.definition, "seed": 1}
    ModelVersion.objects.filter(pk=review.version_id).update(definition=definition)


def change_champion(review: Review) -> None:
    ModelVersion.objects.champions().update(stage="ARCHIVED")


def change_stage(review: Review) -> None:
    ModelVersion.objects.filter(pk=review.version_id).update(stage="ARCHIVED")


@pytest.mark.database
@pytest.mark.parametrize(
    "change",
    [
        change_package,
        change_figure,
        add_figure,
        change_report,
        change_gate,
        change_definition,
        change_champion,
        change_stage,
    ],
)
def test_anything_changed_after_the_request_voids_the_approval(change: Any) -> None:
    review = make_review(comparison=make_comparison())
    change(review)
    with pytest.raises(Conflict, match="approval void"):
        decide_review(actor=make_user("reviewer"), review=Review.objects.get(pk=review.pk), decision=APPROVED)
    assert Review.objects.get(pk=review.pk).status == "PENDING"


def test_a_changed_request_can_still_be_rejected() -> None:
    review = make_review()
    change_figure(review)
    decide_review(actor=make_user("reviewer"), review=review, decision="REJECTED", note="figures moved")


def test_figures_of_production_months_are_no_evidence() -> None:
    review = make_review()
    record_evaluations(
        version=review.version, evaluations=[{"dataset": "PRODUCTION", "base_ym": "202607", "rows": 20_000}]
    )
    decide_review(actor=make_user("reviewer"), review=review, decision=APPROVED)


@pytest.mark.database
def test_evidence_is_the_same_after_a_trip_through_the_database() -> None:
    gates = [{"name": "g", "figure": -0.0, "limit": 1e22, "passed": True, "sentence": "x", "n": 3}]
    comparison = make_comparison()
    comparison.report["odd"] = [1e-7, 1e22, -0.0, 2.0, 0.1 + 0.2]
    comparison.save()
    before = evidence_of(comparison.challenger, comparison, gates)
    review = make_review(comparison=comparison)
    Review.objects.filter(pk=review.pk).update(gates=gates)
    review.refresh_from_db()
    assert (
        evidence_of(ModelVersion.objects.get(pk=review.version_id), review.comparison, review.gates) == before
    )


# the database itself ----------------------------------------------------------------------------


@pytest.mark.database
@pytest.mark.parametrize("who", ["requested_by", "version_author"])
def test_database_forbids_self_approval(who: str) -> None:
    review = make_review(make_version(author=make_user()), requested_by=make_user())
    with pytest.raises(IntegrityError), transaction.atomic():
        Review.objects.filter(pk=review.pk).update(
            status="APPROVED", decided_by=getattr(review, who), decided_at=timezone.now()
        )


@pytest.mark.database
def test_database_forbids_a_decision_without_a_decider() -> None:
    review = make_review()
    with pytest.raises(IntegrityError), transaction.atomic():
        Review.objects.filter(pk=review.pk).update(status="APPROVED")


def in_threads(*calls: Any) -> list[Any]:
    """Start all at the same moment; what each returned or raised."""
    barrier = threading.Barrier(len(calls))
    outcomes: list[Any] = [None] * len(calls)

    def run(index: int) -> None:
        barrier.wait()
        try:
            outcomes[index] = calls[index]()
        except GijunError as error:
            outcomes[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_of_two_racing_approvers_exactly_one_wins() -> None:
    model = make_model()
    people = [make_user("reviewer"), make_user("reviewer")]
    for _ in range(12):
        review = make_review(make_version(model, figures=False))
        outcomes = in_threads(
            *(
                lambda who=who, review=review: decide_review(actor=who, review=review, decision=APPROVED)
                for who in people
            )
        )
        won = [outcome for outcome in outcomes if isinstance(outcome, Review)]
        lost = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
        assert (len(won), len(lost)) == (1, 1), outcomes
        assert AuditEvent.objects.filter(action="review.approved", object_id=review.pk).count() == 1


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_approval_and_withdrawal_race_to_one_end() -> None:
    model = make_model()
    reviewer = make_user("reviewer")
    for _ in range(8):
        review = make_review(make_version(model, figures=False))
        outcomes = in_threads(
            lambda review=review: decide_review(actor=reviewer, review=review, decision=APPROVED),
            lambda review=review: withdraw_review(actor=review.requested_by, review=review),
        )
        assert sum(isinstance(outcome, Review) for outcome in outcomes) == 1, outcomes
        assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 1, outcomes


# who may ----------------------------------------------------------------------------------------


def test_waiting_for_shows_a_reviewer_what_they_may_decide() -> None:
    review = make_review()
    reviewer, requester = make_user("reviewer"), make_user(["reviewer", "data_scientist"])
    own = make_review(make_version(review.version.registered_model), requested_by=requester)

    assert set(Review.objects.waiting_for(reviewer)) == {review, own}
    assert set(Review.objects.waiting_for(requester)) == {review}
    assert not Review.objects.waiting_for(make_user("data_scientist"))


def test_why_not_decide_agrees_with_waiting_for() -> None:
    writer = make_user(["reviewer", "data_scientist"])
    model = make_model(feature_sets=[make_feature_set(owner=writer)])
    review = make_review(make_version(model))
    assert not Review.objects.waiting_for(writer)
    assert (
        why_not_decide(writer, review)
        == "you wrote the feature set cust_balance v1: somebody else must decide on it"
    )
    assert why_not_decide(make_user("reviewer"), review) is None


def test_evidence_covers_every_figure_column() -> None:
    """A figure added to the table later must not slip out of the evidence."""
    from apps.models.services import reviews

    columns = {field.name for field in Evaluation._meta.get_fields()} - {"id", "version", "updated_at"}
    assert columns == {*reviews._FIGURES, "score_psi", "details"}
