"""Endpoints and deployments as the REST side shows them."""

from __future__ import annotations

from rest_framework import serializers

from apps.common.viewsets import StrictFields
from apps.serving.models import Deployment, Endpoint, ServingWorker


class ServingWorkerSerializer(serializers.ModelSerializer):
    version = serializers.CharField(source="version_label")

    class Meta:
        model = ServingWorker
        fields = [
            "worker_id",
            "host",
            "pid",
            "port",
            "seq",
            "version",
            "state",
            "reason",
            "requests",
            "started_at",
            "seen_at",
        ]
        read_only_fields = fields


class EndpointSerializer(serializers.ModelSerializer):
    model = serializers.CharField(source="registered_model.name")
    identifiers = serializers.ListField(child=serializers.CharField())
    echo = serializers.ListField(child=serializers.CharField())
    owner = serializers.CharField(source="owner.username")
    workers = ServingWorkerSerializer(many=True)

    class Meta:
        model = Endpoint
        fields = ["id", "name", "model", "identifiers", "echo", "owner", "created_at", "workers"]
        read_only_fields = fields


class DeploymentSerializer(serializers.ModelSerializer):
    endpoint = serializers.CharField(source="endpoint.name")
    model = serializers.CharField(source="endpoint.registered_model.name")
    version = serializers.CharField(source="version.label")
    review = serializers.PrimaryKeyRelatedField(read_only=True)
    deployed_by = serializers.CharField(source="deployed_by.username")

    class Meta:
        model = Deployment
        fields = [
            "id",
            "endpoint",
            "seq",
            "model",
            "version",
            "review",
            "is_rollback",
            "package_sha256",
            "signed_manifest",
            "state",
            "reason",
            "deployed_by",
            "created_at",
            "live_at",
        ]
        read_only_fields = fields


class RollBackSerializer(StrictFields):
    """The version to go back to, by its number."""

    version = serializers.IntegerField(min_value=1, max_value=2_147_483_647)
