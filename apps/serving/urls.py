"""Pages of the endpoints."""

from __future__ import annotations

from django.urls import path

from apps.serving import views

app_name = "serving"

urlpatterns = [
    path("serving/", views.endpoint_list, name="list"),
    path("serving/new/", views.create, name="create"),
    path("serving/approve/<int:pk>/", views.approve, name="approve"),
    path("serving/<slug:name>/", views.detail, name="detail"),
    path("serving/<slug:name>/status/", views.status, name="status"),
    path("serving/<slug:name>/roll-back/", views.roll_back, name="rollback"),
]
