"""Pages of the feature catalog."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from apps.common import access
from apps.features.catalog import PER_PAGE, Catalog, catalog_csv, feature_rows
from apps.features.charts import feature_charts
from apps.features.diffs import difference
from apps.features.facets import chips
from apps.features.facts import facts_of
from apps.features.filters import FeatureSetFilter
from apps.features.models import FeatureSet, Materialisation, SavedView
from apps.features.profiles import summary_of
from apps.features.saved_views import clean_query
from apps.features.snippets import snippets_of
from apps.features.usage import all_uses, uses_of_feature
from mlopslib.dates import date_params, validate_ym
from mlopslib.errors import GijunError
from mlopslib.sql import parameters_in, render_sql


@require_GET
def feature_list(request: HttpRequest) -> HttpResponse:
    access.require(request.user, "view")
    found = Catalog(request)
    if request.GET.get("format") == "csv":
        return catalog_csv(found)
    _held, people = found.sets
    query = clean_query(request.GET.urlencode())
    views = list(SavedView.objects.visible_to(request.user).select_related("owner"))
    context = {
        "filter": found.filter,
        "page": found.page,
        "rows": found.rows(),
        "facets": found.panel.facets,
        "chips": chips(request.GET, people),
        "tabs": found.tabs(),
        "has_any": bool(found.all_counted.cells),
        "default_sort": found.default_sort,
        "views": views,
        "query": query,
        "open_view": next((view for view in views if query and view.query == query), None),
        **_tab_counts(),
    }
    return render(request, "features/list.html", context)


@require_GET
def set_list(request: HttpRequest) -> HttpResponse:
    access.require(request.user, "view")
    rows = (
        FeatureSet.objects.in_catalog()
        .with_owner()
        .defer("sql", "description")
        .annotate(
            feature_count=Count("features", distinct=True),
            model_count=Count("registered_models", distinct=True),
        )
        .order_by("name", "version")
    )
    filtered = FeatureSetFilter(request.GET, queryset=rows)
    page = Paginator(filtered.qs, PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "filter": filtered,
        "page": page,
        "sets": _with_months(list(page.object_list)),
        **_tab_counts(),
    }
    return render(request, "features/sets.html", context)


@require_GET
def set_detail(request: HttpRequest, name: str) -> HttpResponse:
    access.require(request.user, "view")
    row = feature_set_of(request, name)
    months = list(row.materialisations.all())
    features = list(row.features.all())
    for feature in features:
        feature.feature_set = row
    uses = all_uses().get(name, [])
    context = {
        "feature_set": row,
        "tab": "overview",
        "rows": feature_rows(features, facts_of(request)),
        "tags": row.tags.all(),
        "months": months[::-1],
        "total_rows": sum(month.rows for month in months),
        "versions": _versions(row, uses),
        "uses": uses,
        "timeless": sorted(row.timeless_tables.items()),
        "known_months": [month.base_ym for month in months][::-1],
        **rendered_sql(request, row, months[-1].base_ym if months else ""),
    }
    return render(request, "features/set.html", context)


@require_GET
def set_diff(request: HttpRequest, name: str) -> HttpResponse:
    """Two versions side by side; without numbers in the address the two newest."""
    access.require(request.user, "view")
    rows = FeatureSet.objects.visible().with_owner().filter(name=name).order_by("version")
    versions = list(rows.prefetch_related("features__sources"))
    if not versions:
        raise Http404(f"no feature set {name}")
    by_number = {str(row.version): row for row in versions}
    after = by_number.get(request.GET.get("b", str(versions[-1].version)))
    before = by_number.get(request.GET.get("a", str(versions[max(len(versions) - 2, 0)].version)))
    if before is None or after is None:
        raise Http404(f"{name} has the versions {', '.join(by_number)}")
    context = {
        "feature_set": after,
        "tab": "overview",
        "versions": versions[::-1],
        "diff": difference(before, after),
    }
    return render(request, "features/diff.html", context)


@require_GET
def feature_detail(request: HttpRequest, feature_set: str, name: str) -> HttpResponse:
    access.require(request.user, "view")
    held = feature_set_of(request, feature_set)
    row = get_object_or_404(held.features.all(), name=name)
    row.feature_set = held
    profiles = list(row.profiles.order_by("base_ym"))
    newest = profiles[-1] if profiles else None
    versions = FeatureSet.objects.visible().filter(name=feature_set, features__name=name)
    context = {
        "feature": row,
        "feature_set": held,
        "profiles": profiles[::-1],
        "newest": newest,
        "summary": summary_of(newest),
        "before": profiles[-2] if len(profiles) > 1 else None,
        "charts": feature_charts(row, profiles),
        "uses": uses_of_feature(row),
        "sources": list(row.sources.all()),
        "row_sources": list(held.row_sources.all()),
        "versions": versions.order_by("-version").defer("sql", "description"),
        "snippets": snippets_of(row, newest.base_ym if newest else "", request.build_absolute_uri("/")),
        "known_months": [profile.base_ym for profile in profiles][::-1],
        **rendered_sql(request, held, newest.base_ym if newest else ""),
    }
    return render(request, "features/detail.html", context)


def feature_set_of(request: HttpRequest, name: str) -> FeatureSet:
    """The version that the address asks for; without one the current, else the draft, else the newest."""
    rows = FeatureSet.objects.visible().with_owner().filter(name=name)
    number = request.GET.get("version", "")
    if number:
        row = rows.filter(version=number).first() if number.isdecimal() and len(number) < 9 else None
    else:
        row = rows.order_by("-is_current", "-version").first()
    if row is None:
        raise Http404(f"no feature set {name} {number}".strip())
    return row


def rendered_sql(request: HttpRequest, row: FeatureSet, newest: str) -> dict[str, Any]:
    """The SQL as it runs for one base month: the one asked for, else the newest that stands."""
    asked = request.GET.get("base_ym", "").replace("-", "")
    base_ym = asked or newest
    if not base_ym:
        return {"rendered_ym": "", "rendered_sql": "", "used_dates": {}, "rendered_error": ""}
    try:
        dates = date_params(validate_ym(base_ym))
        rendered = render_sql(row.sql, dates)
        used = {name: dates[name] for name in parameters_in(row.sql)}
    except GijunError as error:
        return {"rendered_ym": asked, "rendered_sql": "", "used_dates": {}, "rendered_error": error.message}
    return {"rendered_ym": base_ym, "rendered_sql": rendered, "used_dates": used, "rendered_error": ""}


def _with_months(sets: list[FeatureSet]) -> list[FeatureSet]:
    """Each set of a page with its materialised months, first to last; one query."""
    months: dict[int, list[Materialisation]] = {}
    for month in Materialisation.objects.filter(feature_set__in=sets).order_by("base_ym"):
        months.setdefault(month.feature_set_id, []).append(month)
    for row in sets:
        row.months = months.get(row.pk, [])
    return sets


def _versions(row: FeatureSet, uses: list[Any]) -> list[dict[str, Any]]:
    """Every version with the models that pin it and the one before it, to compare with."""
    rows = list(FeatureSet.objects.visible().with_owner().filter(name=row.name).order_by("version"))
    found = []
    for index, version in enumerate(rows):
        found.append(
            {
                "row": version,
                "before": rows[index - 1].version if index else None,
                "models": [use.model for use in uses if version.version in use.pins],
            }
        )
    return found[::-1]


def _tab_counts() -> dict[str, int]:
    """The features are counted for the menu already."""
    return {"set_count": FeatureSet.objects.current().count()}
