"""The figures of versions and comparisons; each function gives the plot and the table of one thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from apps.common.charting import Chart, Limit, Series, bar_chart, month_chart, month_label
from apps.models.models import Evaluation, ModelVersion
from apps.models.report import figure_of, months_of, psi_series

Report = Mapping[str, Any]


def names_of(champion: ModelVersion | None, challenger: ModelVersion) -> dict[str, str]:
    """How charts and tables call the two."""
    return {
        "champion": _("%s champion") % champion.label if champion is not None else "",
        "challenger": _("%s challenger") % challenger.label,
    }


def oot_auc(report: Report, *, champion: str, challenger: str, floor: float | None) -> Chart:
    """AUC of both on each fair month; the challenger's 95% interval as a band."""
    months = months_of(report)
    return month_chart(
        "oot-auc",
        _("Out-of-time AUC"),
        # xgettext:no-python-format
        _("by month, 95% interval"),
        months,
        [
            Series(champion, _figures(report, "auc_champion"), "champion"),
            Series(
                challenger,
                _figures(report, "auc_challenger"),
                "challenger",
                low=_figures(report, "auc_challenger", "low"),
                high=_figures(report, "auc_challenger", "high"),
            ),
        ],
        limits=_floor(floor, _figures(report, "auc_champion") + _figures(report, "auc_challenger")),
    )


def auc_difference(report: Report, *, champion: str, challenger: str) -> Chart:
    """What the challenger gains over the champion on the same rows, month by month (paired DeLong)."""
    return month_chart(
        "auc-difference",
        _("AUC gain"),
        _("%(challenger)s minus %(champion)s, paired 95%% interval")
        % {"challenger": challenger, "champion": champion},
        months_of(report),
        [
            Series(
                _("AUC gain"),
                _figures(report, "auc_difference"),
                "challenger",
                low=_figures(report, "auc_difference", "low"),
                high=_figures(report, "auc_difference", "high"),
            )
        ],
        limits=[Limit(0.0, _("no difference"), "quiet")],
        note=_("A month whose band holds zero cannot tell the two apart on its own."),
    )


def both_by_month(
    report: Report, key: str, title: str, *, champion: str, challenger: str, digits: int = 3
) -> Chart:
    """KS or lift of both on each fair month."""
    return month_chart(
        f"{key}-by-month",
        title,
        _("by month"),
        months_of(report),
        [
            Series(champion, _figures(report, f"{key}_champion"), "champion"),
            Series(challenger, _figures(report, f"{key}_challenger"), "challenger"),
        ],
        digits=digits,
    )


def score_psi(report: Report, *, champion: str, challenger: str) -> Chart:
    """How far each model's scores stand from its own development sample."""
    psi = psi_series(report)
    months = sorted(set(psi["champion"]) | set(psi["challenger"]))
    return month_chart(
        "score-psi",
        _("Score PSI"),
        _("against training, by month"),
        months,
        [
            Series(champion, [psi["champion"].get(month) for month in months], "champion"),
            Series(challenger, [psi["challenger"].get(month) for month in months], "challenger"),
        ],
        psi_bands=True,
    )


def decile_lift(report: Report, *, champion: str, challenger: str) -> Chart:
    """Responders in each tenth of customers, best scores first, as a multiple of the average."""
    deciles = report.get("deciles") or {}
    months = months_of(report)
    period = f"{month_label(months[0])} – {month_label(months[-1])}" if months else ""
    return _lift_bars(
        period,
        [
            (champion, "champion", deciles.get("champion") or []),
            (challenger, "challenger", deciles.get("challenger") or []),
        ],
    )


def version_lift(rows: Sequence[Mapping[str, Any]], *, subtitle: str, label: str) -> Chart:
    return _lift_bars(subtitle, [(label, "challenger", rows)])


def _lift_bars(subtitle: str, sides: Sequence[tuple[str, Any, Sequence[Mapping[str, Any]]]]) -> Chart:
    count = max((len(rows) for _label, _role, rows in sides), default=0)
    return bar_chart(
        "decile-lift",
        _("Lift by decile"),
        subtitle,
        [f"D{number}" for number in range(1, count + 1)],
        [Series(label, _lifts(rows, count), role) for label, role, rows in sides],
        label_head=_("Decile"),
        baseline=1.0,
    )


def _lifts(rows: Sequence[Mapping[str, Any]], count: int) -> list[float | None]:
    lifts: list[float | None] = [row.get("lift") for row in rows]
    return lifts + [None] * (count - len(lifts))


def evaluation_auc(evaluations: Sequence[Evaluation], *, floor: float | None, title: str = "") -> Chart:
    """AUC of one version on its mature months; a month without labels is a gap, not a zero."""
    values = [row.auc for row in evaluations]
    return month_chart(
        "auc-by-month",
        title or _("AUC"),
        # xgettext:no-python-format
        _("mature, 95% interval"),
        [row.base_ym for row in evaluations],
        [
            Series(
                _("AUC"),
                values,
                "challenger",
                low=[row.auc_low for row in evaluations],
                high=[row.auc_high for row in evaluations],
            )
        ],
        limits=_floor(floor, values),
    )


def evaluation_lift(evaluations: Sequence[Evaluation], *, floor: float | None) -> Chart:
    values = [row.lift_at_10 for row in evaluations]
    return month_chart(
        "lift-by-month",
        _("Lift, top decile"),
        _("mature months"),
        [row.base_ym for row in evaluations],
        [Series(_("Lift"), values, "challenger")],
        limits=_floor(floor, values),
        digits=2,
    )


def evaluation_psi(evaluations: Sequence[Evaluation]) -> Chart:
    """Score PSI of one version month by month; it needs no labels, so every month is there."""
    return month_chart(
        "psi-by-month",
        _("Score PSI"),
        _("against training, by month"),
        [row.base_ym for row in evaluations],
        [Series(_("Score PSI"), [row.score_psi for row in evaluations], "challenger")],
        psi_bands=True,
    )


def _figures(report: Report, key: str, part: str = "value") -> list[float | None]:
    values: list[float | None] = []
    for month in report.get("months") or []:
        figure = month.get(key)
        if part == "value":
            values.append(figure_of(figure))
        else:
            values.append(figure.get(part) if isinstance(figure, Mapping) else None)
    return values


def _floor(floor: float | None, values: Sequence[float | None]) -> list[Limit]:
    """The gate's line, left out where it lies so far below that it would flatten the curve."""
    present = [value for value in values if value is not None]
    if floor is None or not present:
        return []
    spread = max(max(present) - min(present), 0.02 * max(present))
    if min(present) - floor > 4 * spread:
        return []
    return [Limit(floor, _("floor %s") % f"{floor:.2f}", "watch")]


def lift_rows(evaluation: Evaluation | None) -> Sequence[Mapping[str, Any]]:
    return (evaluation.details.get("deciles") or []) if evaluation is not None else []


def calibration(rows: Sequence[Mapping[str, Any]], *, subtitle: str) -> Chart:
    """Predicted beside observed rate in groups of equal size, from the lowest score to the highest."""
    return bar_chart(
        "calibration",
        _("Calibration"),
        subtitle,
        [str(number) for number in range(1, len(rows) + 1)],
        [
            Series(_("mean score"), [row.get("mean_score") for row in rows], "champion"),
            Series(_("response"), [row.get("rate") for row in rows], "challenger"),
        ],
        label_head=_("Group"),
        percent=True,
        digits=1,
    )
