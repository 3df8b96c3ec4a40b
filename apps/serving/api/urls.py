from __future__ import annotations

from apps.serving.api import views

#: (prefix, viewset, basename) for the portal's router
routes = [
    ("reviews", views.ReviewViewSet, "api-review"),
    ("endpoints", views.EndpointViewSet, "api-endpoint"),
    ("deployments", views.DeploymentViewSet, "api-deployment"),
]
