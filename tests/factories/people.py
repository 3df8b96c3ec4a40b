"""People, and what every factory needs."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import Group

from portal.models import User

numbers = itertools.count(1)

PASSWORD = "a-password-for-tests"


def sha256(text: object) -> str:
    """A hash that is the same for the same text."""
    return hashlib.sha256(str(text).encode()).hexdigest()


def make_user(roles: str | Sequence[str] = "viewer", *, username: str | None = None, **fields: Any) -> User:
    """A person with these roles, who logs in with `PASSWORD`."""
    wanted = [roles] if isinstance(roles, str) else list(roles)
    user = User(username=username or f"{(wanted or ['nobody'])[0]}{next(numbers)}", **fields)
    user.set_password(PASSWORD)
    user.save()
    user.groups.set([Group.objects.get_or_create(name=str(role))[0] for role in wanted])
    return user
