"""Pages of the feature catalog."""

from __future__ import annotations

import csv
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from apps.common import access
from apps.common.charting import csv_cell, month_label
from apps.features import services
from apps.features.charts import feature_charts
from apps.features.facets import chips, facets
from apps.features.filters import FeatureFilter, FeatureSetFilter
from apps.features.forms import FeatureSetForm
from apps.features.models import Feature, FeatureProfile, FeatureSet, Materialisation
from apps.features.usage import models_using
from mlopslib.dates import date_params, validate_ym
from mlopslib.errors import GijunError
from mlopslib.offline import open_store
from mlopslib.sql import parameters_in, render_sql

PER_PAGE = 50
SPARK_MONTHS = 12
DEFAULT_SORT = "-psi"


@require_GET
def feature_list(request: HttpRequest) -> HttpResponse:
    access.require(request.user, "view")
    everything = Feature.objects.current()
    query = request.GET.copy()
    query.setdefault("sort", DEFAULT_SORT)
    filtered = FeatureFilter(query, queryset=everything.with_set())
    if request.GET.get("format") == "csv":
        return _catalog_csv(filtered.qs)
    page = Paginator(filtered.qs, PER_PAGE).get_page(request.GET.get("page"))
    boxes = facets(request.GET, everything)
    context = {
        "filter": filtered,
        "page": page,
        "rows": _rows(list(page.object_list)),
        "facets": boxes,
        "chips": chips(request.GET, ["q", *(box.name for box in boxes)]),
        "has_any": page.paginator.count > 0 or everything.exists(),
        "default_sort": DEFAULT_SORT,
        **_tab_counts(),
    }
    return render(request, "features/list.html", context)


@require_GET
def set_list(request: HttpRequest) -> HttpResponse:
    access.require(request.user, "view")
    rows = (
        FeatureSet.objects.current()
        .with_owner()
        .annotate(
            feature_count=Count("features", distinct=True),
            model_count=Count("registered_models", distinct=True),
        )
        .order_by("name")
        .prefetch_related(
            Prefetch("materialisations", Materialisation.objects.order_by("base_ym"), to_attr="months")
        )
    )
    filtered = FeatureSetFilter(request.GET, queryset=rows)
    page = Paginator(filtered.qs, PER_PAGE).get_page(request.GET.get("page"))
    context = {"filter": filtered, "page": page, "sets": list(page.object_list), **_tab_counts()}
    return render(request, "features/sets.html", context)


@require_GET
def set_detail(request: HttpRequest, name: str) -> HttpResponse:
    access.require(request.user, "view")
    row = _feature_set(request, name)
    profiles = FeatureProfile.objects.order_by("base_ym").defer("histogram")
    features = list(row.features.prefetch_related(Prefetch("profiles", profiles)))
    months = list(row.materialisations.all())
    context = {
        "feature_set": row,
        "tab": "overview",
        "rows": _rows(features, row),
        "months": months[::-1],
        "total_rows": sum(month.rows for month in months),
        "versions": FeatureSet.objects.filter(name=name).order_by("-version"),
        "models": row.registered_models.all(),
        "pipelines": row.pipelines.all(),
        **_rendered(request, row, months),
    }
    return render(request, "features/set.html", context)


@require_GET
def feature_detail(request: HttpRequest, feature_set: str, name: str) -> HttpResponse:
    access.require(request.user, "view")
    row = get_object_or_404(Feature.objects.current().with_set(), feature_set__name=feature_set, name=name)
    profiles = list(row.profiles.order_by("base_ym"))
    context = {
        "feature": row,
        "profiles": profiles[::-1],
        "newest": profiles[-1] if profiles else None,
        "before": profiles[-2] if len(profiles) > 1 else None,
        "charts": feature_charts(row, profiles),
        "models": models_using(row)[row.pk],
    }
    return render(request, "features/detail.html", context)


