"""Turn Gijun's own errors into an answer that a person or a program can read."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from mlopslib.errors import GijunError
from portal.problems import problem_response, status_of


class ErrorPagesMiddleware:
    """A GijunError that leaves a view is shown as a page (or as problem+json below /api/)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, GijunError):
            return None
        if request.path.startswith("/api/"):
            return problem_response(exception)
        status = status_of(exception)
        return render(request, "portal/error.html", {"error": exception, "status": status}, status=status)
