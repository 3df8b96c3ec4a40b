"""The SQL editor of a feature set, and the partials that it asks for while a person writes."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.common import access
from apps.features import queries, services
from apps.features.forms import EditorForm, features_in, timeless_in
from apps.features.models import EngineQuery, FeatureSet
from apps.features.services.key_count import WHILE_WRITING, usual_month
from mlopslib.dates import date_params, validate_ym
from mlopslib.errors import Conflict, GijunError
from mlopslib.offline import open_store
from mlopslib.offline.base import OfflineStore

#: months back that the palette offers; every one up to 36 can be written
_PALETTE_MONTHS = (1, 2, 3, 6, 12, 24, 36)
_COLUMNS_SHOWN = 400

View = Callable[[HttpRequest], HttpResponse]


@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    """A new feature set, or with ?from= the next version of one."""
    access.require(request.user, "features.create")
    name = request.POST.get("based_on") or request.GET.get("from", "")
    return _editor(request, _source(name))


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, name: str) -> HttpResponse:
    """The draft of a feature set; without one, what its next version starts from."""
    access.require(request.user, "features.create")
    rows = FeatureSet.objects.in_catalog().filter(name=name).order_by("is_current")
    return _editor(request, get_object_or_404(rows[:1]))


def _source(name: str) -> FeatureSet | None:
    """What the editor opens for a name: its draft, else its current version."""
    return FeatureSet.objects.in_catalog().filter(name=name).order_by("is_current").first()


def _editor(request: HttpRequest, source: FeatureSet | None) -> HttpResponse:
    form = EditorForm(request.POST or None, initial=_initial(source) if source else {})
    if request.method == "POST" and form.is_valid():
        try:
            return _save(request, form)
        except GijunError as error:
            form.show(error)
            if isinstance(error, Conflict) and form.cleaned_data["seen_at"]:
                form.catch_up(services.draft_of(form.cleaned_data["name"]))
    base_ym = usual_month(source.name if source else "")
    tables = _tables()
    context = {
        "form": form,
        "feature_set": source,
        "is_draft": source is not None and source.status == FeatureSet.Status.DRAFT,
        "current": services.current_of(source.name) if source else None,
        "tables": tables,
        "base_ym": base_ym,
        # an engine that does not answer is not waited for twice
        "report": None if tables is None else _first_check(form, source, base_ym),
        "timeless": timeless_in(form.data) if form.is_bound else (source.timeless_tables if source else {}),
        "seconds": settings.PREVIEW_SECONDS,
        **_palette(base_ym),
    }
    return render(request, "features/editor/page.html", context, status=422 if form.errors else 200)


def _save(request: HttpRequest, form: EditorForm) -> HttpResponse:
    given = {"actor": request.user, "store": _store(), **form.definition()}
    if request.POST.get("action") == "draft":
        draft = services.save_draft(**given)
        messages.success(request, _("The draft %(set)s is saved.") % {"set": str(draft)})
        return redirect("features:edit", name=draft.name)
    row = services.create_feature_set(**given, acknowledge=form.cleaned_data["acknowledge"])
    messages.success(
        request,
        _("%(set)s is published with %(n)s features.") % {"set": str(row), "n": row.features.count()},
    )
    return redirect(row)


def _partial(template: str) -> Callable[[Callable[[HttpRequest], dict[str, Any]]], View]:
    """A POST that answers with a partial; a refusal is shown in its place."""

    def wrap(view: Callable[[HttpRequest], dict[str, Any]]) -> View:
        @wraps(view)
        def answer(request: HttpRequest) -> HttpResponse:
            access.require(request.user, "features.create")
            try:
                context = view(request)
            except GijunError as error:
                context = {"error": error}
            return render(request, template, context)

        return require_POST(answer)

    return wrap


@_partial("features/editor/_check.html")
def check(request: HttpRequest) -> dict[str, Any]:
    data = request.POST
    base_ym = _month(data.get("base_ym", "")) or services.SAMPLE_YM
    report = services.check_sql(
        store=_store(),
        sql=_sql(request),
        entity_key=data.get("entity_key", "").strip(),
        name=data.get("name", "").strip(),
        features=features_in(data) or _known_features(data.get("based_on", "")),
        timeless_tables=timeless_in(data),
        base_ym=base_ym,
        count_seconds=WHILE_WRITING,
    )
    return {
        "report": report,
        "timeless": timeless_in(data),
        "acknowledge": data.get("acknowledge", ""),
    }


@_partial("features/editor/_preview.html")
def preview(request: HttpRequest) -> dict[str, Any]:
    found = services.preview(
        actor=request.user,
        store=_store(),
        sql=_sql(request),
        base_ym=_month(request.POST.get("base_ym", "")),
        entity_key=request.POST.get("entity_key", "").strip(),
        query_id=_query_id(request),
    )
    return {"preview": found, "entity_key": request.POST.get("entity_key", "").strip()}


@_partial("features/editor/_dry_run.html")
def dry_run(request: HttpRequest) -> dict[str, Any]:
    found = services.what_would_change(
        actor=request.user,
        store=_store(),
        name=request.POST.get("name", "").strip(),
        sql=_sql(request),
        entity_key=request.POST.get("entity_key", "").strip(),
        features=features_in(request.POST) or None,
        base_ym=_month(request.POST.get("base_ym", "")),
        query_id=_query_id(request),
    )
    return {"run": found}


@_partial("features/editor/_duplicates.html")
def duplicates(request: HttpRequest) -> dict[str, Any]:
    found = services.find_duplicates(
        actor=request.user,
        store=_store(),
        name=request.POST.get("name", "").strip(),
        sql=_sql(request),
        entity_key=request.POST.get("entity_key", "").strip(),
        query_id=_query_id(request),
    )
    return {"found": found}


@require_POST
def cancel(request: HttpRequest, pk: uuid.UUID) -> JsonResponse:
    """Ask a running query to stop; 404 where it has not begun, so that the page asks again."""
    asked = queries.request_cancel(actor=request.user, pk=pk)
    row = EngineQuery.objects.filter(pk=pk).first()
    if row is None:
        return JsonResponse({"state": "UNKNOWN"}, status=404)
    return JsonResponse({"state": row.state, "asked": asked or row.cancel_requested_at is not None})


@require_GET
def parameters(request: HttpRequest) -> HttpResponse:
    """The palette for another base month."""
    access.require(request.user, "features.create")
    base_ym = _month(request.GET.get("base_ym", "")) or usual_month()
    return render(request, "features/editor/_parameters.html", {"base_ym": base_ym, **_palette(base_ym)})


@require_GET
def columns(request: HttpRequest, table: str) -> HttpResponse:
    """Columns of a table, for the browser beside the editor."""
    access.require(request.user, "features.create")
    try:
        found, error = _store().describe(table), None
    except GijunError as refused:
        found, error = [], refused
    context = {"table": table, "columns": found[:_COLUMNS_SHOWN], "more": len(found) - _COLUMNS_SHOWN}
    return render(request, "features/editor/_columns.html", context | {"error": error})


def _first_check(form: EditorForm, source: FeatureSet | None, base_ym: str) -> Any:
    """The check that the page opens with; None where there is nothing to check yet, or no engine."""
    sql = form["sql"].value() or ""
    if not sql.strip():
        return None
    given = features_in(form.data) if form.is_bound else []
    try:
        return services.check_sql(
            store=_store(),
            sql=sql.replace("\r\n", "\n"),
            entity_key=(form["entity_key"].value() or "").strip(),
            name=(form["name"].value() or "").strip(),
            features=given or _known_features(source.name if source else ""),
            timeless_tables=timeless_in(form.data)
            if form.is_bound
            else (source.timeless_tables if source else {}),
            base_ym=base_ym,
        )
    except GijunError:
        return None


def _known_features(name: str) -> list[Any]:
    """What the draft, else the current version, says of its columns."""
    row = _source(name)
    return list(row.to_spec().features) if row else []


def _initial(source: FeatureSet) -> dict[str, Any]:
    fields = ("name", "title", "entity", "entity_key", "domain", "description", "sql")
    is_draft = source.status == FeatureSet.Status.DRAFT
    return {name: getattr(source, name) for name in fields} | {
        "tags": ", ".join(source.tags.values_list("name", flat=True)),
        "seen_at": source.updated_at.isoformat() if is_draft else "",
        "based_on": source.name,
    }


def _palette(base_ym: str) -> dict[str, Any]:
    dates = date_params(base_ym)
    now = ["base_ym", "base_dt", "base_first_dt"]
    back = [f"bf_{n}m_{kind}" for n in _PALETTE_MONTHS for kind in ("ym", "dt", "last_dt")]
    return {"parameters": [(name, dates[name]) for name in [*now, *back]]}


def _month(text: str) -> str:
    """A month as people write it, ``2026-10`` or ``202610``; empty stays empty. Raises InvalidDate."""
    text = text.strip().replace("-", "")
    return validate_ym(text) if text else ""


def _sql(request: HttpRequest) -> str:
    return request.POST.get("sql", "").replace("\r\n", "\n")


def _query_id(request: HttpRequest) -> uuid.UUID | None:
    try:
        return uuid.UUID(request.POST.get("query_id", ""))
    except ValueError:
        return None


def _store() -> OfflineStore:
    return open_store(settings.OFFLINE_URL)


def _tables() -> list[str] | None:
    """Names of the offline tables; None where the store does not answer (the editor still opens)."""
    try:
        return _store().list_tables()
    except GijunError:
        return None
