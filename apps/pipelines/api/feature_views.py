"""REST of what runs on a feature set, and of what those runs found."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.rest import HoldsARole
from apps.common.viewsets import problem_responses
from apps.features.models import EdaReport, FeatureProfile, FeatureSet
from apps.pipelines.api.feature_serializers import (
    EdaDetailSerializer,
    EdaSummarySerializer,
    ExploreSerializer,
    MaterialiseSerializer,
    MonthSerializer,
    ProfileSerializer,
    ProveSerializer,
    PublishOnlineSerializer,
)
from apps.pipelines.api.serializers import RunSerializer
from apps.pipelines.api.views import KEY_HEADER, own_key, with_header_key
from apps.pipelines.feature_runs import start_feature_run
from apps.pipelines.grid import lines_of, newest_month_of_all
from apps.pipelines.models import PipelineRun, Template
from mlopslib.dates import add_months, month_range, validate_ym
from mlopslib.errors import InvalidDate

_SET = OpenApiParameter("id", OpenApiTypes.INT, OpenApiParameter.PATH, description="A version's id.")
_BASE = OpenApiParameter("base_ym", OpenApiTypes.STR, description="One month alone, YYYYMM.")
_STARTED = {201: RunSerializer, 200: RunSerializer, **problem_responses(400, 403, 404, 409, 422)}
#: columns of the grid where the address names no months
_MONTHS = 12
_MOST_MONTHS = 240


class FeatureSetRunViewSet(viewsets.GenericViewSet):
    """Below ``/api/feature-sets/{id}/``: `id` is a version of a feature set."""

    permission_classes = [HoldsARole]
    queryset = FeatureSet.objects.visible()
    serializer_class = RunSerializer
    filterset_class = None
    lookup_value_regex = r"[0-9]+"

    @extend_schema(
        summary="Materialise months of a feature set",
        parameters=[_SET, KEY_HEADER],
        request=MaterialiseSerializer,
        responses=_STARTED,
    )
    @action(detail=False, methods=["post"])
    def materialise(self, request: Request, id: str) -> Response:
        return self._start(request, id, Template.MATERIALISE, MaterialiseSerializer)

    @extend_schema(
        summary="Prove that a feature set does not read the future",
        parameters=[_SET, KEY_HEADER],
        request=ProveSerializer,
        responses=_STARTED,
    )
    @action(detail=False, methods=["post"])
    def prove(self, request: Request, id: str) -> Response:
        return self._start(request, id, Template.LEAK_PROOF, ProveSerializer)

    @extend_schema(
        summary="Publish a month to the online store",
        parameters=[_SET, KEY_HEADER],
        request=PublishOnlineSerializer,
        responses=_STARTED,
    )
    @action(detail=False, methods=["post"], url_path="publish-online")
    def publish_online(self, request: Request, id: str) -> Response:
        return self._start(request, id, Template.ONLINE, PublishOnlineSerializer)

    @extend_schema(
        summary="EDA reports of a feature set, newest month first",
        parameters=[_SET],
        responses=EdaSummarySerializer(many=True),
    )
    @action(detail=False, methods=["get"])
    def eda(self, request: Request, id: str) -> Response:
        return self._page(self._set(id).eda_reports.defer("report"), EdaSummarySerializer)

    @extend_schema(
        summary="Explore a month of a feature set",
        parameters=[_SET, KEY_HEADER],
        request=ExploreSerializer,
        responses=_STARTED,
    )
    @eda.mapping.post
    def explore(self, request: Request, id: str) -> Response:
        return self._start(request, id, Template.EDA, ExploreSerializer)

    @extend_schema(
        summary="One EDA report with all its figures",
        parameters=[_SET, OpenApiParameter("report", OpenApiTypes.INT, OpenApiParameter.PATH)],
        responses={200: EdaDetailSerializer, **problem_responses(404)},
    )
    @action(detail=False, methods=["get"], url_path=r"eda/(?P<report>[0-9]+)")
    def eda_report(self, request: Request, id: str, report: str) -> Response:
        row = get_object_or_404(EdaReport, feature_set=self._set(id), pk=report)
        return Response(EdaDetailSerializer(row).data)

    @extend_schema(
        summary="Profiles of a feature set's months: counts, moments, PSI",
        parameters=[_SET, _BASE, OpenApiParameter("feature", OpenApiTypes.STR, description="One alone.")],
        responses=ProfileSerializer(many=True),
    )
    @action(detail=False, methods=["get"])
    def profiles(self, request: Request, id: str) -> Response:
        rows = FeatureProfile.objects.filter(feature__feature_set=self._set(id)).select_related("feature")
        if ym := request.query_params.get("base_ym"):
            rows = rows.filter(base_ym=_checked("base_ym", ym))
        if name := request.query_params.get("feature"):
            rows = rows.filter(feature__name=name)
        return self._page(rows.order_by("base_ym", "feature__position", "pk"), ProfileSerializer)

    @extend_schema(
        summary="Months of a feature set: what stands, runs, failed, is missing or not due",
        parameters=[
            _SET,
            OpenApiParameter("first_ym", OpenApiTypes.STR, description="A year before the last without it."),
            OpenApiParameter("last_ym", OpenApiTypes.STR, description="The newest month of all without it."),
        ],
        responses={200: MonthSerializer(many=True), **problem_responses(404, 422)},
    )
    @action(detail=False, methods=["get"], pagination_class=None)
    def months(self, request: Request, id: str) -> Response:
        feature_set, now = self._set(id), timezone.now()
        newest = newest_month_of_all(now)
        asked = request.query_params
        last = _checked("last_ym", asked.get("last_ym") or newest)
        first = _checked("first_ym", asked.get("first_ym") or add_months(last, 1 - _MONTHS))
        months = month_range(first, last)
        if not 0 < len(months) <= _MOST_MONTHS:
            raise InvalidDate(
                f"{first} to {last} is not a range: the first month comes first, "
                f"and there are {_MOST_MONTHS} months at most",
                field="first_ym",
            )
        [line] = lines_of([feature_set], months, now=now, newest_of_all=newest)
        return Response(MonthSerializer(line.cells, many=True).data)

    def _set(self, pk: str) -> FeatureSet:
        return get_object_or_404(self.queryset, pk=pk)

    def _start(self, request: Request, pk: str, template: str, body_class: Any) -> Response:
        feature_set = self._set(pk)
        body = body_class(data=with_header_key(request))
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        key = own_key(request, values.pop("idempotency_key", None))
        is_replay = key is not None and PipelineRun.objects.filter(idempotency_key=key).exists()
        run = start_feature_run(
            actor=request.user,
            template=template,
            feature_set=feature_set,
            trigger=PipelineRun.Trigger.REST,
            target_model=values.pop("target", ""),
            idempotency_key=key,
            **values,
        )
        return Response(
            RunSerializer(run).data, status=status.HTTP_200_OK if is_replay else status.HTTP_201_CREATED
        )

    def _page(self, rows: QuerySet[Any], serializer_class: Any) -> Response:
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(serializer_class(page, many=True).data)


def _checked(field: str, value: str) -> str:
    try:
        return validate_ym(value)
    except InvalidDate as error:
        raise InvalidDate(error.message, field=field) from error
