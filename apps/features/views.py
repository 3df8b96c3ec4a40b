"""Pages of the feature catalog."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_http_methods

from apps.features.models import Feature, FeatureSet


@require_GET
def feature_list(request: HttpRequest) -> HttpResponse:
    return render(request, "features/list.html", {})


@require_http_methods(["GET", "POST"])
def create_set(request: HttpRequest) -> HttpResponse:
    return render(request, "features/create.html", {})


@require_GET
def set_list(request: HttpRequest) -> HttpResponse:
    return render(request, "features/sets.html", {})


@require_GET
def set_detail(request: HttpRequest, name: str) -> HttpResponse:
    row = get_object_or_404(FeatureSet, name=name, is_current=True)
    return render(request, "features/set.html", {"feature_set": row})


@require_GET
def feature_detail(request: HttpRequest, feature_set: str, name: str) -> HttpResponse:
    row = get_object_or_404(Feature, feature_set__name=feature_set, feature_set__is_current=True, name=name)
    return render(request, "features/detail.html", {"feature": row})
