"""Pages of the model registry; mounted at the root, because models and reviews are both places of their own."""

from __future__ import annotations

from django.urls import path

from apps.models import views

app_name = "models"

urlpatterns = [
    path("models/", views.model_list, name="list"),
    path("models/comparisons/<int:pk>/", views.comparison, name="comparison"),
    path("models/<slug:name>/", views.detail, name="detail"),
    path("models/<slug:name>/v<int:number>/", views.version, name="version"),
    path("reviews/", views.review_list, name="reviews"),
    path("reviews/<int:pk>/", views.review, name="review"),
    path("reviews/<int:pk>/decide/", views.decide, name="decide"),
]
