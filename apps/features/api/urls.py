from __future__ import annotations

from apps.features.api import feature_sets, views
from apps.features.api.online import OnlineViewSet

#: (prefix, viewset, basename) for the portal's router
routes = [
    ("feature-sets", feature_sets.FeatureSetViewSet, "api-feature-set"),
    ("features", views.FeatureViewSet, "api-feature"),
    ("online", OnlineViewSet, "api-online"),
]
