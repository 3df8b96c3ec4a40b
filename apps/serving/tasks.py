"""Celery's side of serving: shells that call services."""

from __future__ import annotations

from celery import shared_task

from apps.serving.services import publish_manifests, reconcile_deployments


@shared_task(name="apps.serving.tasks.reconcile")
def reconcile() -> None:
    """Every two seconds: hear the workers, and lay out the manifests again where Redis lost them."""
    reconcile_deployments()
    publish_manifests()
