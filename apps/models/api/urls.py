from __future__ import annotations

from apps.models.api import views

#: (prefix, viewset, basename) for the portal's router; reviews are routed by serving, which can approve
routes = [
    ("models", views.RegisteredModelViewSet, "api-model"),
    ("versions", views.ModelVersionViewSet, "api-version"),
    ("comparisons", views.ComparisonViewSet, "api-comparison"),
]
