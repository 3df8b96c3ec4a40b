"""What a review and a comparison show, as plain values: figures, changes, months in words.

Nothing here decides anything: gates and verdicts were made by the compare step and are shown as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.common.charting import PSI_ACT, PSI_WATCH, month_label, psi_band
from apps.models.models import Evaluation, FeatureDrift, ModelVersion
from apps.models.report import figure_of, plain, psi_series, signed
from mlopslib.definition import Gates

Tone = Literal["", "good", "watch", "act"]


@dataclass(frozen=True)
class Kpi:
    """One cell of the strip: the challenger's figure, its change, and what the limit says.

    `tone` is of the limit, `change_tone` of the change: green where it is better for the bank, coloured
    by the limit where it is worse and the limit minds, neutral where it is worse and inside the limit.
    """

    label: str
    value: str
    change: str = ""
    change_tone: Tone = ""
    before: str = ""
    tone: Tone = ""
    limit: str = ""


@dataclass(frozen=True)
class DriftRow:
    feature: str
    psi: float | None
    before: float | None
    gain: float | None
    is_new: bool
    tone: Tone

    @property
    def bar_tone(self) -> str:
        """A stable bar stays grey: only what needs a look has a colour."""
        return "" if self.tone == "good" else self.tone


@dataclass(frozen=True)
class Evidence:
    """The figures of one version, beside those of the champion where there is one."""

    version: ModelVersion
    champion: ModelVersion | None
    report: Mapping[str, Any]
    gates: Gates
    oot: Evaluation | None
    drift: Sequence[FeatureDrift]
    champion_drift: Sequence[FeatureDrift]


def psi_tone(value: float | None) -> Tone:
    tones: dict[str, Tone] = {"": "", "stable": "good", "watch": "watch", "act": "act"}
    return tones[psi_band(value)]


def gather(*, version: ModelVersion, champion: ModelVersion | None, report: Mapping[str, Any]) -> Evidence:
    """Read what was known of both versions at the challenger's base month, not what was measured since."""
    pooled = version.evaluations.filter(dataset=Evaluation.Dataset.OOT, base_ym="").first()
    drift = latest_drift(version, up_to=version.base_ym)
    month = drift[0].base_ym if drift else version.base_ym
    return Evidence(
        version=version,
        champion=champion,
        report=report,
        gates=version.spec.gates,
        oot=pooled,
        drift=drift,
        champion_drift=latest_drift(champion, up_to=month) if champion is not None else [],
    )


def latest_drift(version: ModelVersion, *, up_to: str) -> list[FeatureDrift]:
    """Feature PSI of the newest month that has any not after `up_to`, worst first."""
    rows = version.feature_drifts.filter(base_ym__lte=up_to).order_by("-base_ym")
    newest = rows.values("base_ym")[:1]
    newest_rows = version.feature_drifts.defer("details").filter(base_ym__in=newest)
    return list(newest_rows.order_by("-psi", "feature"))


def kpis(evidence: Evidence) -> list[Kpi]:
    """The strip on top of a review: five figures, and the gain over the champion where there is one."""
    gates = evidence.gates
    cells = [
        _ranking(evidence, _("OOT AUC"), "auc", 3, gates.min_oot_auc),
        _ranking(evidence, _("KS"), "ks", 3, None),
        _ranking(evidence, _("Lift, top decile"), "lift10", 2, gates.min_lift_at_10, unit="×"),
        _score_psi(evidence),
        _worst_feature(evidence),
    ]
    if evidence.report.get("pooled"):
        cells.append(_gain(evidence))
    elif evidence.oot is not None:
        cells.append(_responders(evidence.oot, gates))
    return cells


