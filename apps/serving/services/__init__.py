"""What serving does, as verbs. Each checks the right to do it, is one transaction, and is audited."""

from apps.serving.services.deploy import approve_and_deploy, create_endpoint, roll_back
from apps.serving.services.reconcile import publish_manifests, reconcile_deployments

__all__ = [
    "approve_and_deploy",
    "create_endpoint",
    "publish_manifests",
    "reconcile_deployments",
    "roll_back",
]
