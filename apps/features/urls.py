"""Pages of the feature catalog."""

from __future__ import annotations

from django.urls import path

from apps.features import (
    eda_views,
    editor_views,
    engine_views,
    lifecycle_views,
    lineage_views,
    online_views,
    proof_views,
    saved_view_pages,
    table_views,
    views,
)

app_name = "features"

urlpatterns = [
    path("features/", views.feature_list, name="list"),
    path("features/new/", editor_views.create, name="create"),
    path("features/editor/check/", editor_views.check, name="check"),
    path("features/editor/preview/", editor_views.preview, name="preview"),
    path("features/editor/dry-run/", editor_views.dry_run, name="dry_run"),
    path("features/editor/duplicates/", editor_views.duplicates, name="duplicates"),
    path("features/editor/parameters/", editor_views.parameters, name="parameters"),
    path("features/editor/columns/<slug:table>/", editor_views.columns, name="columns"),
    path("features/queries/<uuid:pk>/cancel/", editor_views.cancel, name="cancel_query"),
    path("features/engine/", engine_views.engine, name="engine"),
    path("features/engine/check/", engine_views.engine_check, name="engine_check"),
    path("features/engine/queries/<uuid:pk>/stop/", engine_views.engine_stop, name="engine_stop"),
    path("features/tables/", table_views.table_list, name="tables"),
    path("features/tables/new/", table_views.table_import, name="table_import"),
    path("features/tables/<slug:name>/", table_views.table_detail, name="table"),
    path("features/saved-views/", saved_view_pages.saved_view_list, name="saved_views"),
    path("features/saved-views/new/", saved_view_pages.saved_view_create, name="saved_view_create"),
    path("features/saved-views/<int:pk>/", saved_view_pages.saved_view_open, name="saved_view"),
    path(
        "features/saved-views/<int:pk>/change/", saved_view_pages.saved_view_change, name="saved_view_change"
    ),
    path(
        "features/saved-views/<int:pk>/delete/", saved_view_pages.saved_view_delete, name="saved_view_delete"
    ),
    path("features/breaks/", lineage_views.breaks, name="breaks"),
    path("features/sets/", views.set_list, name="sets"),
    path("features/sets/<slug:name>/diff/", views.set_diff, name="diff"),
    path("features/sets/<slug:name>/eda/", eda_views.eda, name="eda"),
    path("features/sets/<slug:name>/lineage/", lineage_views.lineage, name="lineage"),
    path("features/sets/<slug:name>/online/", online_views.online, name="online"),
    path("features/sets/<slug:name>/online/check/", online_views.check, name="online_check"),
    path("features/sets/<slug:name>/", views.set_detail, name="set"),
    path("features/sets/<slug:name>/edit/", editor_views.edit, name="edit"),
    path("features/sets/<slug:name>/proof/", proof_views.proof, name="proof"),
    path("features/sets/<slug:name>/publish/", lifecycle_views.publish, name="publish"),
    path("features/sets/<slug:name>/deprecate/", lifecycle_views.deprecate, name="deprecate"),
    path("features/sets/<slug:name>/restore/", lifecycle_views.restore, name="restore"),
    path("features/sets/<slug:name>/delete/", lifecycle_views.delete, name="delete"),
    path(
        "features/<slug:feature_set>/<slug:name>/deprecate/",
        lifecycle_views.deprecate_feature,
        name="deprecate_feature",
    ),
    path("features/<slug:feature_set>/<slug:name>/", views.feature_detail, name="detail"),
]
