from __future__ import annotations

from django.contrib import admin

from apps.common.admin import ReadOnlyAdmin, ReadOnlyInline
from apps.features.models import Feature, FeatureProfile, FeatureSet, Materialisation


class FeatureInline(ReadOnlyInline):
    model = Feature
    fields = ["position", "name", "dtype", "engine_type", "description"]


@admin.register(FeatureSet)
class FeatureSetAdmin(ReadOnlyAdmin):
    list_display = ["name", "version", "is_current", "title", "domain", "entity", "owner", "created_at"]
    list_filter = ["is_current", "domain", "entity"]
    list_select_related = ["owner"]
    search_fields = ["name", "title", "owner__username"]
    date_hierarchy = "created_at"
    inlines = [FeatureInline]


@admin.register(Feature)
class FeatureAdmin(ReadOnlyAdmin):
    list_display = ["name", "feature_set", "dtype", "engine_type", "description"]
    list_filter = ["dtype", "feature_set__is_current"]
    list_select_related = ["feature_set"]
    search_fields = ["name", "description", "feature_set__name"]


@admin.register(FeatureProfile)
class FeatureProfileAdmin(ReadOnlyAdmin):
    list_display = ["feature", "base_ym", "rows", "missing", "distinct", "mean", "psi"]
    list_filter = ["base_ym"]
    list_select_related = ["feature"]
    search_fields = ["feature__name"]


@admin.register(Materialisation)
class MaterialisationAdmin(ReadOnlyAdmin):
    list_display = ["feature_set", "base_ym", "rows", "table_version", "created_at"]
    list_filter = ["base_ym"]
    list_select_related = ["feature_set"]
    search_fields = ["feature_set__name"]
