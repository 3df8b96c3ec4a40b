from __future__ import annotations

from apps.pipelines.api import feature_views, schedule_views, views

#: (prefix, viewset, basename) for the portal's router
routes = [
    ("pipelines", views.PipelineViewSet, "api-pipeline"),
    ("runs", views.RunViewSet, "api-run"),
    ("schedules", schedule_views.ScheduleViewSet, "api-schedule"),
    # below an address of the catalog: what runs on a feature set is known on this floor, not on that one
    (r"feature-sets/(?P<id>[0-9]+)", feature_views.FeatureSetRunViewSet, "api-feature-set-run"),
]
