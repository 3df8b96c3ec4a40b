"""Bodies and answers of what runs on a feature set, and of schedules."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from apps.common.viewsets import StrictFields
from apps.features.models import EdaReport, FeatureProfile
from apps.pipelines.grid import CellState
from apps.pipelines.models import Schedule


class _Keyed(StrictFields):
    idempotency_key = serializers.RegexField(
        r"^[A-Za-z0-9._:-]+$",
        max_length=80,
        required=False,
        help_text="The same key again gives the same run; the header Idempotency-Key does the same.",
    )


def _month(text: str, **options: Any) -> serializers.CharField:
    return serializers.CharField(max_length=6, help_text=text, **options)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Half a year",
            value={"first_ym": "202605", "last_ym": "202610", "idempotency_key": "cust-balance-2026h1"},
            request_only=True,
        )
    ]
)
class MaterialiseSerializer(_Keyed):
    """Months to make, the oldest first; a month that stands is made again."""

    first_ym = _month("The first month, YYYYMM.")
    last_ym = _month("The last month; the first alone without it.", required=False)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Three base months", value={"months": ["202608", "202609", "202610"]}, request_only=True
        )
    ]
)
class ProveSerializer(_Keyed):
    """Base months for which the leak proof is made."""

    months = serializers.ListField(
        child=serializers.CharField(max_length=6), min_length=1, max_length=36, help_text="YYYYMM each."
    )


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Held against a model's target",
            value={"base_ym": "202609", "target": "loan_needs"},
            request_only=True,
        )
    ]
)
class ExploreSerializer(_Keyed):
    """A month to explore; the newest in the store where none is named."""

    base_ym = _month("The month, YYYYMM.", required=False)
    target = serializers.CharField(
        max_length=63, required=False, help_text="Name of a model whose target the features are held against."
    )


@extend_schema_serializer(
    examples=[OpenApiExample("The newest month", value={}, request_only=True)],
)
class PublishOnlineSerializer(_Keyed):
    """A month to publish; the newest in the store where none is named."""

    base_ym = _month("The month, YYYYMM.", required=False)


class MonthSerializer(serializers.Serializer):
    """A cell of the grid of months."""

    base_ym = serializers.CharField(source="ym")
    state = serializers.ChoiceField(choices=[state.value for state in CellState])
    rows = serializers.IntegerField(allow_null=True)
    made_at = serializers.DateTimeField(allow_null=True)
    run = serializers.IntegerField(source="run_id", allow_null=True)


class ProfileSerializer(serializers.ModelSerializer):
    feature = serializers.CharField(source="feature.name")

    class Meta:
        model = FeatureProfile
        fields = [
            *("feature", "base_ym", "rows", "missing", "distinct", "mean", "std", "minimum", "maximum"),
            *("psi", "psi_high", "psi_p", "psi_q", "unseen", "details", "histogram"),
        ]
        read_only_fields = fields


class EdaSummarySerializer(serializers.ModelSerializer):
    class Meta:
        model = EdaReport
        fields = ["id", "base_ym", "target_label", "rows", "created_at"]
        read_only_fields = fields


class EdaDetailSerializer(EdaSummarySerializer):
    class Meta(EdaSummarySerializer.Meta):
        fields = [*EdaSummarySerializer.Meta.fields, "report"]
        read_only_fields = fields


class ScheduleSerializer(serializers.ModelSerializer):
    pipeline = serializers.CharField(source="pipeline.name")
    template = serializers.CharField(source="pipeline.template")
    owner = serializers.CharField(source="owner.username")
    next_due_at = serializers.DateTimeField()

    class Meta:
        model = Schedule
        fields = [
            *("id", "pipeline", "template", "day_of_month", "hour", "lag_months", "is_enabled"),
            *("next_due_at", "owner", "created_at"),
        ]
        read_only_fields = fields


class _Plan(StrictFields):
    day_of_month = serializers.IntegerField(min_value=1, max_value=28)
    hour = serializers.IntegerField(min_value=0, max_value=23)
    lag_months = serializers.IntegerField(
        min_value=0, max_value=36, help_text="1: the run stands on the month before the one it starts in."
    )


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Every third of the month at two",
            value={"pipeline": "cust_balance v1 materialise", "day_of_month": 3, "hour": 2, "lag_months": 1},
            request_only=True,
        )
    ]
)
class NewScheduleSerializer(_Plan):
    """A schedule to add."""

    pipeline = serializers.CharField(max_length=120, help_text="The pipeline's name.")


@extend_schema_serializer(
    examples=[OpenApiExample("Switch it off", value={"is_enabled": False}, request_only=True)]
)
class ChangedScheduleSerializer(_Plan):
    """What is to be otherwise; the rest stays."""

    day_of_month = serializers.IntegerField(min_value=1, max_value=28, required=False)
    hour = serializers.IntegerField(min_value=0, max_value=23, required=False)
    lag_months = serializers.IntegerField(min_value=0, max_value=36, required=False)
    is_enabled = serializers.BooleanField(required=False)
