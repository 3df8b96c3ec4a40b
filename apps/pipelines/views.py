"""Pages of the runs."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.common import access
from apps.models.models import RegisteredModel
from apps.pipelines import services
from apps.pipelines.filters import RunFilter
from apps.pipelines.forms import NEW, StartForm, pipeline_of, right_to_start, subjects
from apps.pipelines.models import Artifact, Pipeline, PipelineRun, StepLog, StepRun, Template
from apps.pipelines.start_views import result_page
from apps.pipelines.words import step_word, template_guide
from mlopslib.errors import GijunError

PER_PAGE = 50
TAIL_CHUNKS = 200
TAIL_CHARACTERS = 40_000
#: htmx stops polling at this status
STOP_POLLING = 286


@require_GET
@never_cache
def run_list(request: HttpRequest) -> HttpResponse:
    access.require(request.user, "view")
    rows = (
        PipelineRun.objects.with_subject()
        .annotate(
            step_count=Count("steps"),
            steps_done=Count("steps", filter=Q(steps__state=StepRun.State.SUCCEEDED)),
        )
        .order_by("-id")
    )
    filtered = RunFilter(request.GET, queryset=rows)
    page = Paginator(filtered.qs, PER_PAGE).get_page(request.GET.get("page"))
    runs = list(page.object_list)
    context = {
        "filter": filtered,
        "page": page,
        "runs": runs,
        "tabs": _status_tabs(request),
        "models": RegisteredModel.objects.values_list("name", flat=True),
        "templates": Template.values,
        "has_any": bool(runs) or PipelineRun.objects.exists(),
        "is_live": any(not run.is_terminal for run in runs),
        "default_sort": "-run",
    }
    return render(request, "pipelines/list.html", context)


@require_GET
@never_cache
def run_detail(request: HttpRequest, pk: int) -> HttpResponse:
    access.require(request.user, "view")
    run = get_object_or_404(PipelineRun.objects.with_subject().with_steps(), pk=pk)
    context = {**_live(request, run), **_frozen(run)}
    return render(request, "pipelines/detail.html", context)


@require_GET
@never_cache
def progress(request: HttpRequest, pk: int) -> HttpResponse:
    """What the run page swaps every two seconds; 286 once the run has ended."""
    access.require(request.user, "view")
    run = get_object_or_404(PipelineRun.objects.with_subject().with_steps(), pk=pk)
    status = STOP_POLLING if run.is_terminal else 200
    return render(request, "pipelines/_live.html", {**_live(request, run), "is_swap": True}, status=status)


@require_GET
@never_cache
def step_log(request: HttpRequest, pk: int, position: int) -> HttpResponse | StreamingHttpResponse:
    """The whole log of a step as plain text."""
    access.require(request.user, "view")
    step = get_object_or_404(StepRun, run_id=pk, position=position)
    texts = step.logs.order_by("id").values_list("text", flat=True)
    response = StreamingHttpResponse(
        (_line(text) for text in texts.iterator(chunk_size=500)), content_type="text/plain; charset=utf-8"
    )
    if "download" in request.GET:
        response["Content-Disposition"] = f'attachment; filename="run-{pk}-{step.name}.log"'
    return response


@require_http_methods(["GET", "POST"])
def start(request: HttpRequest) -> HttpResponse:
    choices = subjects(request.user)
    if not choices:
        # says which roles would do; a person with the right gets the empty state below
        access.require(request.user, "runs.start")
    posted = request.POST if request.method == "POST" else None
    form = StartForm(posted, subjects=choices, initial=_initial(request))
    if posted is not None and form.is_valid():
        try:
            with transaction.atomic():
                pipeline = pipeline_of(form.cleaned_data["pipeline"], actor=request.user)
                run = services.start_run(
                    actor=request.user,
                    pipeline=pipeline,
                    base_ym=form.cleaned_data["base_ym"],
                    trigger=PipelineRun.Trigger.MANUAL,
                    params=form.params(pipeline),
                    idempotency_key=form.cleaned_data["idempotency_key"],
                )
        except GijunError as error:
            form.show(error)
        else:
            messages.success(request, _("Run %(pk)s has been started.") % {"pk": run.pk})
            return redirect(run)
    context = {"form": form, "choices": choices, "guide": template_guide()}
    return render(request, "pipelines/start.html", context, status=422 if form.errors else 200)


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    run = get_object_or_404(PipelineRun, pk=pk)
    services.cancel_run(actor=request.user, run=run)
    messages.success(request, _("Run %(pk)s stops: what is finished is kept.") % {"pk": run.pk})
    return redirect(run)


@require_POST
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    run = get_object_or_404(PipelineRun.objects.with_subject(), pk=pk)
    services.resume_run(actor=request.user, run=run)
    messages.success(request, _("Run %(pk)s goes on from where it stopped.") % {"pk": run.pk})
    return redirect(run)


def _initial(request: HttpRequest) -> dict[str, Any]:
    """The choice that the address names: `?pipeline=3`, `?feature_set=cust_txn`, `?model=loan_needs`."""
    asked = request.GET
    pipeline = asked.get("pipeline", "")
    if name := asked.get("feature_set"):
        template = asked.get("template", Template.MATERIALISE)
        rows = Pipeline.objects.filter(feature_set__name=name, feature_set__is_current=True)
        row = rows.filter(template=template).first()
        pipeline = str(row.pk) if row else f"{NEW}/{template}/{name}"
    elif name := asked.get("model"):
        template = asked.get("template", Template.TRAINING)
        row = Pipeline.objects.for_model(name).filter(template=template).first()
        pipeline = str(row.pk) if row else f"{NEW}/{template}/{name}"
    return {
        "pipeline": pipeline,
        "base_ym": asked.get("base_ym", ""),
        "idempotency_key": f"page-{uuid.uuid4()}",
    }


def _status_tabs(request: HttpRequest) -> list[dict[str, Any]]:
    """Runs by status under all filters but the status itself."""
    rest = request.GET.copy()
    for key in ("status", "page", "sort"):
        rest.pop(key, None)
    rows = RunFilter(rest, queryset=PipelineRun.objects.all()).qs.order_by()
    counts = dict(rows.values_list("status").annotate(n=Count("pk")))
    chosen = request.GET.getlist("status")
    keep = request.GET.copy()
    keep.pop("page", None)
    keep.pop("status", None)
    tabs = [
        {
            "label": _("All"),
            "count": sum(counts.values()),
            "href": f"?{keep.urlencode()}",
            "is_on": not chosen,
        }
    ]
    for status in PipelineRun.Status:
        if not counts.get(status) and status not in chosen:
            continue
        keep.setlist("status", [status])
        tabs.append(
            {
                "status": status,
                "count": counts.get(status, 0),
                "href": f"?{keep.urlencode()}",
                "is_on": chosen == [status],
            }
        )
    return tabs


def _live(request: HttpRequest, run: PipelineRun) -> dict[str, Any]:
    """Everything of a run that changes while it runs."""
    steps = list(run.steps.all())
    asked = request.GET.get("step", "")
    shown = next((step for step in steps if str(step.position) == asked), None) or _current(steps)
    user = request.user
    return {
        "run": run,
        "steps": [{"row": step, "title": step_word(step.name)} for step in steps],
        "shown": shown,
        "shown_title": step_word(shown.name) if shown else "",
        "asked_step": asked if shown and str(shown.position) == asked else "",
        "log_tail": _tail(shown) if shown else "",
        "shown_metrics": _pretty(shown.metrics) if shown and shown.metrics and run.is_terminal else "",
        "artifacts": Artifact.objects.filter(step__run=run).select_related("step").order_by("id"),
        "result_href": result_page(run.template, run.pipeline.feature_set)
        if run.pipeline.feature_set and run.status == PipelineRun.Status.SUCCEEDED
        else "",
        "done": sum(step.state == StepRun.State.SUCCEEDED for step in steps),
        "may_cancel": not run.is_terminal and access.may(user, "runs.cancel"),
        "may_resume": run.status in {PipelineRun.Status.FAILED, PipelineRun.Status.CANCELLED}
        and access.may(user, right_to_start(run.template)),
    }


def _current(steps: list[StepRun]) -> StepRun | None:
    """The step whose log is of interest: the running one, the one that failed, else the last that ran."""
    for state in (StepRun.State.RUNNING, StepRun.State.FAILED):
        if found := next((step for step in steps if step.state == state), None):
            return found
    return next((step for step in reversed(steps) if step.started_at), steps[0] if steps else None)


def _tail(step: StepRun) -> str:
    chunks = list(
        StepLog.objects.filter(step=step).order_by("-id").values_list("text", flat=True)[:TAIL_CHUNKS]
    )
    return "".join(_line(text) for text in reversed(chunks))[-TAIL_CHARACTERS:]


def _line(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"


def _frozen(run: PipelineRun) -> dict[str, Any]:
    """What was fixed when the run was started."""
    params = run.params or {}
    champion = params.get("champion")
    return {
        "champion": champion.get("label") if champion else "",
        "feature_sets": params.get("feature_sets", []),
        "asked": params.get("asked", {}),
        "params_json": _pretty(params),
        "dates": run.dates,
    }


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
