"""The EDA tab of a feature set: distributions, correlation, the target, drift by month."""

from __future__ import annotations

import csv
import uuid
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from apps.common import access
from apps.common.charting import csv_cell, month_label
from apps.features import eda_charts as charts
from apps.features.eda import (
    PsiTable,
    chosen_report,
    in_report,
    psi_of_profiles,
    psi_of_version,
    targets_for,
    versions_that_measured,
)
from apps.features.models import EdaReport, FeatureProfile, FeatureSet

#: parts of the page, one at a time: (name in the address, label)
PARTS: tuple[tuple[str, Any], ...] = (
    ("features", gettext_lazy("Distributions")),
    ("correlation", gettext_lazy("Correlation")),
    ("target", gettext_lazy("Target")),
    ("psi", gettext_lazy("PSI by month")),
)
MOST_PAIRS = 50
PSI_MONTHS = 24


@require_GET
def eda(request: HttpRequest, name: str) -> HttpResponse:
    access.require(request.user, "view")
    feature_set = _feature_set(request, name)
    part = request.GET.get("part", "")
    part = part if part in dict(PARTS) else PARTS[0][0]
    reports = list(feature_set.eda_reports.defer("report"))
    asked = request.GET
    chosen = chosen_report(
        reports,
        base_ym=asked.get("base_ym", "").replace("-", ""),
        target=asked.get("target"),
    )
    # an address that names a report which is not there shows the newest one instead of nothing
    row = chosen or chosen_report(reports)
    if asked.get("format") == "csv":
        return _csv(feature_set, row, part, asked.get("against", ""))
    context = {
        "feature_set": feature_set,
        "tab": "eda",
        "part": part,
        "parts": PARTS,
        "reports": reports,
        "row": row,
        "targets": targets_for(feature_set),
        "months": list(
            feature_set.materialisations.order_by("-base_ym").values_list("base_ym", flat=True)[:60]
        ),
        "may_start": access.may(request.user, "features.materialise") and feature_set.status == "PUBLISHED",
        "key": uuid.uuid4(),
    }
    if part == "psi":
        context |= _psi_part(feature_set, asked.get("against", ""))
    elif row is not None:
        report = row.report
        context |= {"report": report, "facts": _facts(report)}
        context |= _PARTS[part](request, feature_set, report)
    return render(request, "features/eda/page.html", context)


def _features_part(request: HttpRequest, feature_set: FeatureSet, report: dict[str, Any]) -> dict[str, Any]:
    """Every feature in a line; the one that the address names (else the first) in charts."""
    items = report["features"]
    item = in_report(items, request.GET.get("feature", "")) or (items[0] if items else None)
    if item is None:
        return {"lines": [], "item": None, "charts": []}
    profiles = FeatureProfile.objects.filter(feature__feature_set=feature_set, feature__name=item["name"])
    target = report.get("target") or {}
    return {
        "lines": [{"item": entry, "bars": charts.bins_of(entry)} for entry in items],
        "item": item,
        "known": _known(feature_set),
        "charts": charts.feature_report_charts(
            item,
            in_report(target.get("features") or [], item["name"]),
            list(profiles.order_by("base_ym")),
        ),
    }


def _correlation_part(
    request: HttpRequest, feature_set: FeatureSet, report: dict[str, Any]
) -> dict[str, Any]:
    method = request.GET.get("method", "")
    method = method if method in charts.METHODS else next(iter(charts.METHODS))
    numeric = charts.correlation_chart(report, method)
    others = [charts.category_chart(report), charts.ratio_chart(report)]
    return {
        "method": method,
        "methods": charts.METHODS,
        "main_chart": numeric,
        "size": _size(len(report["correlation"]["names"])) if numeric else "",
        "charts": [chart for chart in others if chart is not None],
        "pairs": report.get("pairs", [])[:MOST_PAIRS],
        "known": _known(feature_set),
    }


def _target_part(request: HttpRequest, feature_set: FeatureSet, report: dict[str, Any]) -> dict[str, Any]:
    target = report.get("target")
    if not target:
        return {"target": None}
    return {
        "target": target,
        "rate": target["positives"] / target["rows"] if target["rows"] else None,
        "charts": [charts.information_chart(target), charts.auc_chart(target)],
        "size": _size(min(len(target["features"]), charts.MOST_BARS)),
        "ranked": charts.ranked(target, "iv"),
        "known": _known(feature_set),
    }


