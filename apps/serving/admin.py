from __future__ import annotations

from django.contrib import admin

from apps.common.admin import ReadOnlyAdmin, ReadOnlyInline
from apps.serving.models import Deployment, Endpoint, ServingWorker


class WorkerInline(ReadOnlyInline):
    model = ServingWorker
    fields = ["worker_id", "host", "pid", "port", "seq", "version_label", "state", "reason", "seen_at"]


@admin.register(Endpoint)
class EndpointAdmin(ReadOnlyAdmin):
    list_display = ["name", "registered_model", "owner", "created_at"]
    list_select_related = ["registered_model", "owner"]
    search_fields = ["name", "registered_model__name"]
    inlines = [WorkerInline]


@admin.register(Deployment)
class DeploymentAdmin(ReadOnlyAdmin):
    list_display = [
        "endpoint",
        "seq",
        "version",
        "state",
        "is_rollback",
        "deployed_by",
        "created_at",
        "live_at",
    ]
    list_filter = ["state", "is_rollback", "endpoint"]
    list_select_related = ["endpoint", "version__registered_model", "deployed_by"]
    search_fields = ["endpoint__name", "package_sha256"]


@admin.register(ServingWorker)
class ServingWorkerAdmin(ReadOnlyAdmin):
    list_display = [
        "worker_id",
        "endpoint",
        "host",
        "pid",
        "seq",
        "version_label",
        "state",
        "requests",
        "seen_at",
    ]
    list_filter = ["state", "endpoint"]
    list_select_related = ["endpoint"]
