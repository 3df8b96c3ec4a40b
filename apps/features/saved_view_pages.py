"""Saved views of the catalog: keep one, list them, rename, share, delete."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.common import access
from apps.features.models import FeatureSet, SavedView
from apps.features.saved_views import MAX_VIEWS, change_view, clean_query, delete_view, save_view
from mlopslib.errors import Conflict, InvalidInput


@require_GET
def saved_view_list(request: HttpRequest) -> HttpResponse:
    access.require(request.user, "view")
    views = SavedView.objects.visible_to(request.user).select_related("owner")
    context = {
        "own": [view for view in views if view.owner_id == request.user.pk],
        "others": [view for view in views if view.owner_id != request.user.pk],
        "most": MAX_VIEWS,
        "set_count": FeatureSet.objects.current().count(),
    }
    return render(request, "features/saved_views.html", context)


@require_GET
def saved_view_open(request: HttpRequest, pk: int) -> HttpResponse:
    """A lasting address of a view: what it shows follows the view, not the day the link was copied."""
    access.require(request.user, "view")
    view = get_object_or_404(SavedView.objects.visible_to(request.user), pk=pk)
    return redirect(_address(view.query))


@require_POST
def saved_view_create(request: HttpRequest) -> HttpResponse:
    access.require(request.user, "view")
    query = request.POST.get("query", "")
    try:
        view = save_view(
            actor=request.user,
            name=request.POST.get("name", ""),
            query=query,
            is_shared="is_shared" in request.POST,
        )
    except (Conflict, InvalidInput) as error:
        messages.error(request, error.message)
        return redirect(_address("" if error.field == "query" else clean_query(query)))
    messages.success(request, _("The view “%(name)s” is kept.") % {"name": view.name})
    return redirect(_address(view.query))


@require_POST
def saved_view_change(request: HttpRequest, pk: int) -> HttpResponse:
    view = get_object_or_404(SavedView, pk=pk, owner=request.user)
    try:
        change_view(
            actor=request.user,
            view=view,
            name=request.POST.get("name", ""),
            is_shared="is_shared" in request.POST,
        )
    except (Conflict, InvalidInput) as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("The view “%(name)s” is changed.") % {"name": view.name})
    return redirect("features:saved_views")


@require_POST
def saved_view_delete(request: HttpRequest, pk: int) -> HttpResponse:
    view = get_object_or_404(SavedView, pk=pk, owner=request.user)
    delete_view(actor=request.user, view=view)
    messages.success(request, _("The view “%(name)s” is deleted.") % {"name": view.name})
    return redirect("features:saved_views")


def _address(query: str) -> str:
    return reverse("features:list") + (f"?{query}" if query else "")
