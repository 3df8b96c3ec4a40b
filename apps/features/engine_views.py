"""The page of the offline engine: what it is, whether it answers, and what runs in it now."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from apps.common import access
from apps.features import queries
from apps.features.models import EngineQuery
from mlopslib.errors import GijunError
from mlopslib.offline import open_store
from mlopslib.offline.connection import STEPS, check_connection

#: step -> what it tries, in words
STEP_WORDS = {
    "address": gettext_lazy("Address"),
    "port": gettext_lazy("Port"),
    "handshake": gettext_lazy("Login"),
    "database": gettext_lazy("Database"),
    "read": gettext_lazy("Read"),
    "write": gettext_lazy("Write"),
}
KIND_WORDS = {
    "preview": gettext_lazy("Preview"),
    "dry_run": gettext_lazy("Dry run"),
    "duplicates": gettext_lazy("Near-duplicates"),
}


@require_GET
def engine(request: HttpRequest) -> HttpResponse:
    access.require(request.user, "engine.test")
    return render(request, "features/engine.html", _context())


@require_POST
def engine_check(request: HttpRequest) -> HttpResponse:
    """Try the engine now; only the steps where htmx asked, the whole page elsewhere."""
    access.require(request.user, "engine.test")
    report = check_connection(settings.OFFLINE_URL)
    steps = [(STEP_WORDS[step.name], step) for step in report.steps]
    context = {"report": report, "steps": steps, "untried": [STEP_WORDS[name] for name in report.untried]}
    if getattr(request, "htmx", False):
        return render(request, "features/_engine_check.html", context)
    return render(request, "features/engine.html", {**_context(), **context})


@require_POST
def engine_stop(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Stop a query that runs, and come back."""
    access.require(request.user, "engine.test")
    if queries.request_cancel(actor=request.user, pk=pk):
        messages.success(request, _("The query is being stopped."))
    else:
        messages.info(request, _("The query has ended already."))
    return redirect("features:engine")


def _context() -> dict[str, object]:
    address, fault = "", ""
    try:
        # opening connects nothing: it reads the address and hides its password
        address = open_store(settings.OFFLINE_URL).url
    except GijunError as error:
        fault = error.message
    queries.close_lost()
    running = EngineQuery.objects.filter(state=EngineQuery.State.RUNNING).select_related("requested_by")
    return {
        "address": address,
        "fault": fault,
        "is_embedded": address.startswith("delta://"),
        "running": [(row, KIND_WORDS.get(row.kind, row.kind)) for row in running],
        "step_words": [STEP_WORDS[name] for name in STEPS],
        "preview_seconds": settings.PREVIEW_SECONDS,
        "query_seconds": settings.QUERY_SECONDS,
        "query_memory": settings.QUERY_MEMORY,
    }
