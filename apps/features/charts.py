"""Charts of the feature pages; each is made with its table by one function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _

from apps.common.charting import Chart, Series, histogram_chart, month_chart, month_label
from apps.features.models import Feature, FeatureProfile
from mlopslib.dates import month_range


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


class _Months:
    """Every month from the first profile to the last: a month that was not measured is a gap."""

    def __init__(self, profiles: Sequence[FeatureProfile]) -> None:
        self.months = month_range(profiles[0].base_ym, profiles[-1].base_ym)
        self._by_month = {profile.base_ym: profile for profile in profiles}

    def values(self, read: Callable[[FeatureProfile], Any]) -> list[Any]:
        found = (self._by_month.get(month) for month in self.months)
        return [None if profile is None else read(profile) for profile in found]


def psi_chart(profiles: Sequence[FeatureProfile]) -> Chart:
    """PSI by month with what two samples of these sizes give when nothing has moved."""
    axis = _Months(profiles)
    reference = next((p.histogram.get("reference_ym") for p in profiles if p.histogram), "")
    psi = axis.values(lambda p: p.psi)
    high = axis.values(lambda p: p.psi_high)
    q_values = axis.values(lambda p: p.psi_q)
    measured = any(value is not None for value in high)
    series = [Series("PSI", psi)]
    if measured:
        low = [None if value is None else 0.0 for value in high]
        series.insert(0, Series(_("no change, 95 %"), high, "quiet", low, high))
    chart = month_chart(
        "psi",
        _("PSI"),
        _("against %(month)s, by month") % {"month": month_label(reference or profiles[0].base_ym)},
        axis.months,
        series,
        psi_bands=True,
        note=_("The grey band is where 95 of 100 months lie when nothing has moved.") if measured else "",
    )
    if not measured:
        return chart
    head = [_("Month"), "PSI", _("no change, 95 %"), _("q-value")]
    rows = zip(map(month_label, axis.months), psi, high, q_values, strict=True)
    return replace(chart, head=head, rows=[list(row) for row in rows])


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
    axis = _Months(profiles)
    return month_chart(
        "missing",
        _("Missing"),
        _("share of rows, by month"),
        axis.months,
        [Series(_("Missing"), axis.values(lambda p: p.missing_share))],
        percent=True,
        from_zero=True,
        digits=4,
    )


def mean_chart(profiles: Sequence[FeatureProfile]) -> Chart:
    axis = _Months(profiles)
    return month_chart(
        "mean",
        _("Mean"),
        _("by month"),
        axis.months,
        [Series(_("Mean"), axis.values(lambda p: p.mean))],
    )


def distinct_chart(profiles: Sequence[FeatureProfile]) -> Chart:
    axis = _Months(profiles)
    return month_chart(
        "distinct",
        _("Distinct values"),
        _("by month"),
        axis.months,
        [Series(_("Distinct values"), axis.values(lambda p: p.distinct))],
        digits=0,
        from_zero=True,
    )
