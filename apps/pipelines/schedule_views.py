"""The page of the schedules."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.common import access
from apps.pipelines import scheduling, services
from apps.pipelines.forms import pipeline_of
from apps.pipelines.models import PipelineRun, Schedule, ScheduleTick
from apps.pipelines.schedule_forms import ScheduleForm, schedulable
from apps.pipelines.schedules import base_month, next_due
from mlopslib.errors import GijunError


@never_cache
@require_http_methods(["GET", "POST"])
def schedules(request: HttpRequest) -> HttpResponse:
    """The list; a POST adds a schedule."""
    access.require(request.user, "view")
    may_edit = access.may(request.user, "schedules.edit")
    if request.method == "POST":
        access.require(request.user, "schedules.edit")
    choices = schedulable(request.user) if may_edit else []
    posted = request.POST if request.method == "POST" else None
    form = ScheduleForm(posted, subjects=choices, initial={"pipeline": request.GET.get("pipeline", "")})
    if posted is not None and form.is_valid():
        try:
            with transaction.atomic():
                schedule = services.add_schedule(
                    actor=request.user,
                    pipeline=pipeline_of(form.cleaned_data["pipeline"], actor=request.user),
                    **form.plan(),
                )
        except GijunError as error:
            form.show(error)
        else:
            return _done(request, schedule, _("%(name)s has its schedule."))
    context = {"rows": _rows(), "form": form, "may_edit": may_edit, "choices": choices}
    return render(request, "pipelines/schedules.html", context, status=422 if form.errors else 200)


@never_cache
@require_http_methods(["GET", "POST"])
def change(request: HttpRequest, pk: int) -> HttpResponse:
    access.require(request.user, "schedules.edit")
    schedule = get_object_or_404(Schedule.objects.select_related("pipeline"), pk=pk)
    initial = {name: getattr(schedule, name) for name in ScheduleForm.PLAN}
    posted = request.POST if request.method == "POST" else None
    form = ScheduleForm(posted, subjects=None, initial=initial)
    if posted is not None and form.is_valid():
        try:
            scheduling.change_schedule(actor=request.user, schedule=schedule, **form.plan())
        except GijunError as error:
            form.show(error)
        else:
            return _done(request, schedule, _("The schedule of %(name)s is changed."))
    context = {"schedule": schedule, "form": form}
    return render(request, "pipelines/schedule.html", context, status=422 if form.errors else 200)


@require_POST
def switch(request: HttpRequest, pk: int) -> HttpResponse:
    schedule = get_object_or_404(Schedule.objects.select_related("pipeline"), pk=pk)
    is_enabled = request.POST.get("is_enabled") == "1"
    scheduling.switch_schedule(actor=request.user, schedule=schedule, is_enabled=is_enabled)
    told = _("The schedule of %(name)s is on.") if is_enabled else _("The schedule of %(name)s is off.")
    return _done(request, schedule, told)


@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    schedule = get_object_or_404(Schedule.objects.select_related("pipeline"), pk=pk)
    scheduling.delete_schedule(actor=request.user, schedule=schedule)
    return _done(request, schedule, _("The schedule of %(name)s is deleted."))


def _done(request: HttpRequest, schedule: Schedule, text: str) -> HttpResponse:
    messages.success(request, text % {"name": schedule.pipeline.name})
    return redirect("pipelines:schedules")


def _rows() -> list[dict[str, Any]]:
    """Every schedule with its next moment, and what its last one led to; two queries."""
    newest = ScheduleTick.objects.filter(schedule=OuterRef("pk")).order_by("-due_at")
    rows = list(
        Schedule.objects.select_related("pipeline__registered_model", "pipeline__feature_set", "owner")
        .annotate(ticked_at=Subquery(newest.values("due_at")[:1]), run_id=Subquery(newest.values("run")[:1]))
        .order_by("-is_enabled", "pipeline__name", "pk")
    )
    runs = PipelineRun.objects.in_bulk([row.run_id for row in rows if row.run_id])
    now = timezone.now()
    found = []
    for row in rows:
        due = next_due(row, now)
        found.append({"row": row, "due": due, "ym": base_month(row, due), "run": runs.get(row.run_id)})
    return found
