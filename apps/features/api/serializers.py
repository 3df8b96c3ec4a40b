"""Feature sets and features as the REST side shows them."""

from __future__ import annotations

from rest_framework import serializers

from apps.common.viewsets import StrictFields
from apps.features.models import Feature, FeatureProfile, FeatureSet, FeatureSource, LeakProof


class FeatureInSetSerializer(serializers.ModelSerializer):
    class Meta:
        model = Feature
        fields = [
            *("id", "name", "dtype", "engine_type", "description"),
            *("deprecated_at", "deprecation_reason"),
        ]
        read_only_fields = fields


class FeatureSetSerializer(serializers.ModelSerializer):
    owner = serializers.CharField(source="owner.username")
    source_tables = serializers.ListField(child=serializers.CharField())
    timeless_tables = serializers.DictField(child=serializers.CharField())
    tags = serializers.SlugRelatedField("name", many=True, read_only=True)
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
            "sql_fingerprint",
            "source_tables",
            "timeless_tables",
            "tags",
            "status",
            "deprecation_reason",
            "replaced_by",
            "proof",
            "proved_months",
            "owner",
            "created_at",
            "updated_at",
            "published_at",
            "deprecated_at",
            "features",
        ]
        read_only_fields = fields


class FeatureProfileSerializer(serializers.ModelSerializer):
    class Meta:
        model = FeatureProfile
        fields = [
            "base_ym",
            "rows",
            "missing",
            "distinct",
            "mean",
            "std",
            "minimum",
            "maximum",
            "psi",
            "psi_high",
            "psi_p",
            "psi_q",
            "unseen",
            "histogram",
            "details",
        ]
        read_only_fields = fields


class FeatureSourceSerializer(serializers.ModelSerializer):
    class Meta:
        model = FeatureSource
        fields = ["table", "column"]
        read_only_fields = fields


class FeatureSerializer(serializers.ModelSerializer):
    feature_set = serializers.CharField(source="feature_set.name")
    version = serializers.IntegerField(source="feature_set.version")
    status = serializers.CharField(source="feature_set.status")
    proof = serializers.CharField(source="feature_set.proof")
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
            "status",
            "proof",
            "name",
            "dtype",
            "engine_type",
            "description",
            "deprecated_at",
            "deprecation_reason",
            "entity",
            "domain",
            "owner",
            "latest_psi",
            "latest_ym",
        ]
        read_only_fields = fields


class FeatureDetailSerializer(FeatureSerializer):
    sources = FeatureSourceSerializer(many=True)
    profiles = FeatureProfileSerializer(many=True)

    class Meta(FeatureSerializer.Meta):
        fields = [*FeatureSerializer.Meta.fields, "sources", "profiles"]
        read_only_fields = fields


class NewFeatureSerializer(StrictFields):
    name = serializers.CharField(max_length=63)
    dtype = serializers.ChoiceField(choices=Feature.Dtype.choices)
    description = serializers.CharField(max_length=300, required=False, allow_blank=True, default="")


class _DefinitionSerializer(StrictFields):
    """What a person writes of a feature set."""

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
        help_text="How to read the columns; left out: as they are read today, else by their type.",
    )
    tags = serializers.ListField(
        child=serializers.CharField(max_length=40),
        required=False,
        max_length=20,
        help_text="Left out: the tags that the name has.",
    )
    timeless_tables = serializers.DictField(
        child=serializers.CharField(max_length=300),
        required=False,
        help_text="Tables that hold nothing that changes with time, each with the reason.",
    )


class NewFeatureSetSerializer(_DefinitionSerializer):
    """A feature set to publish, or to keep as a draft; where the name exists it becomes the next version."""

    name = serializers.CharField(max_length=63)
    publish = serializers.BooleanField(
        required=False, default=True, help_text="false keeps it as the draft of its name."
    )
    acknowledge = serializers.CharField(
        max_length=300,
        required=False,
        allow_blank=True,
        default="",
        help_text="Why a source without an end date does no harm; kept in the audit log.",
    )


class DraftChangesSerializer(_DefinitionSerializer):
    """Fields of a draft to change; those that are left out stay."""

    seen_at = serializers.DateTimeField(
        required=False, help_text="`updated_at` as you read it: refused where somebody saved it since."
    )


