"""The registry as the REST side shows it."""

from __future__ import annotations

from rest_framework import serializers

from apps.common.viewsets import StrictFields
from apps.models.models import Comparison, Evaluation, FeatureDrift, ModelVersion, RegisteredModel, Review


class RegisteredModelSerializer(serializers.ModelSerializer):
    owner = serializers.CharField(source="owner.username")
    feature_sets = serializers.StringRelatedField(many=True)

    class Meta:
        model = RegisteredModel
        fields = [
            "id",
            "name",
            "title",
            "description",
            "entity",
            "definition",
            "feature_sets",
            "owner",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields


class EvaluationSerializer(serializers.ModelSerializer):
    class Meta:
        model = Evaluation
        fields = [
            "dataset",
            "base_ym",
            "rows",
            "positives",
            "auc",
            "auc_low",
            "auc_high",
            "ks",
            "lift_at_10",
            "score_psi",
            "updated_at",
        ]
        read_only_fields = fields


class FeatureDriftSerializer(serializers.ModelSerializer):
    class Meta:
        model = FeatureDrift
        fields = ["base_ym", "feature", "psi"]
        read_only_fields = fields


class ModelVersionSerializer(serializers.ModelSerializer):
    model = serializers.CharField(source="registered_model.name")
    author = serializers.CharField(source="author.username")

    class Meta:
        model = ModelVersion
        fields = [
            "id",
            "model",
            "number",
            "label",
            "stage",
            "base_ym",
            "author",
            "package_sha256",
            "created_at",
            "promoted_at",
            "archived_at",
        ]
        read_only_fields = fields


class ModelVersionDetailSerializer(ModelVersionSerializer):
    evaluations = EvaluationSerializer(many=True)
    feature_drifts = FeatureDriftSerializer(many=True)

    class Meta(ModelVersionSerializer.Meta):
        fields = [*ModelVersionSerializer.Meta.fields, "definition", "card", "evaluations", "feature_drifts"]
        read_only_fields = fields


class ComparisonSerializer(serializers.ModelSerializer):
    model = serializers.CharField(source="registered_model.name")
    champion = serializers.CharField(source="champion.label")
    challenger = serializers.CharField(source="challenger.label")

    class Meta:
        model = Comparison
        fields = [
            "id",
            "model",
            "champion",
            "challenger",
            "base_ym",
            "verdict",
            "sentence",
            "report_sha256",
            "created_at",
        ]
        read_only_fields = fields


class ComparisonDetailSerializer(ComparisonSerializer):
    class Meta(ComparisonSerializer.Meta):
        fields = [*ComparisonSerializer.Meta.fields, "report"]
        read_only_fields = fields


class ReviewSerializer(serializers.ModelSerializer):
    model = serializers.CharField(source="version.registered_model.name")
    version = serializers.CharField(source="version.label")
    version_id = serializers.IntegerField()
    incumbent = serializers.CharField(source="incumbent.label", allow_null=True, default=None)
    comparison = serializers.PrimaryKeyRelatedField(read_only=True, allow_null=True)
    requested_by = serializers.CharField(source="requested_by.username")
    version_author = serializers.CharField(source="version_author.username")
    decided_by = serializers.CharField(source="decided_by.username", allow_null=True, default=None)

    class Meta:
        model = Review
        fields = [
            "id",
            "model",
            "version",
            "version_id",
            "incumbent",
            "comparison",
            "status",
            "reason",
            "gates",
            "package_sha256",
            "evidence_sha256",
            "requested_by",
            "version_author",
            "decided_by",
            "decided_at",
            "note",
            "created_at",
        ]
        read_only_fields = fields


class DecisionSerializer(StrictFields):
    """A decision's reason; needed where a gate did not pass, and to reject or ask for changes."""

    note = serializers.CharField(max_length=4_000, required=False, allow_blank=True, default="")
