"""Every address of the portal; each app brings its own."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LogoutView
from django.urls import include, path
from django.views.i18n import set_language

from portal import views

handler403 = "portal.views.permission_denied"
handler404 = "portal.views.not_found"
handler500 = "portal.views.server_error"

shell_patterns = (
    [
        path("", views.home, name="home"),
        path("login/", views.Login.as_view(), name="login"),
        path("logout/", LogoutView.as_view(), name="logout"),
        path("i18n/", login_not_required(set_language), name="set_language"),
        path("search/", views.search, name="search"),
        path("audit/", views.audit, name="audit"),
    ],
    "portal",
)

urlpatterns = [
    path("", include(shell_patterns)),
    path("", include("apps.features.urls")),
    path("", include("apps.models.urls")),
    path("", include("apps.pipelines.urls")),
    path("", include("apps.serving.urls")),
    path("api/", include("portal.api_urls")),
    path("admin/", admin.site.urls),
]
