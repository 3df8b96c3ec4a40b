"""REST of the online store: the newest values of entities."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.rest import HoldsARole
from apps.common.viewsets import StrictFields, problem_responses
from apps.features.models import FeatureSet
from apps.features.online import online_store
from mlopslib.errors import InvalidInput

#: entities of one request
MOST_ENTITIES = 1_000


@extend_schema_field(
    {"oneOf": [{"type": "integer", "format": "int64"}, {"type": "string", "maxLength": 1000}]}
)
class EntityField(serializers.Field):
    """A whole number or a text, and it stays what it is."""

    default_error_messages = {"invalid": "an entity is a whole number or a text"}

    def to_internal_value(self, data: Any) -> int | str:
        if isinstance(data, bool) or not isinstance(data, int | str):
            self.fail("invalid")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class AskSerializer(StrictFields):
    feature_set = serializers.CharField(max_length=63)
    version = serializers.IntegerField(
        required=False, min_value=1, help_text="Left out: the current one. Who serves a model pins its own."
    )
    entities = serializers.ListField(
        child=EntityField(), min_length=1, max_length=MOST_ENTITIES, help_text="Whole numbers, or texts."
    )
    features = serializers.ListField(
        child=serializers.CharField(max_length=63), required=False, min_length=1, max_length=2_000
    )
    max_age_seconds = serializers.FloatField(
        required=False, help_text="Values whose event time is longer ago are given as missing."
    )


class OnlineRowSerializer(serializers.Serializer):
    entity = EntityField()
    status = serializers.ChoiceField(choices=["ok", "missing", "stale"])
    event_time = serializers.DateTimeField(allow_null=True, help_text="Of the oldest value asked for.")
    values = serializers.DictField(allow_null=True, help_text="By feature; null is missing.")
    stale = serializers.ListField(child=serializers.CharField(), help_text="Features that were too old.")
    streamed = serializers.DictField(
        child=serializers.DateTimeField(),
        help_text="Features that a stream wrote since, with their event time.",
    )


class AnswerSerializer(serializers.Serializer):
    feature_set = serializers.CharField()
    version = serializers.IntegerField()
    rows = OnlineRowSerializer(many=True)


class OnlineViewSet(viewsets.ViewSet):
    permission_classes = [HoldsARole]

    @extend_schema(
        summary="The newest values of entities, from the online store",
        request=AskSerializer,
        responses={200: AnswerSerializer, **problem_responses(400, 403, 422, 503)},
        examples=[
            OpenApiExample(
                "Two customers, not older than 40 days",
                request_only=True,
                value={
                    "feature_set": "cust_balance",
                    "entities": ["C0000017", "C0000042"],
                    "features": ["bal_avg_3m", "grade"],
                    "max_age_seconds": 3_456_000,
                },
            ),
            OpenApiExample(
                "One is known, one is not",
                response_only=True,
                status_codes=["200"],
                value={
                    "feature_set": "cust_balance",
                    "version": 1,
                    "rows": [
                        {
                            "entity": "C0000017",
                            "status": "ok",
                            "event_time": "2026-06-30T14:59:59.999999Z",
                            "values": {"bal_avg_3m": 1250.5, "grade": "A"},
                            "stale": [],
                            "streamed": {"bal_avg_3m": "2026-07-01T00:30:00Z"},
                        },
                        {
                            "entity": "C0000042",
                            "status": "missing",
                            "event_time": None,
                            "values": None,
                            "stale": [],
                            "streamed": {},
                        },
                    ],
                },
            ),
        ],
    )
    @action(detail=False, methods=["post"], url_path="get", url_name="get")
    def get_rows(self, request: Request) -> Response:
        body = AskSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        pin = _pin(asked["feature_set"], asked.get("version"))
        rows = online_store().get(
            *pin,
            asked["entities"],
            features=asked.get("features"),
            max_age_seconds=asked.get("max_age_seconds"),
        )
        answer = {"feature_set": pin[0], "version": pin[1], "rows": rows}
        return Response(AnswerSerializer(answer).data)


def _pin(name: str, version: int | None) -> tuple[str, int]:
    """Raises InvalidInput for a feature set that is not there."""
    rows = FeatureSet.objects.visible().exclude(status=FeatureSet.Status.DRAFT).filter(name=name)
    numbers = dict(rows.values_list("version", "is_current"))
    if not numbers:
        raise InvalidInput(f"there is no published feature set {name!r}", field="feature_set")
    current = next((number for number, is_current in numbers.items() if is_current), max(numbers))
    if version is not None and version not in numbers:
        raise InvalidInput(f"{name} has no version {version}; the current one is v{current}", field="version")
    return name, current if version is None else version