def _psi_part(feature_set: FeatureSet, against: str) -> dict[str, Any]:
    """Against the first month, or against the edges of the version that the address names."""
    versions = versions_that_measured(feature_set)
    version = next((item for item in versions if str(item) == against), None)
    table = _psi_table(feature_set, version)
    return {"versions": versions, "version": version, "table": table}


def _psi_table(feature_set: FeatureSet, version: Any) -> PsiTable | None:
    if version is not None:
        return psi_of_version(version, feature_set, PSI_MONTHS)
    return psi_of_profiles(feature_set, PSI_MONTHS)


def _facts(report: dict[str, Any]) -> dict[str, Any]:
    """Figures of the strip at the head of the page."""
    items = report["features"]
    cells = sum(item["rows"] for item in items)
    strongest = max(report.get("pairs") or [], key=lambda pair: abs(pair["value"] or 0), default=None)
    target = report.get("target")
    return {
        "numeric": sum(item["dtype"] == "numeric" for item in items),
        "category": sum(item["dtype"] == "category" for item in items),
        "missing": sum(item["missing"] for item in items) / cells if cells else None,
        "emptiest": max(items, key=lambda item: item["missing"], default=None),
        "outliers": sum((item.get("outlier_share") or 0) > 0.01 for item in items),
        "strongest": strongest,
        "best": next(iter(charts.ranked(target, "iv")), None) if target else None,
    }


_PARTS = {"features": _features_part, "correlation": _correlation_part, "target": _target_part}


def _known(feature_set: FeatureSet) -> set[str]:
    """Names that have a page in the catalog: those of the current version."""
    return set(feature_set.features.values_list("name", flat=True)) if feature_set.is_current else set()


def _size(count: int) -> str:
    """How high a chart of so many lines stands: the class of the box around it."""
    return "low" if count <= 8 else "middle" if count <= 20 else "high" if count <= 50 else "highest"


def _csv(feature_set: FeatureSet, row: EdaReport | None, part: str, against: str) -> HttpResponse:
    """The part's table, every line of it."""
    if part == "psi":
        version = next((v for v in versions_that_measured(feature_set) if str(v) == against), None)
        head, lines = _psi_lines(_psi_table(feature_set, version))
    elif row is None:
        raise Http404(f"no EDA report of {feature_set}")
    else:
        head, lines = _report_lines(row.report, part)
    response = HttpResponse("\ufeff", content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{feature_set.name}-{part}.csv"'
    writer = csv.writer(response)
    writer.writerow(head)
    writer.writerows([csv_cell(value) for value in line] for line in lines)
    return response


def _psi_lines(table: PsiTable | None) -> tuple[list[str], list[list[Any]]]:
    if table is None:
        return ["feature"], []
    head = ["feature", "month", "psi", "band", "chance_95", "q", "unseen"]
    lines = [
        [name, month_label(ym), cell.value, cell.band, cell.high, cell.q, cell.unseen]
        for name, cells in table.lines
        for ym, cell in zip(table.months, cells, strict=True)
        if cell is not None
    ]
    return head, lines


def _report_lines(report: dict[str, Any], part: str) -> tuple[list[str], list[list[Any]]]:
    if part == "correlation":
        head = ["a", "b", "kind", "value", "n"]
        return head, [[pair[key] for key in head] for pair in report.get("pairs", [])]
    if part == "target":
        head = ["name", "iv", "auc", "auc_low", "auc_high"]
        target = report.get("target") or {"features": []}
        return head, [[item.get(key) for key in head] for item in charts.ranked(target, "iv")]
    head = ["name", "dtype", "rows", "missing", "distinct", "mean", "std", "minimum", "maximum"]
    points = sorted({key for item in report["features"] for key in item.get("quantiles") or {}}, key=float)
    lines = [
        [
            *(item.get(key) for key in head),
            *((item.get("quantiles") or {}).get(point) for point in points),
            item.get("outlier_share"),
        ]
        for item in report["features"]
    ]
    return [*head, *(f"q{point}" for point in points), "outlier_share"], lines


def _feature_set(request: HttpRequest, name: str) -> FeatureSet:
    """The version that the address names, else the current one, else the draft. Raises Http404."""
    rows = FeatureSet.objects.visible().with_owner().filter(name=name)
    number = request.GET.get("version", "")
    if number:
        rows = rows.filter(version=number) if number.isdecimal() and len(number) < 10 else rows.none()
    row = rows.order_by("-is_current", "-version").first()
    if row is None:
        raise Http404(_("no feature set %(name)s") % {"name": f"{name} {number}".strip()})
    return row
