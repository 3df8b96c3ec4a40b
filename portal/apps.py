from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate

from apps.common.access import Role


def create_roles(using: str, **kwargs: Any) -> None:
    """Every role is a group, in every database that was migrated or emptied."""
    from django.contrib.auth.models import Group

    for role in Role:
        Group.objects.using(using).get_or_create(name=role.value)


class PortalConfig(AppConfig):
    name = "portal"

    def ready(self) -> None:
        post_migrate.connect(create_roles, sender=self)
