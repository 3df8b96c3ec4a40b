"""Words and addresses for audit events."""

from __future__ import annotations

from typing import Any

from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _

#: action -> what the person did, to be followed by the name of what it was done to
WORDS: dict[str, Any] = {
    "comparison.recorded": _("compared"),
    "deployment.live": _("took live"),
    "deployment.refused": _("was refused by a worker:"),
    "deployment.requested": _("approved and deployed"),
    "deployment.rolled_back": _("rolled back"),
    "endpoint.created": _("created endpoint"),
    "feature.deprecated": _("deprecated a feature of"),
    "feature.restored": _("took back the deprecation of a feature of"),
    "feature_set.deleted": _("deleted feature set"),
    "feature_set.deprecated": _("deprecated feature set"),
    "feature_set.draft_discarded": _("discarded the draft of feature set"),
    "feature_set.draft_saved": _("saved a draft of feature set"),
    "feature_set.published": _("published feature set"),
    "feature_set.restored": _("took back the deprecation of feature set"),
    "model.defined": _("defined model"),
    "model.redefined": _("changed the definition of"),
    "pipeline.defined": _("defined pipeline"),
    "review.approved": _("approved"),
    "review.rejected": _("rejected"),
    "review.changes_requested": _("asked for changes in"),
    "review.decision_refused": _("was not let decide on"),
    "review.not_requested": _("asked for no review of"),
    "review.requested": _("asked for"),
    "review.withdrawn": _("withdrew"),
    "saved_view.deleted": _("deleted the shared catalog view"),
    "saved_view.renamed": _("renamed the shared catalog view"),
    "saved_view.shared": _("shared the catalog view"),
    "saved_view.unshared": _("took back the catalog view"),
    "run.cancel_requested": _("cancelled"),
    "run.cancelled": _("stopped"),
    "run.failed": _("failed:"),
    "run.resumed": _("resumed"),
    "run.started": _("started"),
    "run.succeeded": _("finished"),
    "feature_set.proof_outdated": _("kept no proof of the edited draft"),
    "schedule.added": _("scheduled"),
    "schedule.changed": _("changed the schedule"),
    "schedule.deleted": _("deleted the schedule"),
    "schedule.disabled": _("switched off the schedule"),
    "schedule.enabled": _("switched on the schedule"),
    "schedule.skipped": _("skipped"),
    "table.imported": _("loaded table"),
    "user.created": _("created user"),
    "user.password_set": _("set the password of"),
    "user.rights_changed": _("changed the rights of"),
    "user.roles_changed": _("changed the roles of"),
    "version.promoted": _("made champion"),
    "version.registered": _("registered"),
}

#: object type -> page that takes the row's key
_PAGES = {
    "pipelines.pipelinerun": "pipelines:detail",
    "registry.comparison": "models:comparison",
    "registry.review": "models:review",
}


def words_for(action: str) -> str:
    return str(WORDS.get(action, action))


def page_of(object_type: str, object_id: str, label: str) -> str:
    """Address of what the event tells of, from its own columns alone; empty where they do not say it."""
    name = label.split(" ")[0]
    try:
        if object_type in _PAGES:
            return reverse(_PAGES[object_type], args=[int(object_id)])
        if object_type == "pipelines.schedule":
            return reverse("pipelines:schedules")
        if object_type == "features.featureset":
            return reverse("features:set", args=[name])
        if object_type == "registry.registeredmodel":
            return reverse("models:detail", args=[name])
        if object_type == "registry.modelversion":
            return reverse("models:version", args=[name, int(label.rsplit(" v", 1)[1])])
        if object_type in {"serving.endpoint", "serving.deployment"}:
            return reverse("serving:detail", args=[name])
    except (NoReverseMatch, ValueError, IndexError):
        return ""
    return ""
