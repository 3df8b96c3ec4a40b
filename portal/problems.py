"""problem+json (RFC 9457) for everything that the REST side refuses."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler

from mlopslib.errors import (
    AccessDenied,
    ArtifactMissing,
    Conflict,
    GijunError,
    NotOnline,
    OnlineStoreError,
    TableNotFound,
)

logger = logging.getLogger(__name__)

_STATUS: list[tuple[type[GijunError], int]] = [
    (AccessDenied, 403),
    (Conflict, 409),
    (ArtifactMissing, 404),
    (TableNotFound, 422),
    (NotOnline, 422),
    (OnlineStoreError, 503),
]


def status_of(error: GijunError) -> int:
    """HTTP status of an error; 422 where nothing more precise is known."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 422)


def problem(error: GijunError) -> dict[str, Any]:
    body: dict[str, Any] = {"type": error.code, "title": error.message, "status": status_of(error)}
    if error.field:
        body["field"] = error.field
    return body


def problem_response(error: GijunError) -> JsonResponse:
    return JsonResponse(problem(error), status=status_of(error), content_type="application/problem+json")


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's hook: our errors, DRF's own and Django's 404/403, all as problem+json."""
    if isinstance(exc, GijunError):
        body = problem(exc)
        return Response(body, status=body["status"], content_type="application/problem+json")
    if isinstance(exc, OperationalError):
        # the database is away or busy: worth another try, and no fault of the request
        logger.exception("the database did not answer")
        body = {"type": "database-busy", "title": "the database did not answer: try again", "status": 503}
        return Response(
            body, status=503, headers={"Retry-After": "5"}, content_type="application/problem+json"
        )
    response = drf_exception_handler(exc, context)
    if response is None:
        return None
    body = {"type": _code(exc), "title": _title(response.data), "status": response.status_code}
    if isinstance(exc, exceptions.ValidationError) and isinstance(response.data, dict):
        name, messages = next(iter(response.data.items()))
        body["field"] = name
        body["title"] = f"{name}: {_title(messages)}"
        body["errors"] = response.data
    response.data = body
    response.content_type = "application/problem+json"
    return response


def _code(exc: Exception) -> str:
    if isinstance(exc, Http404):
        return "not-found"
    if isinstance(exc, PermissionDenied):
        return "access-denied"
    code = getattr(exc, "default_code", "error")
    return str(code).replace("_", "-")


def _title(data: Any) -> str:
    if isinstance(data, dict):
        return _title(next(iter(data.values()), ""))
    if isinstance(data, list):
        return _title(data[0]) if data else ""
    return str(data)
