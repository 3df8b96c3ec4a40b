"""REST of the feature catalog."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.viewsets import ReadViewSet, problem_responses
from apps.features import services
from apps.features.api.serializers import (
    FeatureDetailSerializer,
    FeatureSerializer,
    FeatureSetSerializer,
    NewFeatureSetSerializer,
)
from apps.features.filters import FeatureFilter, FeatureSetFilter
from apps.features.models import Feature, FeatureSet
from mlopslib.definition import FeatureSpec
from mlopslib.offline import open_store


@extend_schema_view(
    list=extend_schema(summary="Feature sets, every version"),
    retrieve=extend_schema(summary="One version of a feature set"),
)
class FeatureSetViewSet(ReadViewSet):
    queryset = FeatureSet.objects.select_related("owner").prefetch_related("features")
    serializer_class = FeatureSetSerializer
    filterset_class = FeatureSetFilter

    @extend_schema(
        summary="Publish a feature set",
        request=NewFeatureSetSerializer,
        responses={201: FeatureSetSerializer, **problem_responses(400, 403, 409, 422)},
    )
    def create(self, request: Request) -> Response:
        body = NewFeatureSetSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        features = values.pop("features", None)
        feature_set = services.create_feature_set(
            actor=request.user,
            store=open_store(settings.OFFLINE_URL),
            features=None if features is None else [FeatureSpec(**item) for item in features],
            **values,
        )
        return Response(FeatureSetSerializer(feature_set).data, status=status.HTTP_201_CREATED)


@extend_schema_view(
    list=extend_schema(summary="Features of the current feature sets"),
    retrieve=extend_schema(summary="One feature with its months"),
)
class FeatureViewSet(ReadViewSet):
    queryset = Feature.objects.none()
    filterset_class = FeatureFilter

    def get_queryset(self) -> QuerySet[Feature]:
        rows = Feature.objects.current().with_set().order_by("feature_set__name", "position", "pk")
        return rows.prefetch_related("profiles") if self.action == "retrieve" else rows

    def get_serializer_class(self) -> Any:
        return FeatureDetailSerializer if self.action == "retrieve" else FeatureSerializer
