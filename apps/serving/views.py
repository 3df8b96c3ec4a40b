"""Pages of endpoints and what is deployed on them."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_POST

from apps.serving.models import Endpoint


@require_GET
def endpoint_list(request: HttpRequest) -> HttpResponse:
    return render(request, "serving/list.html", {"endpoints": Endpoint.objects.all()})


@require_GET
def detail(request: HttpRequest, name: str) -> HttpResponse:
    return render(request, "serving/detail.html", {"endpoint": get_object_or_404(Endpoint, name=name)})


@require_GET
def status(request: HttpRequest, name: str) -> HttpResponse:
    return render(request, "serving/_status.html", {"endpoint": get_object_or_404(Endpoint, name=name)})


@require_POST
def approve(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "serving/detail.html", {"pk": pk})


@require_POST
def roll_back(request: HttpRequest, name: str) -> HttpResponse:
    return render(request, "serving/detail.html", {"endpoint": get_object_or_404(Endpoint, name=name)})
