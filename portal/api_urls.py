"""The REST side: one router over the viewsets of the apps, the schema and its page."""

from __future__ import annotations

from django.urls import path

from portal.api_docs import DocsView, NotFoundView, SchemaView

urlpatterns = [
    path("schema/", SchemaView.as_view(), name="api-schema"),
    path("docs/", DocsView.as_view(), name="api-docs"),
    path("<path:rest>", NotFoundView.as_view()),
]