def _ranking(
    evidence: Evidence, label: str, key: str, digits: int, floor: float | None, unit: str = ""
) -> Kpi:
    """A figure where more is better."""
    value, before = _pair(evidence, key)
    tone: Tone = ""
    limit = _("no limit set")
    if value is None:
        limit = _("not measured")
    elif floor is not None:
        tone = "good" if value >= floor else "act"
        limit = (_("passes ≥ %s") if tone == "good" else _("below %s")) % f"{floor:.2f}"
    change, change_tone = _change(value, before, digits, tone, up_is_good=True)
    beside = _from(before, digits, unit)
    if key == "auc" and before is None:
        beside = _interval_of(evidence.oot)
    return Kpi(label, plain(value, digits, unit), change, change_tone, beside, tone, limit)


def _interval_of(pooled: Evaluation | None) -> str:
    if pooled is None or pooled.auc_low is None or pooled.auc_high is None:
        return ""
    return f"95% {plain(pooled.auc_low)}–{plain(pooled.auc_high)}"


def _pair(evidence: Evidence, key: str) -> tuple[float | None, float | None]:
    if pooled := evidence.report.get("pooled"):
        return figure_of(pooled.get(f"{key}_challenger")), figure_of(pooled.get(f"{key}_champion"))
    row = evidence.oot
    if row is None:
        return None, None
    return {"auc": row.auc, "ks": row.ks, "lift10": row.lift_at_10}[key], None


def _score_psi(evidence: Evidence) -> Kpi:
    series = psi_series(evidence.report)
    months = sorted(month for month, value in series["challenger"].items() if value is not None)
    if not months:
        value = evidence.oot.score_psi if evidence.oot is not None else None
        return _psi_cell(_("Score PSI"), value, None, evidence.gates.max_score_psi)
    month = months[-1]
    return _psi_cell(
        _("Score PSI, %s") % month_label(month),
        series["challenger"][month],
        series["champion"].get(month),
        evidence.gates.max_score_psi,
    )


def _worst_feature(evidence: Evidence) -> Kpi:
    worst = evidence.drift[0].psi if evidence.drift else None
    before = evidence.champion_drift[0].psi if evidence.champion_drift else None
    return _psi_cell(_("Worst feature PSI"), worst, before, evidence.gates.max_feature_psi)


def _psi_cell(label: str, value: float | None, before: float | None, most: float | None) -> Kpi:
    """A PSI: the habit's 0.10 says watch, the gate's limit (or 0.25) says act."""
    act = PSI_ACT if most is None else most
    tone = psi_tone(value)
    if value is not None and value > act:
        tone = "act"
    limits = {
        "": _("not measured"),
        "good": _("passes < %s") % f"{PSI_WATCH:.2f}",
        "watch": _("watch limit %s") % f"{PSI_WATCH:.2f}",
        "act": _("act limit %s") % f"{act:.2f}",
    }
    change, change_tone = _change(value, before, 3, tone, up_is_good=False)
    return Kpi(label, plain(value), change, change_tone, _from(before, 3), tone, limits[tone])


def _gain(evidence: Evidence) -> Kpi:
    """The pooled difference with its interval, against the margin that was fixed beforehand."""
    label = _("AUC gain, interval")
    difference = evidence.report["pooled"].get("auc_difference") or {}
    value, low, high = (difference.get(key) for key in ("value", "low", "high"))
    margin = evidence.version.spec.margin_auc
    if value is None or low is None or high is None:
        return Kpi(label, "–", limit=_("not measured"))
    tone: Tone = "good"
    limit = _("interval above 0") if low > 0 else _("loses at most %s") % f"{margin:g}"
    if low <= -margin:
        tone = "act" if high < 0 else "watch"
        limit = _("interval below 0") if high < 0 else _("may lose %s") % f"{margin:g}"
    interval = _("%(low)s to %(high)s") % {"low": signed(low), "high": signed(high)}
    return Kpi(label, signed(value), before=interval, tone=tone, limit=limit)


def _responders(pooled: Evaluation, gates: Gates) -> Kpi:
    positives = pooled.positives or 0
    return Kpi(
        label=_("OOT responders"),
        value=f"{positives:,}",
        before=_("of %s rows") % f"{pooled.rows:,}",
        tone="good" if positives >= gates.min_positives else "act",
        limit=_("needs %s") % f"{gates.min_positives:,}",
    )


