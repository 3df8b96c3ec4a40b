"""Pages of the registry, mounted at the root: models and reviews are both places of their own."""

from __future__ import annotations

from django.urls import path

from apps.models import review_views, views

app_name = "models"

urlpatterns = [
    path("models/", views.model_list, name="list"),
    path("models/comparisons/<int:pk>/", views.comparison, name="comparison"),
    path("models/<slug:name>/", views.detail, name="detail"),
    path("models/<slug:name>/v<int:number>/", views.version, name="version"),
    path(
        "models/<slug:name>/v<int:number>/request-review/",
        review_views.request_review,
        name="request",
    ),
    path("reviews/", review_views.review_list, name="reviews"),
    path("reviews/<int:pk>/", review_views.review, name="review"),
    path("reviews/<int:pk>/decide/", review_views.decide, name="decide"),
]
