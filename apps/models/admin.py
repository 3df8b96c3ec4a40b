from __future__ import annotations

from django.contrib import admin

from apps.common.admin import ReadOnlyAdmin, ReadOnlyInline
from apps.models.models import Comparison, Evaluation, FeatureDrift, ModelVersion, RegisteredModel, Review


class VersionInline(ReadOnlyInline):
    model = ModelVersion
    fields = ["number", "stage", "base_ym", "author", "package_sha256", "created_at", "promoted_at"]


class EvaluationInline(ReadOnlyInline):
    model = Evaluation
    fields = ["dataset", "base_ym", "rows", "positives", "auc", "ks", "lift_at_10", "score_psi"]


@admin.register(RegisteredModel)
class RegisteredModelAdmin(ReadOnlyAdmin):
    list_display = ["name", "title", "entity", "owner", "created_at", "updated_at"]
    list_filter = ["entity"]
    list_select_related = ["owner"]
    search_fields = ["name", "title", "owner__username"]
    inlines = [VersionInline]


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "stage", "base_ym", "author", "short_hash", "created_at", "promoted_at"]
    list_filter = ["stage", "registered_model", "base_ym"]
    list_select_related = ["registered_model", "author"]
    search_fields = ["registered_model__name", "package_sha256", "author__username"]
    inlines = [EvaluationInline]

    @admin.display(description="package")
    def short_hash(self, version: ModelVersion) -> str:
        return version.package_sha256[:12]


@admin.register(Evaluation)
class EvaluationAdmin(ReadOnlyAdmin):
    list_display = [
        "version",
        "dataset",
        "base_ym",
        "rows",
        "positives",
        "auc",
        "ks",
        "lift_at_10",
        "score_psi",
    ]
    list_filter = ["dataset", "base_ym"]
    list_select_related = ["version__registered_model"]
    search_fields = ["version__registered_model__name"]


@admin.register(FeatureDrift)
class FeatureDriftAdmin(ReadOnlyAdmin):
    list_display = ["version", "feature", "base_ym", "psi"]
    list_filter = ["base_ym"]
    list_select_related = ["version__registered_model"]
    search_fields = ["feature", "version__registered_model__name"]


@admin.register(Comparison)
class ComparisonAdmin(ReadOnlyAdmin):
    list_display = ["id", "challenger", "champion", "base_ym", "verdict", "created_at"]
    list_filter = ["verdict", "registered_model"]
    list_select_related = ["challenger__registered_model", "champion__registered_model"]
    search_fields = ["registered_model__name"]


@admin.register(Review)
class ReviewAdmin(ReadOnlyAdmin):
    list_display = ["id", "version", "status", "requested_by", "version_author", "decided_by", "decided_at"]
    list_filter = ["status"]
    list_select_related = ["version__registered_model", "requested_by", "version_author", "decided_by"]
    search_fields = ["version__registered_model__name", "requested_by__username", "decided_by__username"]
