from __future__ import annotations

from django.contrib import admin

from apps.common.admin import ReadOnlyAdmin, ReadOnlyInline
from apps.pipelines.models import Artifact, Pipeline, PipelineRun, Schedule, ScheduleTick, StepLog, StepRun


class ScheduleInline(ReadOnlyInline):
    model = Schedule
    fields = ["day_of_month", "hour", "lag_months", "is_enabled", "owner"]


class StepInline(ReadOnlyInline):
    model = StepRun
    fields = ["position", "name", "state", "attempt", "fence", "summary", "started_at", "finished_at"]


class ArtifactInline(ReadOnlyInline):
    model = Artifact
    fields = ["name", "kind", "size", "sha256"]


@admin.register(Pipeline)
class PipelineAdmin(ReadOnlyAdmin):
    list_display = ["name", "template", "registered_model", "feature_set", "owner", "created_at"]
    list_filter = ["template"]
    list_select_related = ["registered_model", "feature_set", "owner"]
    search_fields = ["name"]
    inlines = [ScheduleInline]


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin):
    list_display = ["pipeline", "day_of_month", "hour", "lag_months", "is_enabled", "owner"]
    list_filter = ["is_enabled"]
    list_select_related = ["pipeline", "owner"]


@admin.register(ScheduleTick)
class ScheduleTickAdmin(ReadOnlyAdmin):
    list_display = ["schedule", "due_at", "run", "created_at"]
    list_select_related = ["schedule__pipeline", "run__pipeline"]


@admin.register(PipelineRun)
class PipelineRunAdmin(ReadOnlyAdmin):
    list_display = [
        "id",
        "pipeline",
        "base_ym",
        "status",
        "trigger",
        "requested_by",
        "started_at",
        "finished_at",
    ]
    list_filter = ["status", "template", "trigger"]
    list_select_related = ["pipeline", "requested_by"]
    search_fields = ["pipeline__name", "base_ym"]
    inlines = [StepInline]


@admin.register(StepRun)
class StepRunAdmin(ReadOnlyAdmin):
    list_display = ["run", "position", "name", "state", "attempt", "fence", "lease_until", "finished_at"]
    list_filter = ["state", "name"]
    list_select_related = ["run__pipeline"]
    inlines = [ArtifactInline]


@admin.register(StepLog)
class StepLogAdmin(ReadOnlyAdmin):
    list_display = ["step", "attempt", "at", "__str__"]
    list_select_related = ["step"]


@admin.register(Artifact)
class ArtifactAdmin(ReadOnlyAdmin):
    list_display = ["name", "kind", "size", "sha256", "step", "created_at"]
    list_filter = ["kind"]
    list_select_related = ["step"]
    search_fields = ["name", "sha256"]
