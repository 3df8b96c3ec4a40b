"""REST of the schedules."""

from __future__ import annotations

from django.db import transaction
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.access import require
from apps.common.viewsets import ReadViewSet, problem_responses
from apps.pipelines import scheduling, services
from apps.pipelines.api.feature_serializers import (
    ChangedScheduleSerializer,
    NewScheduleSerializer,
    ScheduleSerializer,
)
from apps.pipelines.models import Pipeline, Schedule
from mlopslib.errors import InvalidInput


@extend_schema_view(
    list=extend_schema(summary="Schedules with their next due moments"),
    retrieve=extend_schema(summary="One schedule"),
)
class ScheduleViewSet(ReadViewSet):
    queryset = Schedule.objects.select_related("pipeline", "owner").order_by("pk")
    serializer_class = ScheduleSerializer
    filterset_fields = ["pipeline__name", "is_enabled"]

    @extend_schema(
        summary="Add a schedule",
        request=NewScheduleSerializer,
        responses={201: ScheduleSerializer, **problem_responses(400, 403, 422)},
    )
    def create(self, request: Request) -> Response:
        require(request.user, "schedules.edit")
        body = NewScheduleSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        name = values.pop("pipeline")
        pipeline = Pipeline.objects.with_subject().filter(name=name).first()
        if pipeline is None:
            raise InvalidInput(f"there is no pipeline {name!r}; /api/pipelines lists them", field="pipeline")
        schedule = services.add_schedule(actor=request.user, pipeline=pipeline, **values)
        return Response(ScheduleSerializer(schedule).data, status=status.HTTP_201_CREATED)

    @extend_schema(
        summary="Change a schedule, or switch it on or off",
        request=ChangedScheduleSerializer,
        responses={200: ScheduleSerializer, **problem_responses(400, 403, 404, 422)},
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        require(request.user, "schedules.edit")
        schedule = self.get_object()
        body = ChangedScheduleSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        is_enabled = values.pop("is_enabled", schedule.is_enabled)
        plan = {name: getattr(schedule, name) for name in ("day_of_month", "hour", "lag_months")}
        with transaction.atomic():
            scheduling.change_schedule(actor=request.user, schedule=schedule, **(plan | values))
            scheduling.switch_schedule(actor=request.user, schedule=schedule, is_enabled=is_enabled)
        return Response(ScheduleSerializer(schedule).data)

    @extend_schema(
        summary="Delete a schedule; its runs stay",
        responses={204: None, **problem_responses(403, 404)},
    )
    def destroy(self, request: Request, pk: str) -> Response:
        scheduling.delete_schedule(actor=request.user, schedule=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)
