"""REST of feature sets: write, check, publish, retire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.access import require
from apps.common.viewsets import NothingSerializer, ReadViewSet, problem_responses
from apps.features import queries, services
from apps.features.api import serializers as shapes
from apps.features.filters import FeatureSetFilter
from apps.features.models import FeatureSet
from mlopslib.dates import validate_ym
from mlopslib.definition import FeatureSpec
from mlopslib.errors import Conflict
from mlopslib.offline import open_store
from mlopslib.offline.base import OfflineStore

_SQL = (
    "SELECT customer_id, AVG(balance) AS bal_avg_3m\n"
    "  FROM balances\n"
    " WHERE ym BETWEEN '{bf_2m_ym}' AND '{base_ym}'\n"
    " GROUP BY customer_id"
)
_NEW = {
    "name": "cust_balance",
    "title": "Balances of the customer",
    "entity": "customer",
    "entity_key": "customer_id",
    "sql": _SQL,
    "features": [{"name": "bal_avg_3m", "dtype": "numeric", "description": "Mean balance of 3 months"}],
    "tags": ["deposits"],
}
_DEPRECATE = {"reason": "The source table ends in December.", "replaced_by": "cust_balance_daily"}
_FOUND = {
    "is_ok": False,
    "findings": [
        {
            "level": "error",
            "text": "No date parameter is called {bas_ym}: did you mean {base_ym}?",
            "field": "sql",
            "line": 3,
        }
    ],
    "columns": [],
    "tables": ["balances"],
    "parameters": {},
    "estimate": None,
    "sources": [],
}
_ROWS = {
    "base_ym": "202610",
    "columns": ["customer_id", "bal_avg_3m"],
    "rows": [["C001", "1520.5"], ["C002", None]],
    "key": {"rows": 20_000, "missing": 0, "entities": 20_000, "is_unique": True},
}


def _sent(name: str, value: Any) -> OpenApiExample:
    return OpenApiExample(name, value, request_only=True)


def _answered(name: str, value: Any) -> OpenApiExample:
    return OpenApiExample(name, value, response_only=True, status_codes=["200"])


@extend_schema_view(
    list=extend_schema(summary="Feature sets: every version, and drafts"),
    retrieve=extend_schema(summary="One version of a feature set"),
)
class FeatureSetViewSet(ReadViewSet):
    queryset = FeatureSet.objects.visible().select_related("owner").prefetch_related("features", "tags")
    serializer_class = shapes.FeatureSetSerializer
    filterset_class = FeatureSetFilter

    @extend_schema(
        summary="Publish a feature set, or keep a draft",
        request=shapes.NewFeatureSetSerializer,
        responses={201: shapes.FeatureSetSerializer, **problem_responses(400, 403, 409, 422)},
        examples=[_sent("Publish", _NEW), _sent("Keep as a draft", _NEW | {"publish": False})],
    )
    def create(self, request: Request) -> Response:
        values = _body(shapes.NewFeatureSetSerializer, request)
        publish, acknowledge = values.pop("publish"), values.pop("acknowledge")
        given = {"actor": request.user, "store": _store(), **_definition(values)}
        if publish:
            row = services.create_feature_set(**given, acknowledge=acknowledge)
        else:
            row = services.save_draft(**given)
        return self._shown(row, status.HTTP_201_CREATED)

    @extend_schema(
        summary="Change a draft",
        request=shapes.DraftChangesSerializer(partial=True),
        responses={200: shapes.FeatureSetSerializer, **problem_responses(400, 403, 404, 409, 422)},
        examples=[_sent("Another query", {"sql": _SQL})],
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        require(request.user, "features.create")
        row = self.get_object()
        body = shapes.DraftChangesSerializer(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        if row.status != FeatureSet.Status.DRAFT:
            raise Conflict(f"{row} is published and never changes: post a draft of its name")
        # a field that is left out has no default here: it stays as the draft has it
        names = ("title", "description", "domain", "entity", "entity_key", "sql")
        kept = {name: getattr(row, name) for name in names}
        given = {name: value for name, value in body.validated_data.items() if name in request.data}
        values = _definition({"name": row.name, **kept, **given})
        return self._shown(services.save_draft(actor=request.user, store=_store(), **values))

    @extend_schema(
        summary="Delete a feature set that nobody uses",
        description="A draft is discarded; the current version takes every version of its name with it.",
        request=None,
        responses={204: None, **problem_responses(403, 404, 409)},
    )
    def destroy(self, request: Request, pk: str) -> Response:
        require(request.user, "features.create")
        services.delete(actor=request.user, feature_set=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        summary="Publish a draft",
        request=shapes.PublishSerializer,
        responses={200: shapes.FeatureSetSerializer, **problem_responses(400, 403, 404, 409, 422)},
        examples=[_sent("Publish", {}), _sent("With an open end", {"acknowledge": "rewritten never"})],
    )
    @action(detail=True, methods=["post"])
    def publish(self, request: Request, pk: str) -> Response:
        require(request.user, "features.create")
        values = _body(shapes.PublishSerializer, request)
        row = services.publish(actor=request.user, store=_store(), feature_set=self.get_object(), **values)
        return self._shown(row)

    @extend_schema(
        summary="Deprecate a feature set",
        request=shapes.DeprecateSerializer,
        responses={200: shapes.FeatureSetSerializer, **problem_responses(400, 403, 404, 409, 422)},
        examples=[_sent("With what to use instead", _DEPRECATE)],
    )
    @action(detail=True, methods=["post"])
    def deprecate(self, request: Request, pk: str) -> Response:
        require(request.user, "features.create")
        values = _body(shapes.DeprecateSerializer, request)
        return self._shown(services.deprecate(actor=request.user, feature_set=self.get_object(), **values))

    @extend_schema(
        summary="Take a deprecation back",
        request=NothingSerializer,
        responses={200: shapes.FeatureSetSerializer, **problem_responses(400, 403, 404, 409)},
    )
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, pk: str) -> Response:
        require(request.user, "features.create")
        _body(NothingSerializer, request)
        return self._shown(services.restore(actor=request.user, feature_set=self.get_object()))

    @extend_schema(
        summary="Leak proofs of a version, by base month",
        responses={200: shapes.LeakProofSerializer(many=True), **problem_responses(403, 404)},
    )
    @action(detail=True, pagination_class=None, filterset_class=None)
    def proofs(self, request: Request, pk: str) -> Response:
        rows = self.get_object().proofs.order_by("base_ym")
        return Response(shapes.LeakProofSerializer(rows, many=True).data)

    @extend_schema(
        summary="Who uses a feature set",
        responses={200: shapes.UseSerializer(many=True), **problem_responses(403, 404)},
    )
    @action(detail=True, pagination_class=None, filterset_class=None)
    def uses(self, request: Request, pk: str) -> Response:
        return Response(shapes.UseSerializer(services.uses_of(self.get_object().name), many=True).data)

    @extend_schema(
        summary="Check a query without reading a row",
        request=shapes.CheckedQuerySerializer,
        responses={200: shapes.CheckReportSerializer, **problem_responses(400, 403, 422)},
        examples=[
            _sent("A query", {"sql": _SQL.replace("base_ym", "bas_ym"), "entity_key": "customer_id"}),
            _answered("A name that is not there", _FOUND),
        ],
    )
    @action(detail=False, methods=["post"])
    def check(self, request: Request) -> Response:
        require(request.user, "features.create")
        values = _body(shapes.CheckedQuerySerializer, request)
        values["base_ym"] = _month(values["base_ym"]) or services.SAMPLE_YM
        report = services.check_sql(store=_store(), **values)
        return Response(shapes.CheckReportSerializer(report).data)

    @extend_schema(
        summary="The first 20 rows of a query for a month",
        request=shapes.PreviewedQuerySerializer,
        responses={200: shapes.PreviewSerializer, **problem_responses(400, 403, 409, 422)},
        examples=[
            _sent("A month", {"sql": _SQL, "entity_key": "customer_id", "base_ym": "202610"}),
            _answered("Rows", _ROWS),
        ],
    )
    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        require(request.user, "features.create")
        values = _body(shapes.PreviewedQuerySerializer, request)
        values["base_ym"] = _month(values["base_ym"])
        found = services.preview(actor=request.user, store=_store(), **values)
        return Response(shapes.PreviewSerializer(found).data)

    @extend_schema(
        summary="Stop a query that somebody waits for",
        request=shapes.CancelQuerySerializer,
        responses={200: shapes.CancelledSerializer, **problem_responses(400, 403)},
    )
    @action(detail=False, methods=["post"], url_path="cancel-query")
    def cancel_query(self, request: Request) -> Response:
        values = _body(shapes.CancelQuerySerializer, request)
        asked = queries.request_cancel(actor=request.user, pk=values["query_id"])
        return Response({"asked": asked})

    def _shown(self, row: FeatureSet, code: int = status.HTTP_200_OK) -> Response:
        fresh: QuerySet[FeatureSet] = self.get_queryset()
        return Response(shapes.FeatureSetSerializer(fresh.get(pk=row.pk)).data, status=code)


def _body(shape: Any, request: Request) -> dict[str, Any]:
    body = shape(data=request.data)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


def _definition(values: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of the services, with the columns as specs."""
    features = values.get("features")
    specs = None if features is None else [FeatureSpec(**item) for item in features]
    return {**values, "features": specs}


def _month(text: str) -> str:
    return validate_ym(text.replace("-", "")) if text else ""


def _store() -> OfflineStore:
    return open_store(settings.OFFLINE_URL)
