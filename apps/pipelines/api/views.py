"""REST of pipelines and runs."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.access import may, require
from apps.common.viewsets import NothingSerializer, ReadViewSet, problem_responses
from apps.pipelines import services
from apps.pipelines.api.serializers import (
    NewRunSerializer,
    PipelineSerializer,
    RunDetailSerializer,
    RunSerializer,
)
from apps.pipelines.filters import RunFilter
from apps.pipelines.models import Pipeline, PipelineRun
from mlopslib.errors import InvalidInput

KEY_HEADER = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The same key again gives the same run; with another body it is refused.",
)


@extend_schema_view(
    list=extend_schema(summary="Pipelines: what a run can be started of"),
    retrieve=extend_schema(summary="One pipeline"),
)
class PipelineViewSet(ReadViewSet):
    queryset = Pipeline.objects.select_related("registered_model", "feature_set", "owner")
    serializer_class = PipelineSerializer
    filterset_fields = ["name", "template"]


@extend_schema_view(
    list=extend_schema(summary="Runs, newest first"),
    retrieve=extend_schema(summary="One run with its steps"),
)
class RunViewSet(ReadViewSet):
    queryset = PipelineRun.objects.select_related("pipeline", "requested_by")
    filterset_class = RunFilter

    def get_queryset(self) -> QuerySet[PipelineRun]:
        rows = super().get_queryset()
        return rows.prefetch_related("steps__artifacts") if self.action == "retrieve" else rows

    def get_serializer_class(self) -> Any:
        return RunDetailSerializer if self.action == "retrieve" else RunSerializer

    @extend_schema(
        summary="Start a run",
        parameters=[KEY_HEADER],
        request=NewRunSerializer,
        responses={201: RunSerializer, 200: RunSerializer, **problem_responses(400, 403, 409, 422)},
    )
    def create(self, request: Request) -> Response:
        if not may(request.user, "features.materialise"):
            require(request.user, "runs.start")
        body = NewRunSerializer(data=with_header_key(request))
        body.is_valid(raise_exception=True)
        values = body.validated_data
        pipeline = Pipeline.objects.filter(name=values["pipeline"]).first()
        if pipeline is None:
            raise InvalidInput(
                f"there is no pipeline {values['pipeline']!r}; /api/pipelines lists them", field="pipeline"
            )
        key = values.get("idempotency_key")
        key = own_key(request, key)
        is_replay = key is not None and PipelineRun.objects.filter(idempotency_key=key).exists()
        run = services.start_run(
            actor=request.user,
            pipeline=pipeline,
            base_ym=values["base_ym"],
            trigger=PipelineRun.Trigger.REST,
            params=dict(values["params"]) if "params" in values else None,
            idempotency_key=key,
        )
        return Response(
            RunSerializer(run).data,
            status=status.HTTP_200_OK if is_replay else status.HTTP_201_CREATED,
        )

    @extend_schema(
        summary="Cancel a run",
        request=NothingSerializer,
        responses={200: RunSerializer, **problem_responses(400, 403, 404, 409)},
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        return self._act(request, services.cancel_run)

    @extend_schema(
        summary="Resume a failed run at its failed step",
        request=NothingSerializer,
        responses={200: RunSerializer, **problem_responses(400, 403, 404, 409)},
    )
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        return self._act(request, services.resume_run)

    def _act(self, request: Request, verb: Any) -> Response:
        run = self.get_object()
        NothingSerializer(data=request.data).is_valid(raise_exception=True)
        verb(actor=request.user, run=run)
        return Response(RunSerializer(self.get_queryset().get(pk=run.pk)).data)


def own_key(request: Request, key: str | None) -> str | None:
    """A key belongs to the person who chose it."""
    return f"rest:{request.user.pk}:{key}" if key else None


def with_header_key(request: Request) -> Any:
    """The body, with the key of the header where it has none. Raises InvalidInput where both differ."""
    key = request.headers.get("Idempotency-Key")
    if key is None or not isinstance(request.data, dict):
        return request.data
    if request.data.get("idempotency_key", key) != key:
        raise InvalidInput("the header Idempotency-Key and the body name two keys", field="idempotency_key")
    return {**request.data, "idempotency_key": key}
