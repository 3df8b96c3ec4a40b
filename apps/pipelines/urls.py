"""Pages of the runs."""

from __future__ import annotations

from django.urls import path

from apps.pipelines import views

app_name = "pipelines"

urlpatterns = [
    path("runs/", views.run_list, name="list"),
    path("runs/start/", views.start, name="start"),
    path("runs/<int:pk>/", views.run_detail, name="detail"),
    path("runs/<int:pk>/progress/", views.progress, name="progress"),
    path("runs/<int:pk>/cancel/", views.cancel, name="cancel"),
    path("runs/<int:pk>/resume/", views.resume, name="resume"),
    path("runs/<int:pk>/steps/<int:position>/log", views.step_log, name="log"),
]
