from __future__ import annotations

from apps.pipelines.api import views

#: (prefix, viewset, basename) for the portal's router
routes = [
    ("pipelines", views.PipelineViewSet, "api-pipeline"),
    ("runs", views.RunViewSet, "api-run"),
]
