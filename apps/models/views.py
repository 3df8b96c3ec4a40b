"""Pages of models, versions, comparisons and reviews."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_POST

from apps.models.models import Comparison, ModelVersion, RegisteredModel, Review


@require_GET
def model_list(request: HttpRequest) -> HttpResponse:
    return render(request, "models/list.html", {"models": RegisteredModel.objects.all()})


@require_GET
def detail(request: HttpRequest, name: str) -> HttpResponse:
    return render(request, "models/detail.html", {"model": get_object_or_404(RegisteredModel, name=name)})


@require_GET
def version(request: HttpRequest, name: str, number: int) -> HttpResponse:
    row = get_object_or_404(ModelVersion, registered_model__name=name, number=number)
    return render(request, "models/version.html", {"version": row})


@require_GET
def comparison(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "models/comparison.html", {"comparison": get_object_or_404(Comparison, pk=pk)})


@require_GET
def review_list(request: HttpRequest) -> HttpResponse:
    return render(request, "models/reviews.html", {"reviews": Review.objects.all()})


@require_GET
def review(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "models/review.html", {"review": get_object_or_404(Review, pk=pk)})


@require_POST
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "models/review.html", {"review": get_object_or_404(Review, pk=pk)})
