"""Making a version the champion."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from apps.common.audit import record
from apps.models.models import ModelVersion, RegisteredModel
from mlopslib.errors import Conflict


def promote(*, version: ModelVersion) -> ModelVersion:
    """Make an approved version the champion of its model; the one before is archived.

    The caller is the machinery that has seen every serving worker answer with it. Twice does no harm.
    """
    with transaction.atomic():
        # one promotion of a model at a time: its row is the lock
        RegisteredModel.objects.select_for_update().get(pk=version.registered_model_id)
        version = ModelVersion.objects.select_related("registered_model").get(pk=version.pk)
        if version.stage == ModelVersion.Stage.CHAMPION:
            return version
        if not ModelVersion.objects.approved().filter(pk=version.pk).exists():
            raise Conflict(f"{version} was not approved as it stands: it cannot become the champion")
        now = timezone.now()
        versions = ModelVersion.objects.filter(registered_model=version.registered_model_id)
        before = versions.champions().first()
        versions.champions().update(stage=ModelVersion.Stage.ARCHIVED, archived_at=now)
        versions.filter(pk=version.pk).update(
            stage=ModelVersion.Stage.CHAMPION, promoted_at=now, archived_at=None
        )
        version.refresh_from_db()
        record(
            None,
            "version.promoted",
            version,
            package_sha256=version.package_sha256,
            before=before.label if before else None,
        )
    return version
