"""REST of serving, and the approval, which puts a version into service."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.viewsets import ReadViewSet, problem_responses
from apps.models.api import views as registry
from apps.models.api.serializers import DecisionSerializer, ReviewSerializer
from apps.models.models import ModelVersion
from apps.serving import services
from apps.serving.api.serializers import DeploymentSerializer, EndpointSerializer, RollBackSerializer
from apps.serving.filters import DeploymentFilter, EndpointFilter
from apps.serving.models import Deployment, Endpoint
from mlopslib.errors import InvalidInput


class ReviewViewSet(registry.ReviewViewSet):
    @extend_schema(
        summary="Approve a version and deploy it to every endpoint of its model",
        request=DecisionSerializer,
        responses={200: ReviewSerializer, **problem_responses(400, 403, 404, 409, 422)},
    )
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, pk: str) -> Response:
        review = self.get_object()
        services.approve_and_deploy(actor=request.user, review=review, note=self._note(request))
        return self._answer(review)


@extend_schema_view(
    list=extend_schema(summary="Endpoints and the workers behind them"),
    retrieve=extend_schema(summary="One endpoint"),
)
class EndpointViewSet(ReadViewSet):
    queryset = Endpoint.objects.with_model().prefetch_related("workers")
    serializer_class = EndpointSerializer
    filterset_class = EndpointFilter

    @extend_schema(
        summary="Roll back an endpoint to a version approved before",
        request=RollBackSerializer,
        responses={201: DeploymentSerializer, **problem_responses(400, 403, 404, 409, 422)},
    )
    @action(detail=True, methods=["post"], url_path="roll-back")
    def roll_back(self, request: Request, pk: str) -> Response:
        endpoint = self.get_object()
        body = RollBackSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        number = body.validated_data["version"]
        version = ModelVersion.objects.filter(
            registered_model=endpoint.registered_model_id, number=number
        ).first()
        if version is None:
            raise InvalidInput(f"{endpoint.registered_model} has no version {number}", field="version")
        deployment = services.roll_back(actor=request.user, endpoint=endpoint, version=version)
        deployment = Deployment.objects.with_names().get(pk=deployment.pk)
        return Response(DeploymentSerializer(deployment).data, status=status.HTTP_201_CREATED)


@extend_schema_view(
    list=extend_schema(summary="Deployments, newest first"),
    retrieve=extend_schema(summary="One deployment with its signed manifest"),
)
class DeploymentViewSet(ReadViewSet):
    queryset = Deployment.objects.with_names()
    serializer_class = DeploymentSerializer
    filterset_class = DeploymentFilter
