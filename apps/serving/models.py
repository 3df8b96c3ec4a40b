"""Endpoints, what is deployed on them, and what the workers say of it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from apps.serving.querysets import DeploymentQuerySet, EndpointQuerySet, ServingWorkerQuerySet


class Endpoint(models.Model):
    """A name that services call; one model behind it."""

    name = models.CharField(max_length=63, unique=True)
    registered_model = models.ForeignKey(
        "registry.RegisteredModel", on_delete=models.PROTECT, related_name="endpoints"
    )
    #: identifier fields that a request row may carry beside the inputs: ["customId", "affiNo", "affiCode"]
    identifiers = models.JSONField(default=list)
    #: those of them that the answer repeats: ["affiNo", "affiCode"]
    echo = models.JSONField(default=list)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="endpoints")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = EndpointQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("serving:detail", args=[self.name])


class Deployment(models.Model):
    """A signed manifest with a rising sequence number: what the workers of an endpoint shall serve."""

    class State(models.TextChoices):
        PENDING = "PENDING"
        LIVE = "LIVE"
        REFUSED = "REFUSED"
        SUPERSEDED = "SUPERSEDED"

    endpoint = models.ForeignKey(Endpoint, on_delete=models.PROTECT, related_name="deployments")
    seq = models.PositiveIntegerField()
    version = models.ForeignKey("registry.ModelVersion", on_delete=models.PROTECT, related_name="deployments")
    #: the approval that this stands on; a rollback names the one its version got before
    review = models.ForeignKey("registry.Review", on_delete=models.PROTECT, related_name="deployments")
    is_rollback = models.BooleanField(default=False)
    package_sha256 = models.CharField(max_length=64)
    #: {"manifest": {...}, "key_id": "...", "signature": "..."}
    signed_manifest = models.JSONField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    #: why workers refuse it
    reason = models.TextField(blank=True)
    deployed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="deployments"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    live_at = models.DateTimeField(null=True)

    objects = DeploymentQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "seq"], name="deployment_sequence"),
            models.UniqueConstraint(
                fields=["endpoint"], condition=Q(state="LIVE"), name="one_live_deployment"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.endpoint.name} #{self.seq}: v{self.version.number}"


class ServingWorker(models.Model):
    """What one worker process last said of one endpoint (copied from its heartbeat)."""

    worker_id = models.CharField(max_length=64)
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="workers")
    host = models.CharField(max_length=120)
    pid = models.PositiveIntegerField()
    port = models.PositiveIntegerField()
    seq = models.PositiveIntegerField(default=0)
    version_label = models.CharField(max_length=20, blank=True)
    state = models.CharField(max_length=20)
    reason = models.TextField(blank=True)
    requests = models.BigIntegerField(default=0)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    objects = ServingWorkerQuerySet.as_manager()

    class Meta:
        ordering = ["worker_id"]
        constraints = [models.UniqueConstraint(fields=["worker_id", "endpoint"], name="worker_endpoint")]

    def __str__(self) -> str:
        return f"{self.worker_id} {self.endpoint}"
