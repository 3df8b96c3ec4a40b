"""Charts of an EDA report; each is made with its table by one function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from django.utils.translation import gettext as _

from apps.common.charting import Chart, Series, bar_chart, histogram_chart, month_chart
from apps.common.matrix_charts import heatmap_chart, ranking_chart
from apps.features.charts import psi_chart
from apps.features.models import FeatureProfile

Report = Mapping[str, Any]
#: more bars than that cannot be read; the table and the CSV hold all
MOST_BARS = 30
METHODS = {"pearson": "Pearson", "spearman": "Spearman"}


def correlation_chart(report: Report, method: str) -> Chart | None:
    """Similar features side by side; None where fewer than two are numeric."""
    held = report.get("correlation") or {}
    names, matrix = held.get("names") or [], held.get(method) or []
    if len(names) < 2:
        return None
    return heatmap_chart(
        "correlation",
        _("Correlation of the numeric features"),
        _("%(method)s, ordered so that similar features stand together") % {"method": METHODS[method]},
        names,
        names,
        matrix,
        row_head=_("Feature"),
        signed=True,
        note=_correlation_note(held, method),
    )


def _correlation_note(held: Mapping[str, Any], method: str) -> str:
    if method == "pearson":
        return _("Pearson sees straight relations; compare it with Spearman before a feature is left out.")
    note = _("Spearman looks at ranks only: an outlier moves it little, and a bent relation counts as well.")
    if held.get("is_sampled"):
        sampled = _("Taken on a fixed sample of %(rows)s rows.") % {"rows": f"{held['spearman_rows']:,}"}
        note = f"{note} {sampled}"
    return note


def category_chart(report: Report) -> Chart | None:
    held = report.get("categories") or {}
    names = held.get("names") or []
    if len(names) < 2:
        return None
    return heatmap_chart(
        "cramers-v",
        _("Association of the categories"),
        _("Cramér's V: 0 none, 1 one tells the other"),
        names,
        names,
        held["cramers_v"],
        row_head=_("Feature"),
        signed=False,
    )


def ratio_chart(report: Report) -> Chart | None:
    held = report.get("between") or {}
    if not held.get("numeric") or not held.get("category"):
        return None
    return heatmap_chart(
        "correlation-ratio",
        _("Numeric features by category"),
        _("correlation ratio: the share of a number's spread that the category explains, as its root"),
        held["numeric"],
        held["category"],
        held["ratio"],
        row_head=_("Feature"),
        signed=False,
    )


def information_chart(target: Mapping[str, Any]) -> Chart:
    rows = ranked(target, "iv")[:MOST_BARS]
    return ranking_chart(
        "information-value",
        _("Information value"),
        _("of each feature for the target, the strongest first"),
        [row["name"] for row in rows],
        [row["iv"] for row in rows],
        label_head=_("Feature"),
        value_head=_("Information value"),
        note=_("A value above 0.5 is more often a leak than a good feature: look at what the feature reads."),
    )


def auc_chart(target: Mapping[str, Any]) -> Chart:
    rows = [row for row in target["features"] if row.get("auc") is not None]
    # below 0.5 a feature ranks the other way round, and tells as much
    rows = sorted(rows, key=lambda row: abs(row["auc"] - 0.5), reverse=True)[:MOST_BARS]
    return ranking_chart(
        "univariate-auc",
        _("AUC of each feature alone"),
        _("of the numeric features, with its interval of 95 percent; the line at 0.5 tells nothing"),
        [row["name"] for row in rows],
        [row["auc"] for row in rows],
        label_head=_("Feature"),
        value_head="AUC",
        low=[row.get("auc_low") for row in rows],
        high=[row.get("auc_high") for row in rows],
        baseline=0.5,
    )


def ranked(target: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Features of a target by a figure, the largest first; those without it at the end."""
    return sorted(
        target["features"], key=lambda row: -1.0 if row.get(key) is None else row[key], reverse=True
    )


def feature_report_charts(
    item: Mapping[str, Any], target_item: Mapping[str, Any] | None, profiles: Sequence[FeatureProfile]
) -> list[Chart]:
    """What one feature looks like: its distribution, its target rate by bin, its months."""
    charts = [distribution_chart(item)]
    if target_item and target_item.get("bins"):
        charts.append(rate_chart(target_item))
    if len(profiles) > 1:
        charts += [trend_chart(item, profiles), psi_chart(profiles)]
    return [chart for chart in charts if chart is not None]


def distribution_chart(item: Mapping[str, Any]) -> Chart | None:
    labels, counts = bins_of(item)
    if not counts:
        return None
    rows = item["rows"] or 1
    chart = histogram_chart(
        "distribution",
        _("Distribution"),
        _("share of the %(rows)s rows") % {"rows": f"{item['rows']:,}"},
        labels,
        [Series(item["name"], [count / rows for count in counts])],
        label_head=_("Value"),
    )
    # edges of twenty bins do not fit under them
    chart.figure["layout"]["xaxis"]["nticks"] = 8
    return chart


def bins_of(item: Mapping[str, Any]) -> tuple[list[str], list[int]]:
    """Words and counts of a feature's bars: bins of a number, the top categories, the missing at the end."""
    histogram = item.get("histogram") or {}
    if edges := histogram.get("edges"):
        labels = [f"{short(low)} – {short(high)}" for low, high in pairwise(edges)]
        counts = list(histogram["counts"])
    else:
        top = item.get("top") or []
        labels = [_("(missing)") if entry["value"] is None else str(entry["value"]) for entry in top]
        counts = [entry["count"] for entry in top]
    return labels, counts


def rate_chart(target_item: Mapping[str, Any]) -> Chart:
    bins = target_item["bins"]
    return bar_chart(
        "target-rate",
        _("Target rate by bin"),
        _("share of ones among the rows of each bin"),
        [str(entry["label"]) for entry in bins],
        [Series(_("Target rate"), [entry.get("rate") for entry in bins])],
        label_head=_("Bin"),
        percent=True,
        digits=1,
    )


def trend_chart(item: Mapping[str, Any], profiles: Sequence[FeatureProfile]) -> Chart:
    """Mean of a number, distinct values of a category, by month."""
    months = [profile.base_ym for profile in profiles]
    if item["dtype"] == "numeric":
        return month_chart(
            "trend",
            _("Mean"),
            _("by month"),
            months,
            [Series(_("Mean"), [profile.mean for profile in profiles])],
        )
    return month_chart(
        "trend",
        _("Distinct values"),
        _("by month"),
        months,
        [Series(_("Distinct values"), [profile.distinct for profile in profiles])],
        digits=0,
        from_zero=True,
    )


def short(value: float) -> str:
    """A bin's edge in few characters: 1.2M, 340k, 12.5."""
    size = abs(value)
    for limit, word in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= limit:
            return f"{value / (1e3 if word == 'k' else limit):.3g}{word}"
    return f"{value:.4g}"