class PublishSerializer(StrictFields):
    acknowledge = serializers.CharField(max_length=300, required=False, allow_blank=True, default="")


class DeprecateSerializer(StrictFields):
    reason = serializers.CharField(max_length=300)
    replaced_by = serializers.CharField(
        max_length=63, required=False, allow_blank=True, default="", help_text="Feature set to use instead."
    )


class QuerySerializer(StrictFields):
    """A query to look at; nothing is saved."""

    sql = serializers.CharField(max_length=100_000, trim_whitespace=False)
    entity_key = serializers.CharField(max_length=63, required=False, allow_blank=True, default="")
    base_ym = serializers.RegexField(
        r"^[0-9]{4}-?[0-9]{2}$", required=False, default="", help_text="Base month, such as 202610."
    )


class CheckedQuerySerializer(QuerySerializer):
    name = serializers.CharField(max_length=63, required=False, allow_blank=True, default="")
    timeless_tables = serializers.DictField(
        child=serializers.CharField(max_length=300), required=False, default=dict
    )


class PreviewedQuerySerializer(QuerySerializer):
    base_ym = serializers.RegexField(r"^[0-9]{4}-?[0-9]{2}$", help_text="Base month, such as 202610.")
    query_id = serializers.UUIDField(
        required=False, help_text="Choose it, and POST /api/feature-sets/cancel-query/ can stop the query."
    )


class CancelQuerySerializer(StrictFields):
    query_id = serializers.UUIDField()


class FindingSerializer(serializers.Serializer):
    level = serializers.ChoiceField(
        choices=["error", "warning", "ok"], help_text="error: it cannot be published as it is."
    )
    text = serializers.CharField()
    field = serializers.CharField()
    line = serializers.IntegerField(allow_null=True)


class OutputColumnSerializer(serializers.Serializer):
    name = serializers.CharField()
    type = serializers.CharField()
    dtype = serializers.CharField()
    is_key = serializers.BooleanField()


class SourceBoundsSerializer(serializers.Serializer):
    table = serializers.CharField()
    column = serializers.CharField(allow_null=True)
    low = serializers.CharField(allow_null=True)
    high = serializers.CharField(allow_null=True)
    status = serializers.CharField(help_text="bounded, open, after_base, timeless or no_date_column")
    reason = serializers.CharField()
    where = serializers.CharField()


class CheckReportSerializer(serializers.Serializer):
    is_ok = serializers.BooleanField()
    findings = FindingSerializer(many=True)
    columns = OutputColumnSerializer(many=True)
    tables = serializers.ListField(child=serializers.CharField())
    parameters = serializers.DictField(child=serializers.CharField())
    estimate = serializers.IntegerField(allow_null=True)
    sources = SourceBoundsSerializer(many=True, source="leaks.sources", default=list)


class KeyCheckSerializer(serializers.Serializer):
    rows = serializers.IntegerField()
    missing = serializers.IntegerField()
    entities = serializers.IntegerField()
    is_unique = serializers.BooleanField()


class PreviewSerializer(serializers.Serializer):
    base_ym = serializers.CharField()
    columns = serializers.ListField(child=serializers.CharField())
    rows = serializers.ListField(child=serializers.ListField(child=serializers.CharField(allow_null=True)))
    key = KeyCheckSerializer(allow_null=True)


class CancelledSerializer(serializers.Serializer):
    asked = serializers.BooleanField(help_text="false where the query had ended already.")


class LeakProofSerializer(serializers.ModelSerializer):
    poisoned = serializers.DictField()
    differences = serializers.ListField(child=serializers.DictField())
    bounds = serializers.ListField(child=serializers.DictField())

    class Meta:
        model = LeakProof
        fields = ["base_ym", "outcome", "sentence", "poisoned", "differences", "bounds", "created_at"]
        read_only_fields = fields


class UseSerializer(serializers.Serializer):
    kind = serializers.CharField(help_text="model, model version, endpoint or schedule")
    name = serializers.CharField()
    version = serializers.IntegerField(help_text="Version of the feature set that it uses.")
