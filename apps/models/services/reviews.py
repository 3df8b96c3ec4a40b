"""Asking for a decision on a version, and deciding: four eyes, one decision, bound to what was seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from apps.common.access import may, require
from apps.common.audit import record
from apps.models.models import Comparison, ModelVersion, Review
from apps.models.services.catalog import authors_of
from apps.models.services.figures import lock
from mlopslib.artifacts import canonical_json, sha256_of
from mlopslib.errors import AccessDenied, Conflict, GijunError, InvalidInput

_DECISIONS = frozenset({Review.Status.APPROVED, Review.Status.REJECTED, Review.Status.CHANGES_REQUESTED})
_FIGURES = ("dataset", "base_ym", "rows", "positives", "auc", "auc_low", "auc_high", "ks", "lift_at_10")


def evidence_of(
    version: ModelVersion, comparison: Comparison | None = None, gates: Sequence[Mapping[str, Any]] = ()
) -> str:
    """SHA-256 of everything that a decision on a version rests on, as the database holds it now.

    Figures of months in production do not count: they come after the decision.
    """
    rows = version.evaluations.evidence().order_by("dataset", "base_ym")
    found = {
        "package_sha256": version.package_sha256,
        "definition": version.definition,
        "evaluations": list(rows.values(*_FIGURES, "score_psi", "details")),
        "comparison": None,
        "gates": list(gates),
    }
    if comparison is not None:
        found["comparison"] = Comparison.objects.values(
            "champion", "challenger", "base_ym", "verdict", "sentence", "report", "report_sha256"
        ).get(pk=comparison.pk)
    return sha256_of(canonical_json(_plain(found)))


def _plain(value: Any) -> Any:
    """Numbers as text, so that 1, 1.0 and what a database's JSON makes of them are the same evidence."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return format(float(value) + 0.0, ".15g")
    return value


def request_review(
    *,
    actor: Any,
    version: ModelVersion,
    comparison: Comparison | None = None,
    gates: Sequence[Mapping[str, Any]] = (),
    evidence_sha256: str | None = None,
    reason: str = "",
) -> Review:
    """Ask for a version to be put into service; it becomes a challenger.

    `actor` None is the system on behalf of the version's author. `evidence_sha256` is what the caller based
    the request on: refused where it is not `evidence_of(version, comparison, gates)` any more.
    Raises AccessDenied, Conflict, InvalidInput.
    """
    require(actor, "reviews.request")
    if comparison is not None and comparison.challenger_id != version.pk:
        raise InvalidInput(f"{comparison} is not a comparison of {version}", field="comparison")
    with transaction.atomic():
        version = lock(version)
        if version.stage not in (ModelVersion.Stage.CANDIDATE, ModelVersion.Stage.CHALLENGER):
            raise Conflict(
                f"{version} is {version.stage}: a review is for a version that was not in service yet"
            )
        if Review.objects.pending().filter(version=version).exists():
            raise Conflict(f"{version} has a review that waits for a decision already")
        incumbent = (
            ModelVersion.objects.champions().filter(registered_model=version.registered_model_id).first()
        )
        if comparison is None and incumbent is not None:
            raise Conflict(
                f"{version} was not compared with the champion, {incumbent.label}: "
                "start a run that compares them"
            )
        if comparison is not None and (incumbent is None or comparison.champion_id != incumbent.pk):
            raise Conflict(
                f"{version} was compared with {comparison.champion.label}, but the champion is "
                f"{_label(incumbent)} now: compare it again"
            )
        evidence = evidence_of(version, comparison, gates)
        if evidence_sha256 not in (None, evidence):
            raise Conflict(
                f"the figures of {version} changed since the request was prepared: look at them again"
            )
        review = Review.objects.create(
            version=version,
            incumbent=incumbent,
            comparison=comparison,
            requested_by=actor if actor is not None else version.author,
            version_author=version.author,
            reason=reason,
            package_sha256=version.package_sha256,
            evidence_sha256=evidence,
            gates=list(gates),
        )
        ModelVersion.objects.filter(pk=version.pk).update(stage=ModelVersion.Stage.CHALLENGER)
        record(
            actor,
            "review.requested",
            review,
            package_sha256=review.package_sha256,
            evidence_sha256=evidence,
            comparison=comparison.pk if comparison else None,
        )
    return review


def decide_review(*, actor: Any, review: Review, decision: Review.Status | str, note: str = "") -> Review:
    """Approve, reject or ask for changes: once, by somebody who made nothing of what is decided on.

    Of two people who decide at the same moment one wins; the other gets Conflict. An approval holds for the
    package and the evidence of the request only. Approving puts nothing into service by itself: that is
    `apps.serving.services.approve_and_deploy`.
    Raises AccessDenied, Conflict, InvalidInput.
    """
    decision = _check_decision(decision)
    actor = require_decider(actor, review, decision)
    note = note.strip()
    _check_note(review, decision, note)
    with transaction.atomic():
        version = lock(review.version)
        review = Review.objects.select_related("comparison", "incumbent").get(pk=review.pk)
        _check_pending(review)
        if decision == Review.Status.APPROVED:
            _check_unchanged(review, version)
        decided = (
            Review.objects.pending()
            .filter(pk=review.pk)
            .update(status=decision, decided_by=actor, decided_at=timezone.now(), note=note)
        )
        review.refresh_from_db()
        if not decided:
            _check_pending(review)
        if decision != Review.Status.APPROVED:
            _back_to_candidate(version)
        record(
            actor,
            f"review.{decision.lower()}",
            review,
            package_sha256=review.package_sha256,
            evidence_sha256=review.evidence_sha256,
            note=note,
        )
    return review


