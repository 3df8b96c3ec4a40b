"""What happened to a review, its version and its comparison, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.models.models import Review

SHOWN_EVENTS = 12

#: audited action -> what the person did, to be read after the name
_WORDS: dict[str, Any] = {
    "version.registered": gettext_lazy("trained the version"),
    "version.promoted": gettext_lazy("made it the champion"),
    "comparison.recorded": gettext_lazy("compared it with the champion"),
    "review.requested": gettext_lazy("opened the review"),
    "review.not_requested": gettext_lazy("could not open a review"),
    "review.approved": gettext_lazy("approved"),
    "review.rejected": gettext_lazy("rejected"),
    "review.changes_requested": gettext_lazy("asked for changes"),
    "review.withdrawn": gettext_lazy("withdrew the request"),
    "review.decision_refused": gettext_lazy("was refused a decision"),
}


@dataclass(frozen=True)
class Event:
    at: Any
    who: str
    did: str
    words: str = ""


def activity_of(review: Review) -> list[Event]:
    """Newest first."""
    about = Q(object_type="registry.review", object_id=str(review.pk))
    about |= Q(object_type="registry.modelversion", object_id=str(review.version_id))
    if review.comparison_id is not None:
        about |= Q(object_type="registry.comparison", object_id=str(review.comparison_id))
    rows = apps.get_model("portal", "AuditEvent").objects.filter(about).select_related("actor")
    return [
        Event(
            at=row.at,
            who=row.actor.display_name if row.actor is not None else _("the system"),
            did=str(_WORDS.get(row.action, row.action)),
            words=_words(row.data),
        )
        for row in rows[:SHOWN_EVENTS]
    ]


def _words(data: Mapping[str, Any]) -> str:
    return str(data.get("note") or data.get("reason") or "")
