"""Pages of lineage: the picture of one feature set, and what breaks if a column goes."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.common import access
from apps.features.impact import columns_index, tables_index, what_breaks
from apps.features.lineage_graph import HEIGHT, WIDTH, graph_of
from apps.features.models import FeatureSet
from apps.features.views import feature_set_of

#: names of tables and columns are shorter; more is somebody's typing
_LONGEST = 127


@require_GET
def lineage(request: HttpRequest, name: str) -> HttpResponse:
    access.require(request.user, "view")
    row = feature_set_of(request, name)
    graph = graph_of(row)
    context = {
        "feature_set": row,
        "tab": "lineage",
        "graph": graph,
        "node_width": WIDTH,
        "node_height": HEIGHT,
        "has_columns": any(feature.sources.all() for feature in row.features.prefetch_related("sources")),
    }
    return render(request, "features/lineage.html", context)


@require_GET
def breaks(request: HttpRequest) -> HttpResponse:
    """Pick a table, then a column; the address holds both."""
    access.require(request.user, "view")
    table = request.GET.get("table", "").strip()[:_LONGEST].replace("\0", "")
    column = request.GET.get("column", "").strip()[:_LONGEST].replace("\0", "")
    tables = tables_index()
    context = {
        "tables": tables,
        "table": table,
        "column": column,
        "columns": columns_index(table) if table else [],
        "impact": what_breaks(table, column) if table else None,
        "set_count": FeatureSet.objects.current().count(),
    }
    return render(request, "features/breaks.html", context)
