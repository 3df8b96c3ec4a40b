"""Charts of the feature pages; each is made with its table by one function."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from apps.common.charting import Chart, Series, histogram_chart, month_chart, month_label
from apps.features.models import Feature, FeatureProfile


def feature_charts(feature: Feature, profiles: Sequence[FeatureProfile]) -> list[Chart]:
    """PSI, distribution, missing share and (for numbers) the mean, over the profiled months."""
    if not profiles:
        return []
    charts = [psi_chart(profiles), missing_chart(profiles)]
    if distribution := distribution_chart(profiles):
        charts.insert(1, distribution)
    if feature.dtype == Feature.Dtype.NUMERIC:
        charts.append(mean_chart(profiles))
    else:
        charts.append(distinct_chart(profiles))
    return charts


def psi_chart(profiles: Sequence[FeatureProfile]) -> Chart:
    reference = next((p.histogram.get("reference_ym") for p in profiles if p.histogram), "")
    return month_chart(
        "psi",
        _("PSI"),
        _("against %(month)s, by month") % {"month": month_label(reference or profiles[0].base_ym)},
        [p.base_ym for p in profiles],
        [Series("PSI", [p.psi for p in profiles])],
        psi_bands=True,
    )


def distribution_chart(profiles: Sequence[FeatureProfile]) -> Chart | None:
    """Shares of the PSI bins: the reference month beside the newest."""
    newest = next((p for p in reversed(profiles) if p.histogram.get("shares")), None)
    if newest is None:
        return None
    labels = [str(label) for label in newest.histogram["labels"]]
    reference_ym = newest.histogram.get("reference_ym", "")
    reference = next((p for p in profiles if p.base_ym == reference_ym and p.pk != newest.pk), None)
    series = [Series(month_label(newest.base_ym), newest.histogram["shares"], "challenger")]
    if reference is not None and reference.histogram.get("labels") == newest.histogram["labels"]:
        series.insert(0, Series(month_label(reference_ym), reference.histogram["shares"], "champion"))
    return histogram_chart(
        "distribution",
        _("Distribution"),
        " / ".join(item.name for item in series),
        labels,
        series,
        label_head=_("Bin"),
    )


def missing_chart(profiles: Sequence[FeatureProfile]) -> Chart:
    return month_chart(
        "missing",
        _("Missing"),
        _("share of rows, by month"),
        [p.base_ym for p in profiles],
        [Series(_("Missing"), [p.missing / p.rows if p.rows else None for p in profiles])],
        percent=True,
        from_zero=True,
        digits=4,
    )


def mean_chart(profiles: Sequence[FeatureProfile]) -> Chart:
    return month_chart(
        "mean",
        _("Mean"),
        _("by month"),
        [p.base_ym for p in profiles],
        [Series(_("Mean"), [p.mean for p in profiles])],
    )


def distinct_chart(profiles: Sequence[FeatureProfile]) -> Chart:
    return month_chart(
        "distinct",
        _("Distinct values"),
        _("by month"),
        [p.base_ym for p in profiles],
        [Series(_("Distinct values"), [p.distinct for p in profiles])],
        digits=0,
        from_zero=True,
    )
