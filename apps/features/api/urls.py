from __future__ import annotations

from apps.features.api import views
from apps.features.api.online import OnlineViewSet

#: (prefix, viewset, basename) for the portal's router
routes = [
    ("feature-sets", views.FeatureSetViewSet, "api-feature-set"),
    ("features", views.FeatureViewSet, "api-feature"),
    ("online", OnlineViewSet, "api-online"),
]
