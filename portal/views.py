"""The shell's own pages: home, search, audit log, log-in and errors."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.common import access
from portal.filters import AuditFilter
from portal.models import AuditEvent
from portal.overview import overview
from portal.search import find

AUDIT_PER_PAGE = 50


@method_decorator(login_not_required, name="dispatch")
class Login(LoginView):
    template_name = "portal/login.html"
    redirect_authenticated_user = True


@require_GET
@never_cache
def home(request: HttpRequest) -> HttpResponse:
    access.require(request.user, "view")
    return render(request, "portal/home.html", overview(request.user))


@require_GET
def search(request: HttpRequest) -> HttpResponse:
    access.require(request.user, "view")
    words = request.GET.get("q", "").strip()[:100]
    return render(request, "portal/search.html", {"words": words, "groups": find(words)})


@require_GET
def audit(request: HttpRequest) -> HttpResponse:
    access.require(request.user, "audit.view")
    events = AuditFilter(request.GET, queryset=AuditEvent.objects.select_related("actor"))
    actions = AuditEvent.objects.order_by("action").values_list("action", flat=True).distinct()
    page = Paginator(events.qs, AUDIT_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "portal/audit.html", {"filter": events, "page": page, "actions": actions})


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "portal/404.html", status=404)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "portal/403.html", status=403)


def server_error(request: HttpRequest) -> HttpResponse:
    """No context processors here: what broke may be one of them."""
    from django.template import loader

    return HttpResponse(loader.get_template("portal/500.html").render(), status=500)
