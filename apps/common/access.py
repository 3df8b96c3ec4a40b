"""Who may do what: one table, asked by every service, page and API view."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from mlopslib.errors import AccessDenied


class Role(StrEnum):
    VIEWER = "viewer"
    DATA_SCIENTIST = "data_scientist"
    REVIEWER = "reviewer"
    OPERATOR = "operator"
    ADMIN = "admin"


_EVERYBODY = frozenset(Role)
_BUILDERS = frozenset({Role.DATA_SCIENTIST})
_RUNNERS = frozenset({Role.DATA_SCIENTIST, Role.REVIEWER, Role.OPERATOR})

#: action -> roles that may take it. An action that is not here is allowed to nobody.
ACTIONS: dict[str, frozenset[Role]] = {
    "view": _EVERYBODY,
    "tables.import": frozenset({Role.DATA_SCIENTIST, Role.OPERATOR}),
    "engine.test": frozenset({Role.DATA_SCIENTIST, Role.OPERATOR}),
    "features.create": _BUILDERS,
    "features.materialise": frozenset({Role.DATA_SCIENTIST, Role.OPERATOR}),
    "models.define": _BUILDERS,
    "runs.start": _RUNNERS,
    "runs.cancel": _RUNNERS,
    "schedules.edit": frozenset({Role.DATA_SCIENTIST, Role.OPERATOR}),
    "reviews.request": _BUILDERS,
    "reviews.withdraw": _BUILDERS,
    "reviews.comment": frozenset({Role.DATA_SCIENTIST, Role.REVIEWER}),
    "reviews.decide": frozenset({Role.REVIEWER}),
    "endpoints.create": frozenset({Role.DATA_SCIENTIST, Role.OPERATOR}),
    "deployments.roll_back": frozenset({Role.REVIEWER, Role.OPERATOR}),
    "audit.view": frozenset({Role.REVIEWER, Role.OPERATOR, Role.ADMIN}),
}


def may(user: Any, action: str) -> bool:
    """Whether the person behind `user` holds a role for `action`.

    `user` None is the system itself (schedules, the executor): it may view and start runs, never
    decide anything.
    """
    if user is None:
        return action in {"view", "runs.start", "features.materialise", "reviews.request"}
    if not user.is_authenticated or not user.is_active:
        return False
    return not ACTIONS.get(action, frozenset()).isdisjoint(user.roles)


def require(user: Any, action: str) -> None:
    """Raise AccessDenied, naming the roles that would do, unless `user` may take `action`."""
    if may(user, action):
        return
    roles = ", ".join(sorted(ACTIONS.get(action, frozenset()))) or "nobody"
    raise AccessDenied(f"{action} needs one of these roles: {roles}")