def _change(
    value: float | None, before: float | None, digits: int, tone: Tone, *, up_is_good: bool
) -> tuple[str, Tone]:
    if value is None or before is None:
        return "", ""
    change = round(value - before, digits)
    better = change != 0 and (change > 0) == up_is_good
    minds: Tone = tone if tone in {"watch", "act"} and change != 0 else ""
    return signed(change, digits), "good" if better else minds


def _from(before: float | None, digits: int, unit: str = "") -> str:
    return "" if before is None else _("from %s") % plain(before, digits, unit)


@dataclass(frozen=True)
class GateRow:
    """A gate as the rail shows it: what it asks, what was found, and the whole sentence."""

    state: Literal["pass", "warn", "fail"]
    title: str
    sentence: str
    figure: str


#: name of a gate -> what it asks; %s is its limit
_GATES: dict[str, Any] = {
    "max_score_psi": gettext_lazy("Score PSI at most %s"),
    "max_feature_psi": gettext_lazy("Feature PSI at most %s"),
    "min_oot_auc": gettext_lazy("OOT AUC at least %s"),
    "min_lift_at_10": gettext_lazy("Lift, top decile, at least %s"),
    "max_auc_drop": gettext_lazy("AUC loss at most %s"),
    "min_rows": gettext_lazy("OOT rows at least %s"),
    "min_positives": gettext_lazy("OOT responders at least %s"),
}


def gate_rows(gates: Sequence[Mapping[str, Any]]) -> list[GateRow]:
    """Those that need a word first, then the rest in their order."""
    rows = [
        GateRow(
            state="pass" if gate.get("passed") is True else "fail" if gate.get("passed") is False else "warn",
            title=_gate_title(gate),
            sentence=str(gate.get("sentence") or gate.get("name", "")),
            figure=_gate_figure(gate.get("figure")),
        )
        for gate in gates
    ]
    return sorted(rows, key=lambda row: ("fail", "warn", "pass").index(row.state))


def _gate_title(gate: Mapping[str, Any]) -> str:
    name, limit = str(gate.get("name", "")), gate.get("limit")
    if name in _GATES and limit is not None:
        return str(_GATES[name]) % (f"{limit:,}" if isinstance(limit, int) else f"{limit:g}")
    return name.replace("_", " ").capitalize()


def _gate_figure(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or float(value).is_integer():
        return f"{value:,.0f}"
    return plain(value).replace("-", "−")


def drift_rows(evidence: Evidence) -> list[DriftRow]:
    """Inputs of the version, worst PSI first, with their share of the gain."""
    importance = importance_shares(evidence.version)
    psi = {row.feature: row.psi for row in evidence.drift}
    before = {row.feature: row.psi for row in evidence.champion_drift}
    known = input_names(evidence.champion) if evidence.champion is not None else set()
    names = sorted(set(psi) | set(importance), key=lambda name: (-psi.get(name, -1.0), name))
    return [
        DriftRow(
            feature=name,
            psi=psi.get(name),
            before=before.get(name),
            gain=importance.get(name),
            is_new=bool(known) and name not in known,
            tone=psi_tone(psi.get(name)),
        )
        for name in names
    ]


def importance_shares(version: ModelVersion) -> dict[str, float]:
    """Share of the total gain by model column, largest first."""
    gains = version.card.get("importance") or {}
    total = sum(gains.values())
    if not total:
        return {}
    return {name: gain / total for name, gain in sorted(gains.items(), key=lambda item: -item[1])}


def input_names(version: ModelVersion) -> set[str]:
    spec = version.spec
    return {ref.column for ref in spec.features} | {item.name for item in spec.derived}


@dataclass(frozen=True)
class Bar:
    """A name with its share of the whole; `width` is per cent of the largest, for the drawing."""

    name: str
    share: float
    width: float


def importance_bars(version: ModelVersion) -> list[Bar]:
    shares = importance_shares(version)
    largest = max(shares.values(), default=0.0)
    return [Bar(name, share, round(100 * share / largest, 1)) for name, share in shares.items()]
