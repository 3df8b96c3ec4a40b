"""Pages of the runs."""

from __future__ import annotations

from django.urls import path

from apps.pipelines import months_views, schedule_views, start_views, views

app_name = "pipelines"

urlpatterns = [
    path("runs/", views.run_list, name="list"),
    path("runs/start/", views.start, name="start"),
    path("runs/start/<slug:template>/<slug:name>/", start_views.start_for, name="start_for"),
    path("runs/months/", months_views.grid, name="months"),
    path("runs/months/progress/", months_views.progress, name="months_progress"),
    path("runs/months/backfill/", months_views.backfill, name="backfill"),
    path("runs/schedules/", schedule_views.schedules, name="schedules"),
    path("runs/schedules/<int:pk>/", schedule_views.change, name="schedule_change"),
    path("runs/schedules/<int:pk>/switch/", schedule_views.switch, name="schedule_switch"),
    path("runs/schedules/<int:pk>/delete/", schedule_views.delete, name="schedule_delete"),
    path("runs/<int:pk>/", views.run_detail, name="detail"),
    path("runs/<int:pk>/progress/", views.progress, name="progress"),
    path("runs/<int:pk>/cancel/", views.cancel, name="cancel"),
    path("runs/<int:pk>/resume/", views.resume, name="resume"),
    path("runs/<int:pk>/steps/<int:position>/log", views.step_log, name="log"),
]
