"""What every page's shell shows."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from apps.common.access import may
from apps.features.models import Feature
from apps.models.models import RegisteredModel, Review
from apps.pipelines.models import PipelineRun


def shell(request: HttpRequest) -> dict[str, Any]:
    """Counts beside the menu: four small queries, made only when a page draws the menu."""
    return {
        "menu_counts": SimpleLazyObject(lambda: menu_counts(request.user)),
        "environment": settings.ENVIRONMENT_NAME,
    }


def menu_counts(user: Any) -> dict[str, int]:
    decides = may(user, "reviews.decide")
    pending = Review.objects.waiting_for(user) if decides else Review.objects.pending()
    unfinished = [PipelineRun.Status.PENDING, PipelineRun.Status.RUNNING]
    return {
        "features": Feature.objects.filter(feature_set__is_current=True).count(),
        "models": RegisteredModel.objects.count(),
        "runs": PipelineRun.objects.filter(status__in=unfinished).count(),
        "reviews": pending.count(),
    }
