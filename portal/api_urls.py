"""The REST side: one router over the viewsets of the apps, the schema and its page."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path
from rest_framework.routers import APIRootView, DefaultRouter

from apps.common.rest import HoldsARole
from apps.features.api.urls import routes as features
from apps.models.api.urls import routes as registry
from apps.pipelines.api.urls import routes as pipelines
from apps.serving.api.urls import routes as serving
from portal.api_audit import AuditEventViewSet
from portal.api_docs import DocsView, NotFoundView, SchemaView


class RootView(APIRootView):
    """What there is, by address."""

    permission_classes = [HoldsARole]


class Router(DefaultRouter):
    """Addresses with and without the last slash are the same."""

    APIRootView = RootView
    include_format_suffixes = False

    def __init__(self) -> None:
        super().__init__()
        self.trailing_slash = "/?"


router = Router()
for prefix, viewset, basename in [*features, *registry, *pipelines, *serving]:
    router.register(prefix, viewset, basename)
router.register("audit", AuditEventViewSet, "api-audit")

urlpatterns: list[URLPattern | URLResolver] = [
    path("schema/", SchemaView.as_view(), name="api-schema"),
    path("docs/", DocsView.as_view(), name="api-docs"),
    *router.urls,
    path("<path:rest>", NotFoundView.as_view()),
]
