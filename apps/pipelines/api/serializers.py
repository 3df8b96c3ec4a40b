"""Pipelines and runs as the REST side shows them."""

from __future__ import annotations

from rest_framework import serializers

from apps.common.viewsets import StrictFields
from apps.pipelines.models import Artifact, Pipeline, PipelineRun, StepRun


class PipelineSerializer(serializers.ModelSerializer):
    model = serializers.CharField(source="registered_model.name", allow_null=True, default=None)
    feature_set = serializers.CharField(source="feature_set.name", allow_null=True, default=None)
    owner = serializers.CharField(source="owner.username")

    class Meta:
        model = Pipeline
        fields = ["id", "name", "template", "model", "feature_set", "policy", "owner", "created_at"]
        read_only_fields = fields


class ArtifactSerializer(serializers.ModelSerializer):
    class Meta:
        model = Artifact
        fields = ["name", "kind", "sha256", "size"]
        read_only_fields = fields


class StepRunSerializer(serializers.ModelSerializer):
    artifacts = ArtifactSerializer(many=True)

    class Meta:
        model = StepRun
        fields = [
            "position",
            "name",
            "state",
            "attempt",
            "progress_done",
            "progress_total",
            "progress_text",
            "summary",
            "metrics",
            "error",
            "artifacts",
            "started_at",
            "finished_at",
        ]
        read_only_fields = fields


class RunSerializer(serializers.ModelSerializer):
    pipeline = serializers.CharField(source="pipeline.name")
    requested_by = serializers.CharField(source="requested_by.username", allow_null=True, default=None)
    version = serializers.PrimaryKeyRelatedField(read_only=True, allow_null=True)

    class Meta:
        model = PipelineRun
        fields = [
            "id",
            "pipeline",
            "template",
            "base_ym",
            "status",
            "trigger",
            "requested_by",
            "version",
            "error",
            "cancel_requested_at",
            "created_at",
            "started_at",
            "finished_at",
        ]
        read_only_fields = fields


class RunDetailSerializer(RunSerializer):
    steps = StepRunSerializer(many=True)

    class Meta(RunSerializer.Meta):
        fields = [*RunSerializer.Meta.fields, "dates", "params", "steps"]
        read_only_fields = fields


class TargetSerializer(StrictFields):
    """A target for EDA: a query that gives the entity key and a column `target` of 0 and 1."""

    label = serializers.CharField(max_length=120)
    sql = serializers.CharField(max_length=100_000, trim_whitespace=False)


class ParamsSerializer(StrictFields):
    """What a template may be told beside its base month."""

    first_ym = serializers.CharField(
        max_length=6, required=False, help_text="Materialise: the first month; the base month without it."
    )
    last_ym = serializers.CharField(
        max_length=6, required=False, help_text="Materialise: the last month; the base month without it."
    )
    version = serializers.IntegerField(
        min_value=1, required=False, help_text="Monitoring: a version's number; the champion without it."
    )
    months = serializers.ListField(
        child=serializers.CharField(max_length=6),
        required=False,
        max_length=36,
        help_text="Leak proof: the base months; the base month and the two before without it.",
    )
    target = TargetSerializer(required=False, help_text="EDA: what the features are held against.")


class NewRunSerializer(StrictFields):
    """A run to start."""

    pipeline = serializers.CharField(max_length=120, help_text="The pipeline's name.")
    base_ym = serializers.CharField(max_length=6, help_text="The base month, YYYYMM.")
    params = ParamsSerializer(required=False)
    idempotency_key = serializers.RegexField(
        r"^[A-Za-z0-9._:-]+$",
        max_length=80,
        required=False,
        help_text="The same key again gives the same run; the header Idempotency-Key does the same.",
    )
