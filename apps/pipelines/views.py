"""Pages of the runs."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.pipelines.models import PipelineRun


@require_GET
def run_list(request: HttpRequest) -> HttpResponse:
    return render(request, "pipelines/list.html", {})


@require_http_methods(["GET", "POST"])
def start(request: HttpRequest) -> HttpResponse:
    return render(request, "pipelines/start.html", {})


@require_GET
def run_detail(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "pipelines/detail.html", {"run": get_object_or_404(PipelineRun, pk=pk)})


@require_GET
def progress(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "pipelines/_live.html", {"run": get_object_or_404(PipelineRun, pk=pk)})


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "pipelines/detail.html", {"run": get_object_or_404(PipelineRun, pk=pk)})


@require_POST
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "pipelines/detail.html", {"run": get_object_or_404(PipelineRun, pk=pk)})


@require_GET
def step_log(request: HttpRequest, pk: int, position: int) -> HttpResponse:
    return render(request, "pipelines/_live.html", {"run": get_object_or_404(PipelineRun, pk=pk)})
