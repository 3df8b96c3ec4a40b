"""REST of the feature catalog."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view

from apps.common.viewsets import ReadViewSet
from apps.features.api.serializers import (
    FeatureDetailSerializer,
    FeatureSerializer,
)
from apps.features.filters import FeatureFilter
from apps.features.models import Feature


@extend_schema_view(
    list=extend_schema(
        summary="Features of the current feature sets and of drafts",
        description="The filters are those of the catalog's page. A search (`q`) is sorted by where it "
        "matched: name, feature set, source column, description or title, SQL, tag, owner.",
    ),
    retrieve=extend_schema(summary="One feature with its months"),
)
class FeatureViewSet(ReadViewSet):
    queryset = Feature.objects.none()
    filterset_class = FeatureFilter

    def get_queryset(self) -> QuerySet[Feature]:
        rows = Feature.objects.in_catalog().with_set().order_by("feature_set__name", "position", "pk")
        return rows.prefetch_related("profiles", "sources") if self.action == "retrieve" else rows

    def get_serializer_class(self) -> Any:
        return FeatureDetailSerializer if self.action == "retrieve" else FeatureSerializer
