"""Buttons of a feature set's pages that end or begin something: publish, deprecate, restore, delete."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from apps.common import access
from apps.features import services
from apps.features.models import Feature, FeatureSet
from mlopslib.errors import GijunError
from mlopslib.offline import open_store


@require_POST
def publish(request: HttpRequest, name: str) -> HttpResponse:
    """Publish the draft as it stands; a refusal leads to the editor, where it can be mended."""
    access.require(request.user, "features.create")
    draft = get_object_or_404(FeatureSet, name=name, status=FeatureSet.Status.DRAFT)
    try:
        row = services.publish(
            actor=request.user,
            store=open_store(settings.OFFLINE_URL),
            feature_set=draft,
            acknowledge=request.POST.get("acknowledge", ""),
        )
    except GijunError as error:
        messages.error(request, _("Not published: %(why)s") % {"why": error.message})
        return redirect("features:edit", name=name)
    messages.success(
        request,
        _("%(set)s is published with %(n)s features.") % {"set": str(row), "n": row.features.count()},
    )
    return redirect(row)


@require_POST
def deprecate(request: HttpRequest, name: str) -> HttpResponse:
    row = _current(request, name)

    def act() -> str:
        services.deprecate(
            actor=request.user,
            feature_set=row,
            reason=request.POST.get("reason", ""),
            replaced_by=request.POST.get("replaced_by", ""),
        )
        return _("%(set)s is deprecated. What uses it keeps running.") % {"set": row.name}

    return _do(request, act, row.get_absolute_url(), row.get_absolute_url())


@require_POST
def restore(request: HttpRequest, name: str) -> HttpResponse:
    row = _current(request, name)

    def act() -> str:
        services.restore(actor=request.user, feature_set=row)
        return _("%(set)s is no longer deprecated.") % {"set": row.name}

    return _do(request, act, row.get_absolute_url(), row.get_absolute_url())


@require_POST
def delete(request: HttpRequest, name: str) -> HttpResponse:
    """Delete the version that the form names: a draft alone, the current one with all before it."""
    access.require(request.user, "features.create")
    number = request.POST.get("version", "")
    rows = FeatureSet.objects.visible().filter(name=name)
    rows = rows.filter(version=number) if number.isdecimal() and len(number) < 9 else rows.current()
    row = get_object_or_404(rows)

    def act() -> str:
        gone = services.delete(actor=request.user, feature_set=row)
        return _("%(set)s is deleted.") % {"set": ", ".join(str(each) for each in gone)}

    return _do(request, act, reverse("features:sets"), f"{row.get_absolute_url()}?version={row.version}")


@require_POST
def deprecate_feature(request: HttpRequest, feature_set: str, name: str) -> HttpResponse:
    """With a reason: deprecate one column; without: take it back."""
    access.require(request.user, "features.create")
    feature = get_object_or_404(
        Feature.objects.current().with_set(), feature_set__name=feature_set, name=name
    )

    def act() -> str:
        row = services.deprecate_feature(
            actor=request.user, feature=feature, reason=request.POST.get("reason", "")
        )
        if row.deprecated_at:
            return _("%(feature)s is deprecated. What uses it keeps running.") % {"feature": row.name}
        return _("%(feature)s is no longer deprecated.") % {"feature": row.name}

    return _do(request, act, feature.get_absolute_url(), feature.get_absolute_url())


def _current(request: HttpRequest, name: str) -> FeatureSet:
    access.require(request.user, "features.create")
    return get_object_or_404(FeatureSet.objects.current(), name=name)


def _do(request: HttpRequest, act: Callable[[], str], done: str, refused: str) -> HttpResponse:
    try:
        messages.success(request, act())
    except GijunError as error:
        messages.error(request, error.message)
        return redirect(refused)
    return redirect(done)
