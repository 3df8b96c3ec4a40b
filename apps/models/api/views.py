"""REST of the registry."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.viewsets import NothingSerializer, ReadViewSet, problem_responses
from apps.models import services
from apps.models.api.serializers import (
    ComparisonDetailSerializer,
    ComparisonSerializer,
    DecisionSerializer,
    ModelVersionDetailSerializer,
    ModelVersionSerializer,
    RegisteredModelSerializer,
    ReviewSerializer,
)
from apps.models.filters import ComparisonFilter, ModelVersionFilter, RegisteredModelFilter, ReviewFilter
from apps.models.models import Comparison, ModelVersion, RegisteredModel, Review


@extend_schema_view(
    list=extend_schema(summary="Models of the catalog"),
    retrieve=extend_schema(summary="One model with its definition"),
)
class RegisteredModelViewSet(ReadViewSet):
    queryset = RegisteredModel.objects.select_related("owner").prefetch_related("feature_sets")
    serializer_class = RegisteredModelSerializer
    filterset_class = RegisteredModelFilter


@extend_schema_view(
    list=extend_schema(summary="Versions of models"),
    retrieve=extend_schema(summary="One version with its card and figures"),
)
class ModelVersionViewSet(ReadViewSet):
    queryset = ModelVersion.objects.with_people().order_by("registered_model__name", "-number")
    filterset_class = ModelVersionFilter

    def get_queryset(self) -> QuerySet[ModelVersion]:
        rows = super().get_queryset()
        return rows.prefetch_related("evaluations", "feature_drifts") if self.action == "retrieve" else rows

    def get_serializer_class(self) -> Any:
        return ModelVersionDetailSerializer if self.action == "retrieve" else ModelVersionSerializer


@extend_schema_view(
    list=extend_schema(summary="Comparisons of champions and challengers"),
    retrieve=extend_schema(summary="One comparison with its report"),
)
class ComparisonViewSet(ReadViewSet):
    queryset = Comparison.objects.with_versions()
    filterset_class = ComparisonFilter

    def get_queryset(self) -> QuerySet[Comparison]:
        rows = super().get_queryset()
        return rows if self.action == "retrieve" else rows.defer("report")

    def get_serializer_class(self) -> Any:
        return ComparisonDetailSerializer if self.action == "retrieve" else ComparisonSerializer


@extend_schema_view(
    list=extend_schema(summary="Reviews, newest first"),
    retrieve=extend_schema(summary="One review"),
)
class ReviewViewSet(ReadViewSet):
    """Reading, rejecting, asking for changes, withdrawing. Approving puts into service: it is serving's."""

    queryset = Review.objects.with_people()
    serializer_class = ReviewSerializer
    filterset_class = ReviewFilter

    @extend_schema(
        summary="Reject a version",
        request=DecisionSerializer,
        responses={200: ReviewSerializer, **problem_responses(400, 403, 404, 409, 422)},
    )
    @action(detail=True, methods=["post"])
    def reject(self, request: Request, pk: str) -> Response:
        return self._decide(request, Review.Status.REJECTED)

    @extend_schema(
        summary="Ask for changes to a version",
        request=DecisionSerializer,
        responses={200: ReviewSerializer, **problem_responses(400, 403, 404, 409, 422)},
    )
    @action(detail=True, methods=["post"], url_path="request-changes")
    def request_changes(self, request: Request, pk: str) -> Response:
        return self._decide(request, Review.Status.CHANGES_REQUESTED)

    @extend_schema(
        summary="Take back a request for review",
        request=NothingSerializer,
        responses={200: ReviewSerializer, **problem_responses(400, 403, 404, 409)},
    )
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        review = self.get_object()
        NothingSerializer(data=request.data).is_valid(raise_exception=True)
        return self._answer(services.withdraw_review(actor=request.user, review=review))

    def _decide(self, request: Request, decision: Review.Status) -> Response:
        review = self.get_object()
        review = services.decide_review(
            actor=request.user, review=review, decision=decision, note=self._note(request)
        )
        return self._answer(review)

    def _note(self, request: Request) -> str:
        body = DecisionSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return body.validated_data["note"]

    def _answer(self, review: Review) -> Response:
        return Response(ReviewSerializer(Review.objects.with_people().get(pk=review.pk)).data)
