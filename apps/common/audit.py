"""Write the trail. The table is the portal's; it is named by string, as foreign keys are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db.models import Model


@dataclass(frozen=True)
class Thing:
    """What an event tells of where it is no row of ours, such as a table of the offline store."""

    kind: str
    name: str


def record(actor: Any, action: str, obj: Model | Thing, **data: Any) -> None:
    """Insert one audit event; call it inside the transaction of what it tells of.

    `actor` None means the system. `data` must be JSON: figures, hashes, names, never rows of data.
    """
    if isinstance(obj, Thing):
        kind, key, label = obj.kind, obj.name, obj.name
    else:
        kind, key, label = obj._meta.label_lower, str(obj.pk), str(obj)
    apps.get_model("portal", "AuditEvent").objects.create(
        actor=actor,
        actor_name=actor.username if actor is not None else "system",
        action=action,
        object_type=kind,
        object_id=key,
        object_label=label[:200],
        data=data,
    )
