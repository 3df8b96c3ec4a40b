"""The grid of feature sets and months, and what fills it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.common import access
from apps.features.models import FeatureSet
from apps.pipelines.backfill import back_fill
from apps.pipelines.grid import CellState, Line, lines_of, newest_due, newest_month_of_all
from apps.pipelines.models import PipelineRun, Schedule, Template
from apps.pipelines.start_views import asked_version
from apps.pipelines.views import STOP_POLLING
from apps.pipelines.words import CELL_WORDS
from mlopslib.dates import add_months, month_range, validate_ym
from mlopslib.errors import AccessDenied, GijunError, InvalidDate, InvalidInput

PER_PAGE = 50
WIDTHS = (12, 24)


@dataclass(frozen=True)
class Window:
    """The months that are shown: `width` of them up to `last`."""

    last: str
    width: int

    @property
    def months(self) -> list[str]:
        return month_range(add_months(self.last, 1 - self.width), self.last)


@require_GET
@never_cache
def grid(request: HttpRequest) -> HttpResponse:
    access.require(request.user, "view")
    context = _context(request)
    page = "months_of_set" if context["feature_set"] else "months"
    return render(request, f"pipelines/{page}.html", context)


@require_GET
@never_cache
def progress(request: HttpRequest) -> HttpResponse:
    """What the grid swaps every two seconds; 286 once nothing runs any more."""
    access.require(request.user, "view")
    context = _context(request)
    status = 200 if context["is_live"] else STOP_POLLING
    return render(request, "pipelines/_months_grid.html", context, status=status)


@require_POST
def backfill(request: HttpRequest) -> HttpResponse:
    """One cell (`cell`), all missing months of the window (`missing`), or a range (`set`, months)."""
    access.require(request.user, "features.materialise")
    posted = request.POST
    try:
        runs = _start(request)
    except AccessDenied:
        raise
    except GijunError as error:
        messages.error(request, error.message)
    else:
        _tell(request, runs)
    query = {name: posted[name] for name in ("to", "n", "page", "q") if posted.get(name)}
    if shown := posted.get("shown"):
        query["set"] = shown
        if posted.get("version"):
            query["version"] = posted["version"]
    return redirect(f"{reverse('pipelines:months')}?{urlencode(query)}" if query else "pipelines:months")


def _start(request: HttpRequest) -> list[PipelineRun]:
    posted = request.POST
    number = posted.get("version", "")
    key = posted.get("key", "")
    common: dict[str, Any] = {
        "actor": request.user,
        "trigger": PipelineRun.Trigger.MANUAL,
        "idempotency_key": f"grid-{key[:60]}" if key else None,
    }
    if cell := posted.get("cell"):
        name, _slash, ym = cell.partition("/")
        held = asked_version(name, number)
        return back_fill(feature_set=held, first_ym=ym, last_ym=ym, only_missing=False, **common)
    if name := posted.get("missing"):
        months = _window(posted, "").months
        return back_fill(
            feature_set=asked_version(name, number), first_ym=months[0], last_ym=months[-1], **common
        )
    if name := posted.get("set"):
        first, last = (posted.get(field, "").replace("-", "").strip() for field in ("first_ym", "last_ym"))
        return back_fill(
            feature_set=asked_version(name, number),
            first_ym=first,
            last_ym=last or first,
            only_missing="again" not in posted,
            **common,
        )
    raise InvalidInput("choose a feature set", field="set")


def _tell(request: HttpRequest, runs: list[PipelineRun]) -> None:
    if not runs:
        messages.info(request, _("Nothing to do: every due month stands, or a run is making it."))
        return
    numbers = ", ".join(f"#{run.pk}" for run in runs)
    text = ngettext("Started run %(runs)s.", "Started runs %(runs)s, the oldest months first.", len(runs))
    messages.success(request, text % {"runs": numbers})


def _context(request: HttpRequest) -> dict[str, Any]:
    now = timezone.now()
    asked = request.GET
    newest = newest_month_of_all(now)
    shown = asked_version(asked["set"], asked.get("version", "")) if asked.get("set") else None
    rows = FeatureSet.objects.current().with_owner().order_by("name")
    if words := asked.get("q", "").strip():
        rows = rows.filter(name__icontains=words)
    if shown is not None:
        rows = FeatureSet.objects.with_owner().filter(pk=shown.pk)
    page: Page = Paginator(rows, PER_PAGE).get_page(asked.get("page"))
    sets = list(page.object_list)
    window = _window(asked, _last_due(now, newest))
    months = window.months
    lines = lines_of(sets, months, now=now, newest_of_all=newest)
    may_fill = access.may(request.user, "features.materialise")
    return {
        "page": page,
        "lines": lines,
        "months": months,
        "years": _years(months),
        "window": window,
        "widths": WIDTHS,
        "earlier": add_months(window.last, -window.width),
        "later": add_months(window.last, window.width),
        "newest": newest,
        "totals": _totals(lines),
        "feature_set": shown,
        "tab": "months",
        "q": asked.get("q", ""),
        "is_live": any(line.active_run for line in lines),
        "may_fill": may_fill,
        "choices": FeatureSet.objects.current().order_by("name").values_list("name", flat=True),
        "key": uuid.uuid4(),
    }


def _last_due(now: Any, newest: str) -> str:
    """Where the window ends unless the address says: at the newest month that any set should have."""
    schedules = Schedule.objects.enabled().filter(pipeline__template=Template.MATERIALISE)
    return max([newest, *(newest_due(schedule, now, newest) for schedule in schedules)])


def _window(asked: Any, last: str) -> Window:
    """The window that the address names; a month that is none is passed over, as a bad filter is."""
    width = int(asked["n"]) if asked.get("n") in map(str, WIDTHS) else WIDTHS[0]
    try:
        last = validate_ym(asked.get("to", "").replace("-", "")) if asked.get("to") else last
        add_months(last, 1 - width), add_months(last, width)
    except InvalidDate:
        last = last if not asked.get("to") else newest_month_of_all(timezone.now())
    return Window(last, width)


def _years(months: list[str]) -> list[tuple[str, int]]:
    """Years over the months, each with how many columns it spans."""
    years: dict[str, int] = {}
    for ym in months:
        years[ym[:4]] = years.get(ym[:4], 0) + 1
    return list(years.items())


def _totals(lines: list[Line]) -> list[tuple[str, Any, int]]:
    """Cells by state, for the legend: (state, word, how many)."""
    return [(state, CELL_WORDS[state], sum(line.count(state) for line in lines)) for state in CellState]
