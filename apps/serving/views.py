"""Pages of endpoints and of what is deployed on them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.common.access import may, require
from apps.models.forms import NoteForm
from apps.models.models import ModelVersion
from apps.models.review_views import find_review, refused, render_review
from apps.serving import services
from apps.serving.example import example_of
from apps.serving.filters import EndpointFilter
from apps.serving.forms import EndpointForm
from apps.serving.models import Deployment, Endpoint, ServingWorker
from mlopslib.errors import Conflict, InvalidInput

PER_PAGE = 25
SHOWN_DEPLOYMENTS = 20
#: a worker says something every two seconds; its word dies after ten
SILENT_AFTER = timedelta(seconds=10)


@require_GET
def endpoint_list(request: HttpRequest) -> HttpResponse:
    require(request.user, "view")
    rows = Endpoint.objects.with_model().prefetch_related(
        Prefetch("deployments", Deployment.objects.select_related("version").defer("signed_manifest")),
        "workers",
    )
    chosen = EndpointFilter(request.GET, queryset=rows)
    page = Paginator(chosen.qs, PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "rows": [{"endpoint": row, **_standing(row)} for row in page.object_list],
        "query": request.GET.get("q", ""),
        "is_filtered": bool(request.GET.get("q") or request.GET.get("model")),
    }
    return render(request, "serving/list.html", context)


def _standing(endpoint: Endpoint) -> dict[str, Any]:
    """What is asked of the workers of an endpoint, what is live, and how many of them serve it."""
    deployments = list(endpoint.deployments.all())
    newest = max(deployments, key=lambda row: row.seq, default=None)
    workers = [{"row": worker, "state": _state_of(worker)} for worker in endpoint.workers.all()]
    return {
        "newest": newest,
        "live": next((row for row in deployments if row.state == Deployment.State.LIVE), None),
        "workers": workers,
        "on_newest": sum(
            newest is not None and item["row"].seq == newest.seq and item["state"] == "SERVING"
            for item in workers
        ),
        "requests": sum(item["row"].requests for item in workers),
    }


def _state_of(worker: ServingWorker) -> str:
    if timezone.now() - worker.seen_at > SILENT_AFTER:
        return "LOST"
    return worker.state.upper()


def _find(name: str) -> Endpoint:
    deployments = Deployment.objects.with_names().defer("signed_manifest").order_by("-seq")
    return get_object_or_404(
        Endpoint.objects.with_model().prefetch_related(Prefetch("deployments", deployments), "workers"),
        name=name,
    )


@require_GET
def detail(request: HttpRequest, name: str) -> HttpResponse:
    """What answers on an endpoint, on which workers, how it came there, and how to call it."""
    require(request.user, "view")
    endpoint = _find(name)
    standing = _standing(endpoint)
    serving = standing["live"] or standing["newest"]
    context = {
        "endpoint": endpoint,
        "model": endpoint.registered_model,
        "serving_url": settings.SERVING_URL,
        "example": example_of(endpoint, serving.version) if serving is not None else None,
        "targets": _roll_back_targets(endpoint, standing["newest"])
        if may(request.user, "deployments.roll_back")
        else [],
        **_status_context(endpoint, standing),
    }
    return render(request, "serving/detail.html", context)


@require_GET
def status(request: HttpRequest, name: str) -> HttpResponse:
    """The part of the page that changes by itself."""
    require(request.user, "view")
    endpoint = _find(name)
    return render(request, "serving/_status.html", _status_context(endpoint, _standing(endpoint)))


def _status_context(endpoint: Endpoint, standing: dict[str, Any]) -> dict[str, Any]:
    return {
        "endpoint": endpoint,
        "model": endpoint.registered_model,
        "deployments": list(endpoint.deployments.all())[:SHOWN_DEPLOYMENTS],
        **standing,
    }


def _roll_back_targets(endpoint: Endpoint, newest: Deployment | None) -> list[ModelVersion]:
    """Versions that were approved as they are now, without the one that is asked for already."""
    approved = endpoint.registered_model.versions.approved().order_by("-number").defer("card", "definition")
    if newest is not None and newest.state != Deployment.State.REFUSED:
        approved = approved.exclude(pk=newest.version_id)
    return list(approved[:10])


@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    """Open an endpoint for a model."""
    require(request.user, "endpoints.create")
    if request.method == "GET":
        initial = {"registered_model": request.GET.get("model", "")}
        return render(request, "serving/create.html", {"form": EndpointForm(initial=initial)})
    form = EndpointForm(request.POST)
    if form.is_valid():
        try:
            endpoint = services.create_endpoint(actor=request.user, **form.cleaned_data)
        except (InvalidInput, Conflict) as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
        else:
            messages.success(request, _("The endpoint %s was opened.") % endpoint.name)
            return redirect(endpoint)
    return render(request, "serving/create.html", {"form": form}, status=422)


@require_POST
def approve(request: HttpRequest, pk: int) -> HttpResponse:
    """Approve a review and ask the workers of the model's endpoints for its version."""
    review = find_review(pk)
    form = NoteForm(request.POST)
    if not form.is_valid():
        return render_review(request, review, form, status=422)
    try:
        deployments = services.approve_and_deploy(
            actor=request.user, review=review, note=form.cleaned_data["note"]
        )
    except InvalidInput as error:
        return refused(request, review, form, error)
    label = review.version.label
    messages.success(request, _("%s was approved. The workers are asked to serve it.") % label)
    return redirect(deployments[0].endpoint)


@require_POST
def roll_back(request: HttpRequest, name: str) -> HttpResponse:
    """Ask the workers for a version that was approved before."""
    endpoint = get_object_or_404(Endpoint.objects.with_model(), name=name)
    version = get_object_or_404(
        ModelVersion.objects.with_people(),
        registered_model=endpoint.registered_model_id,
        number=_number(request),
    )
    deployment = services.roll_back(actor=request.user, endpoint=endpoint, version=version)
    messages.success(request, _("The workers are asked to go back to %s.") % deployment.version.label)
    return redirect(endpoint)


def _number(request: HttpRequest) -> int:
    text = request.POST.get("version", "").removeprefix("v")
    if not text.isdecimal() or len(text) > 9:
        raise InvalidInput("a rollback names a version: v1", field="version")
    return int(text)
