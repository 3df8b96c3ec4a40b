"""Pages of the feature catalog."""

from __future__ import annotations

from django.urls import path

from apps.features import table_views, views

app_name = "features"

urlpatterns = [
    path("features/", views.feature_list, name="list"),
    path("features/new/", views.create_set, name="create"),
    path("features/tables/", table_views.table_list, name="tables"),
    path("features/tables/new/", table_views.table_import, name="table_import"),
    path("features/tables/<slug:name>/", table_views.table_detail, name="table"),
    path("features/sets/", views.set_list, name="sets"),
    path("features/sets/<slug:name>/", views.set_detail, name="set"),
    path("features/<slug:feature_set>/<slug:name>/", views.feature_detail, name="detail"),
]