@require_http_methods(["GET", "POST"])
def create_set(request: HttpRequest) -> HttpResponse:
    access.require(request.user, "features.create")
    form = FeatureSetForm(request.POST or None, initial=_initial(request))
    if request.method == "POST" and form.is_valid():
        try:
            row = services.create_feature_set(actor=request.user, store=_store(), **form.cleaned_data)
        except GijunError as error:
            form.show(error)
        else:
            messages.success(
                request,
                _("%(set)s is published with %(n)s features.") % {"set": str(row), "n": row.features.count()},
            )
            return redirect(row)
    status = 422 if form.errors else 200
    context = {
        "form": form,
        "tables": _tables(),
        "parameters": date_params("202610"),
        "based_on": request.GET.get("from", ""),
    }
    return render(request, "features/create.html", context, status=status)


def _store() -> Any:
    return open_store(settings.OFFLINE_URL)


def _tables() -> list[str] | None:
    """Names of the offline tables; None where the store does not answer (the form still opens)."""
    try:
        return _store().list_tables()
    except GijunError:
        return None


def _initial(request: HttpRequest) -> dict[str, Any]:
    source = FeatureSet.objects.current().filter(name=request.GET.get("from", "")).first()
    if source is None:
        return {}
    return {name: getattr(source, name) for name in FeatureSetForm.base_fields}


def _feature_set(request: HttpRequest, name: str) -> FeatureSet:
    rows = FeatureSet.objects.with_owner().filter(name=name)
    number = request.GET.get("version", "")
    asked = rows.filter(version=number) if number.isdigit() else rows.none()
    row = (asked if number else rows.current()).first()
    if row is None:
        raise Http404(f"no feature set {name} {number}".strip())
    return row


def _rendered(request: HttpRequest, row: FeatureSet, months: list[Materialisation]) -> dict[str, Any]:
    """The SQL as it runs for one base month: the one asked for, else the newest that stands."""
    asked = request.GET.get("base_ym", "").replace("-", "")
    base_ym = asked or (months[-1].base_ym if months else "")
    if not base_ym:
        return {"rendered_ym": "", "rendered_sql": "", "used_dates": {}, "rendered_error": ""}
    try:
        dates = date_params(validate_ym(base_ym))
        rendered = render_sql(row.sql, dates)
        used = {name: dates[name] for name in parameters_in(row.sql)}
    except GijunError as error:
        return {"rendered_ym": asked, "rendered_sql": "", "used_dates": {}, "rendered_error": error.message}
    return {"rendered_ym": base_ym, "rendered_sql": rendered, "used_dates": used, "rendered_error": ""}


def _tab_counts() -> dict[str, int]:
    """The features are counted for the menu already."""
    return {"set_count": FeatureSet.objects.current().count()}


def _rows(features: list[Feature], feature_set: FeatureSet | None = None) -> list[dict[str, Any]]:
    """What one line of a feature table shows; two queries for the whole page at most."""
    if feature_set is None:
        months: dict[int, list[FeatureProfile]] = {}
        profiles = FeatureProfile.objects.filter(feature__in=features).order_by("base_ym")
        for profile in profiles.only("feature_id", "base_ym", "psi"):
            months.setdefault(profile.feature_id, []).append(profile)
        used = models_using(*features)
    else:
        months = {feature.pk: list(feature.profiles.all()) for feature in features}
        used = models_using(*features, feature_set=feature_set)
    rows = []
    for feature in features:
        own = months.get(feature.pk, [])
        rows.append(
            {
                "feature": feature,
                "newest": own[-1] if own else None,
                "psi_by_month": [profile.psi for profile in own[-SPARK_MONTHS:]],
                "models": used.get(feature.pk, []),
            }
        )
    return rows


def _catalog_csv(rows: QuerySet[Feature]) -> HttpResponse:
    """The list under the current filter, every page of it."""
    response = HttpResponse("\ufeff", content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="features.csv"'
    writer = csv.writer(response)
    writer.writerow(
        ["feature", "feature_set", "entity", "domain", "type", "owner", "month", "psi", "description"]
    )
    for row in rows.iterator(chunk_size=500):
        held = row.feature_set
        values = [row.name, held.name, held.entity, held.domain, row.engine_type or row.dtype]
        values += [held.owner.username, month_label(row.latest_ym or ""), row.latest_psi, row.description]
        writer.writerow([csv_cell(value) for value in values])
    return response
