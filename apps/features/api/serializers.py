"""Feature sets and features as the REST side shows them."""

from __future__ import annotations

from rest_framework import serializers

from apps.common.viewsets import StrictFields
from apps.features.models import Feature, FeatureProfile, FeatureSet


class FeatureInSetSerializer(serializers.ModelSerializer):
    class Meta:
        model = Feature
        fields = ["id", "name", "dtype", "engine_type", "description"]
        read_only_fields = fields


class FeatureSetSerializer(serializers.ModelSerializer):
    owner = serializers.CharField(source="owner.username")
    source_tables = serializers.ListField(child=serializers.CharField())
    features = FeatureInSetSerializer(many=True)

    class Meta:
        model = FeatureSet
        fields = [
            "id",
            "name",
            "version",
            "is_current",
            "title",
            "description",
            "domain",
            "entity",
            "entity_key",
            "sql",
            "sql_sha256",
            "source_tables",
            "owner",
            "created_at",
            "features",
        ]
        read_only_fields = fields


class FeatureProfileSerializer(serializers.ModelSerializer):
    class Meta:
        model = FeatureProfile
        fields = ["base_ym", "rows", "missing", "distinct", "mean", "minimum", "maximum", "psi", "histogram"]
        read_only_fields = fields


class FeatureSerializer(serializers.ModelSerializer):
    feature_set = serializers.CharField(source="feature_set.name")
    version = serializers.IntegerField(source="feature_set.version")
    entity = serializers.CharField(source="feature_set.entity")
    domain = serializers.CharField(source="feature_set.domain")
    owner = serializers.CharField(source="feature_set.owner.username")
    latest_psi = serializers.FloatField(allow_null=True)
    latest_ym = serializers.CharField(allow_null=True)

    class Meta:
        model = Feature
        fields = [
            "id",
            "feature_set",
            "version",
            "name",
            "dtype",
            "engine_type",
            "description",
            "entity",
            "domain",
            "owner",
            "latest_psi",
            "latest_ym",
        ]
        read_only_fields = fields


class FeatureDetailSerializer(FeatureSerializer):
    profiles = FeatureProfileSerializer(many=True)

    class Meta(FeatureSerializer.Meta):
        fields = [*FeatureSerializer.Meta.fields, "profiles"]
        read_only_fields = fields


class NewFeatureSerializer(StrictFields):
    name = serializers.CharField(max_length=63)
    dtype = serializers.ChoiceField(choices=Feature.Dtype.choices)
    description = serializers.CharField(max_length=300, required=False, allow_blank=True, default="")


class NewFeatureSetSerializer(StrictFields):
    """A feature set to publish; where the name exists this becomes its next version."""

    name = serializers.CharField(max_length=63)
    title = serializers.CharField(max_length=120)
    description = serializers.CharField(max_length=4_000, required=False, allow_blank=True, default="")
    domain = serializers.CharField(max_length=40, required=False, allow_blank=True, default="")
    entity = serializers.CharField(max_length=40)
    entity_key = serializers.CharField(max_length=63)
    sql = serializers.CharField(
        max_length=100_000,
        trim_whitespace=False,
        help_text="One SELECT in Impala SQL; {base_ym} and such are filled in.",
    )
    features = NewFeatureSerializer(
        many=True,
        required=False,
        max_length=2_000,
        help_text="How to read the columns; left out: by their type.",
    )