def withdraw_review(*, actor: Any, review: Review) -> Review:
    """Take a request back; whoever asked, trained or owns the model may."""
    require(actor, "reviews.withdraw")
    version = review.version
    if actor.pk not in (review.requested_by_id, version.author_id, version.registered_model.owner_id):
        raise AccessDenied(
            f"{review} can be withdrawn by {review.requested_by.username}, who asked for it, "
            "or by the author or the owner of the model"
        )
    with transaction.atomic():
        version = lock(version)
        withdrawn = Review.objects.pending().filter(pk=review.pk).update(status=Review.Status.WITHDRAWN)
        review = Review.objects.get(pk=review.pk)
        if not withdrawn:
            _check_pending(review)
        _back_to_candidate(version)
        record(actor, "review.withdrawn", review, package_sha256=review.package_sha256)
    return review


def why_not_decide(user: Any, review: Review) -> str | None:
    """Why this person may not decide on this review, in one sentence; None where they may."""
    if user is None or not may(user, "reviews.decide"):
        return "deciding on a review needs the role reviewer"
    if user.pk == review.requested_by_id:
        return "you asked for this review: somebody else must decide on it"
    if user.pk == review.version_author_id:
        return f"you trained {review.version}: somebody else must decide on it"
    for author, work in authors_of(review.version):
        if author == user.pk:
            return f"you {work}: somebody else must decide on it"
    return None


def require_decider(actor: Any, review: Review, decision: Review.Status) -> Any:
    """The person as of now, who may decide on this review. Raises AccessDenied, and audits that it did."""
    actor = _as_of_now(actor)
    if refusal := why_not_decide(actor, review):
        record(actor, "review.decision_refused", review, decision=decision, reason=refusal)
        raise AccessDenied(refusal)
    return actor


def _as_of_now(actor: Any) -> Any:
    """The person behind `actor` with the roles that they hold at this moment, not those of the log-in."""
    if actor is None or actor.pk is None:
        return None
    return get_user_model().objects.filter(pk=actor.pk).first()


def _check_decision(decision: Review.Status | str) -> Review.Status:
    if decision not in _DECISIONS:
        names = ", ".join(sorted(_DECISIONS))
        raise InvalidInput(f"{decision!r} is not a decision; there are {names}", field="decision")
    return Review.Status(decision)


def _check_note(review: Review, decision: Review.Status, note: str) -> None:
    if note:
        return
    if decision != Review.Status.APPROVED:
        raise InvalidInput("say in a note what is wrong, so that the author can act on it", field="note")
    open_gates = [gate.get("name", "?") for gate in review.gates if gate.get("passed") is not True]
    if open_gates:
        raise InvalidInput(
            f"{', '.join(open_gates)} did not pass: say in a note why the version may go into service",
            field="note",
        )


def _check_pending(review: Review) -> None:
    if review.status == Review.Status.PENDING:
        return
    if review.decided_by is None:
        raise Conflict(f"{review} was withdrawn")
    raise Conflict(
        f"{review} was decided by {review.decided_by.username} already: {review.get_status_display()}"
    )


def why_void(review: Review) -> str | None:
    """Why nobody can approve this request any more, or None; asking for changes or rejecting ends it."""
    try:
        _check_unchanged(review, review.version)
    except Conflict as error:
        return error.message.removeprefix("approval void: ")
    return None


def _check_unchanged(review: Review, version: ModelVersion) -> None:
    """Raise unless the version is, to the bit, what the request showed."""
    changed: GijunError | None = None
    champion = ModelVersion.objects.champions().filter(registered_model=version.registered_model_id).first()
    if version.stage != ModelVersion.Stage.CHALLENGER:
        changed = Conflict(f"approval void: {version} is {version.stage}, not a challenger")
    elif review.package_sha256 != version.package_sha256:
        changed = Conflict(f"approval void: the package of {version} is not the one that was reviewed")
    elif review.incumbent_id != (champion.pk if champion else None):
        changed = Conflict(
            f"approval void: the champion is {_label(champion)} now, "
            f"the request was made against {_label(review.incumbent)}"
        )
    elif review.evidence_sha256 != evidence_of(version, review.comparison, review.gates):
        changed = Conflict(f"approval void: the figures of {version} changed after the request: ask again")
    if changed is not None:
        raise changed


def _label(version: ModelVersion | None) -> str:
    return version.label if version else "nobody"


def _back_to_candidate(version: ModelVersion) -> None:
    ModelVersion.objects.challengers().filter(pk=version.pk).update(stage=ModelVersion.Stage.CANDIDATE)
