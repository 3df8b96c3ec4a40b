"""Write the trail. The table is the portal's; it is named by string, as foreign keys are."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db.models import Model


def record(actor: Any, action: str, obj: Model, **data: Any) -> None:
    """Insert one audit event; call it inside the transaction of what it tells of.

    `actor` None means the system. `data` must be JSON: figures, hashes, names, never rows of data.
    """
    apps.get_model("portal", "AuditEvent").objects.create(
        actor=actor,
        actor_name=actor.username if actor is not None else "system",
        action=action,
        object_type=obj._meta.label_lower,
        object_id=str(obj.pk),
        object_label=str(obj)[:200],
        data=data,
    )
