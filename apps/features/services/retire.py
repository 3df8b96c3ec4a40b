"""The end of a feature set: deprecated with a reason, or deleted where nobody uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Prefetch
from django.utils import timezone

from apps.common.access import require
from apps.common.audit import record
from apps.features.models import Feature, FeatureSet
from apps.features.services.draft import discard_draft
from mlopslib.errors import Conflict, DefinitionInvalid, InvalidInput

_Status = FeatureSet.Status
#: users that a message names before it counts the rest
_NAMED = 5


@dataclass(frozen=True)
class Use:
    """Something that stands on a version of a feature set."""

    #: "model", "model version", "endpoint", "schedule"
    kind: str
    name: str
    #: version of the feature set
    version: int
    url: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def uses_of(name: str, *, version: int | None = None) -> list[Use]:
    """Models, their trained versions, endpoints and schedules that use a feature set (one version of it).

    A trained version counts whatever its stage: an archived one may be rolled back to.
    """
    rows = FeatureSet.objects.visible().filter(name=name)
    if version is not None:
        rows = rows.filter(version=version)
    rows = rows.prefetch_related(
        "registered_models__endpoints",
        Prefetch("pipelines__schedules"),
    )
    found: list[Use] = []
    for row in rows:
        for model in row.registered_models.all():
            found.append(Use("model", model.name, row.version, model.get_absolute_url()))
            found += [
                Use("endpoint", endpoint.name, row.version, endpoint.get_absolute_url())
                for endpoint in model.endpoints.all()
            ]
        found += [
            Use("schedule", f"of {pipeline.name}", row.version)
            for pipeline in row.pipelines.all()
            if any(schedule.is_enabled for schedule in pipeline.schedules.all())
        ]
    return found + _trained(name, version)


def deprecate(*, actor: Any, feature_set: FeatureSet, reason: str, replaced_by: str = "") -> FeatureSet:
    """Tell people to stop using a feature set; what uses it keeps running.

    Raises AccessDenied, Conflict, DefinitionInvalid, InvalidInput.
    """
    require(actor, "features.create")
    reason = _reason(reason)
    replaced_by = replaced_by.strip()
    if replaced_by == feature_set.name:
        raise DefinitionInvalid("a feature set cannot be replaced by itself", field="replaced_by")
    if replaced_by and not FeatureSet.objects.current().filter(name=replaced_by).exists():
        raise DefinitionInvalid(
            f"there is no feature set {replaced_by!r} to use instead: publish it first", field="replaced_by"
        )
    with transaction.atomic():
        row = _locked(feature_set, _Status.PUBLISHED, "deprecated")
        row.status = _Status.DEPRECATED
        row.deprecation_reason = reason
        row.replaced_by = replaced_by
        row.deprecated_at = timezone.now()
        row.save()
        record(
            actor,
            "feature_set.deprecated",
            row,
            version=row.version,
            reason=reason,
            replaced_by=replaced_by,
        )
    return row


def restore(*, actor: Any, feature_set: FeatureSet) -> FeatureSet:
    """Take a deprecation back. Raises AccessDenied, Conflict."""
    require(actor, "features.create")
    with transaction.atomic():
        row = _locked(feature_set, _Status.DEPRECATED, "restored")
        row.status = _Status.PUBLISHED
        row.deprecation_reason = row.replaced_by = ""
        row.deprecated_at = None
        row.save()
        record(actor, "feature_set.restored", row, version=row.version)
    return row


def deprecate_feature(*, actor: Any, feature: Feature, reason: str) -> Feature:
    """Tell people to stop using one column; an empty reason takes it back.

    Raises AccessDenied, Conflict (not of a published version), InvalidInput.
    """
    require(actor, "features.create")
    reason = _reason(reason) if reason.strip() else ""
    with transaction.atomic():
        row = Feature.objects.select_for_update().select_related("feature_set").get(pk=feature.pk)
        if row.feature_set.status not in (_Status.PUBLISHED, _Status.DEPRECATED):
            raise Conflict(f"{row.feature_set} is {row.feature_set.get_status_display().lower()}")
        row.deprecation_reason = reason
        row.deprecated_at = timezone.now() if reason else None
        row.save(update_fields=["deprecation_reason", "deprecated_at"])
        record(
            actor,
            "feature.deprecated" if reason else "feature.restored",
            row.feature_set,
            version=row.feature_set.version,
            feature=row.name,
            reason=reason,
        )
    return row


def delete(*, actor: Any, feature_set: FeatureSet) -> list[FeatureSet]:
    """Delete a feature set that nobody uses; returns the versions that went.

    The current version takes every version of its name with it; an older version goes alone; a draft
    is discarded. Rows and materialised months stay, and the name stays taken, so that the trail and
    old runs can still be read. Raises AccessDenied, and Conflict that says who uses it.
    """
    require(actor, "features.create")
    if feature_set.status == _Status.DRAFT:
        discard_draft(actor=actor, draft=feature_set)
        return [feature_set]
    with transaction.atomic():
        row = FeatureSet.objects.select_for_update().filter(pk=feature_set.pk).first()
        if row is None or row.status in (_Status.DELETED, _Status.DRAFT):
            raise Conflict(f"{feature_set} is deleted already")
        whole = row.is_current
        used = uses_of(row.name, version=None if whole else row.version)
        if used:
            raise Conflict(
                f"{row.name if whole else row} is in use and cannot be deleted: {_named(used)}. "
                "Deprecate it, so that nobody new takes it"
            )
        rows = FeatureSet.objects.visible().select_for_update().filter(name=row.name)
        gone = list(rows.exclude(status=_Status.DRAFT)) if whole else [row]
        if whole and (draft := rows.filter(status=_Status.DRAFT).first()) is not None:
            raise Conflict(f"there is a draft {draft}: publish or discard it first")
        for version in gone:
            version.status = _Status.DELETED
            version.is_current = False
            version.save()
            record(actor, "feature_set.deleted", version, version=version.version)
    return gone


def _trained(name: str, version: int | None) -> list[Use]:
    """Trained versions whose frozen definition pins the feature set."""
    found = []
    versions = FeatureSet.registered_models.rel.related_model._meta.get_field("versions").related_model
    pinned = versions.objects.filter(definition__features__icontains=f'"{name}"')
    for row in pinned.select_related("registered_model"):
        pins = {ref["version"] for ref in row.definition.get("features", ()) if ref["feature_set"] == name}
        found += [
            Use("model version", str(row), pin, row.get_absolute_url())
            for pin in sorted(pins)
            if version in (None, pin)
        ]
    return found


def _named(used: list[Use]) -> str:
    names = list(dict.fromkeys(str(use) for use in used))
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _locked(feature_set: FeatureSet, status: str, verb: str) -> FeatureSet:
    row = FeatureSet.objects.select_for_update().filter(pk=feature_set.pk).first()
    if row is None or row.status != status or not row.is_current:
        state = row.get_status_display().lower() if row else "gone"
        older = " and not current" if row and row.status == status else ""
        raise Conflict(f"{feature_set} is {state}{older}: it cannot be {verb}")
    return row


def _reason(reason: str) -> str:
    reason = " ".join(reason.split())
    if not reason:
        raise InvalidInput("say why, so that people know what to do instead", field="reason")
    if len(reason) > 300:
        raise InvalidInput("the reason has 300 characters at most", field="reason")
    return reason
