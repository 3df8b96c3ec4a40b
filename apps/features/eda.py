"""Reads of what EDA and profiles found, for the pages and the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.common.charting import psi_band
from apps.features.models import EdaReport, FeatureProfile, FeatureSet

#: a q-value below it: more than chance, at one false alarm in twenty flagged features
FALSE_ALARMS = 0.05


@dataclass(frozen=True)
class PsiCell:
    """PSI of one feature in one month, with what chance alone would give."""

    value: float | None
    high: float | None
    q: float | None
    unseen: int | None = None
    missing_share: float | None = None
    is_reference: bool = False

    @property
    def band(self) -> str:
        return psi_band(self.value)

    @property
    def is_more_than_chance(self) -> bool:
        """By the q-value over the set's features; by the sampling band where none was computed."""
        if self.value is None:
            return False
        if self.q is not None:
            return self.q < FALSE_ALARMS
        return self.high is not None and self.value > self.high


@dataclass(frozen=True)
class PsiTable:
    """Features by months. `reference` names what the PSI is against."""

    months: list[str]
    lines: list[tuple[str, list[PsiCell | None]]]
    reference: str
    #: names of the lines that the catalog knows as features of the set
    known: frozenset[str] = frozenset()

    @property
    def flagged(self) -> int:
        """Features that moved more than chance in the newest month."""
        return sum(bool(cells and cells[-1] and cells[-1].is_more_than_chance) for _name, cells in self.lines)


def psi_of_profiles(feature_set: FeatureSet, months: int) -> PsiTable | None:
    """PSI of every feature by month against the set's first month; None where no month is profiled."""
    rows = list(
        FeatureProfile.objects.filter(feature__feature_set=feature_set)
        .select_related("feature")
        .only(
            *("base_ym", "rows", "missing", "psi", "psi_high", "psi_q", "unseen", "histogram"),
            *("feature__name", "feature__position"),
        )
        .order_by("feature__position", "feature__name", "base_ym")
    )
    if not rows:
        return None
    shown = sorted({row.base_ym for row in rows})[-months:]
    newest = max(rows, key=lambda row: row.base_ym)
    reference = newest.histogram.get("reference_ym") or shown[0]
    cells: dict[str, dict[str, PsiCell]] = {}
    for row in rows:
        cells.setdefault(row.feature.name, {})[row.base_ym] = PsiCell(
            row.psi,
            row.psi_high,
            row.psi_q,
            row.unseen,
            row.missing_share,
            is_reference=row.base_ym == row.histogram.get("reference_ym"),
        )
    lines = [(name, [found.get(ym) for ym in shown]) for name, found in cells.items()]
    return PsiTable(shown, lines, reference, frozenset(cells))


def psi_of_version(version: Any, feature_set: FeatureSet, months: int) -> PsiTable | None:
    """PSI of the set's features against the edges that a model version froze."""
    taken = version.definition["features"]
    names = [ref["column"] for ref in taken if ref["feature_set"] == feature_set.name]
    rows = list(version.feature_drifts.filter(feature__in=names).order_by("base_ym"))
    if not rows:
        return None
    shown = sorted({row.base_ym for row in rows})[-months:]
    cells: dict[str, dict[str, PsiCell]] = {}
    for row in rows:
        cells.setdefault(row.feature, {})[row.base_ym] = PsiCell(row.psi, row.details.get("high"), None)
    lines = [(name, [cells[name].get(ym) for ym in shown]) for name in names if name in cells]
    return PsiTable(shown, lines, str(version), frozenset(names))


def versions_that_measured(feature_set: FeatureSet) -> list[Any]:
    """Champions of the models that use the set: each froze edges of its own."""
    models = feature_set.registered_models.prefetch_related("versions")
    found = [version for model in models for version in model.versions.all() if version.stage == "CHAMPION"]
    return sorted(found, key=str)


def targets_for(feature_set: FeatureSet) -> list[str]:
    """Models with a target for the same entity key: what features can be held against."""
    rows = FeatureSet.objects.filter(
        entity_key=feature_set.entity_key, registered_models__isnull=False
    ).order_by("registered_models__name")
    return list(dict.fromkeys(rows.values_list("registered_models__name", flat=True)))


def chosen_report(
    reports: Sequence[EdaReport], *, base_ym: str = "", target: str | None = None
) -> EdaReport | None:
    """The report that the address names; the newest where it names none, with a target before one without."""
    found = [row for row in reports if not base_ym or row.base_ym == base_ym]
    if target is not None:
        found = [row for row in found if row.target_label == target]
    return max(found, key=lambda row: (row.base_ym, bool(row.target_label), row.created_at), default=None)


def in_report(items: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    return next((item for item in items if item["name"] == name), None)
