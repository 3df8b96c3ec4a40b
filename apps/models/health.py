"""How a version fares month by month: what is measured, and what cannot be measured yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apps.common.charting import psi_band
from apps.models.models import Evaluation, ModelVersion
from mlopslib.dates import add_months
from mlopslib.oot import is_mature

#: months that the feature table shows
SHOWN_MONTHS = 6
#: inputs that are shown before somebody asks for all
SHOWN_FEATURES = 8


@dataclass(frozen=True)
class DriftCell:
    psi: float | None
    band: str


@dataclass(frozen=True)
class DriftLine:
    feature: str
    cells: Sequence[DriftCell]


@dataclass(frozen=True)
class DriftTable:
    """PSI of each input, newest month last, worst input of that month first."""

    months: Sequence[str]
    lines: Sequence[DriftLine]

    @property
    def worst(self) -> tuple[str, DriftCell] | None:
        """The input that moved most in the newest month."""
        return (self.lines[0].feature, self.lines[0].cells[-1]) if self.lines else None

    @property
    def shown(self) -> Sequence[DriftLine]:
        return self.lines[:SHOWN_FEATURES]

    @property
    def rest(self) -> Sequence[DriftLine]:
        return self.lines[SHOWN_FEATURES:]


@dataclass(frozen=True)
class Health:
    """All months of a version outside of its training, oldest first."""

    months: Sequence[Evaluation]

    @property
    def mature(self) -> list[Evaluation]:
        return [month for month in self.months if month.positives is not None]

    @property
    def immature(self) -> list[Evaluation]:
        return [month for month in self.months if month.positives is None]

    def unmeasured(self, version: ModelVersion) -> list[Evaluation]:
        """Months whose labels have come in since, and that no monitoring run has looked at again."""
        latest, windows = self.months[-1:], version.spec.windows
        return [
            month
            for month in self.immature
            if latest and is_mature(month.base_ym, latest[0].base_ym, windows)
        ]

    @property
    def latest(self) -> Evaluation | None:
        return self.months[-1] if self.months else None

    @property
    def latest_mature(self) -> Evaluation | None:
        mature = self.mature
        return mature[-1] if mature else None

    @property
    def band(self) -> str:
        return psi_band(self.latest.score_psi) if self.latest is not None else ""


def health_of(version: ModelVersion) -> Health:
    """OOT months and months in production; where a month has both, production is the later word."""
    rows = version.evaluations.filter(
        dataset__in=[Evaluation.Dataset.OOT, Evaluation.Dataset.PRODUCTION]
    ).exclude(base_ym="")
    by_month: dict[str, Evaluation] = {}
    for row in rows.defer("details").order_by("base_ym", "dataset"):  # OOT sorts before PRODUCTION
        by_month[row.base_ym] = row
    return Health(list(by_month.values()))


def complete_after(version: ModelVersion, base_ym: str) -> str:
    """The month after whose end the labels of `base_ym` are complete."""
    windows = version.spec.windows
    return add_months(base_ym, windows.performance_months + windows.data_lag_months)


def drift_table(version: ModelVersion, *, months: int = SHOWN_MONTHS) -> DriftTable:
    newest = list(
        version.feature_drifts.order_by("-base_ym").values_list("base_ym", flat=True).distinct()[:months]
    )
    shown = sorted(newest)
    psi: dict[str, dict[str, float]] = {}
    rows = version.feature_drifts.filter(base_ym__in=shown).order_by()
    for feature, base_ym, value in rows.values_list("feature", "base_ym", "psi"):
        psi.setdefault(feature, {})[base_ym] = value
    last = shown[-1] if shown else ""
    names = sorted(psi, key=lambda name: (-psi[name].get(last, -1.0), name))
    lines = [
        DriftLine(name, [DriftCell(psi[name].get(month), psi_band(psi[name].get(month))) for month in shown])
        for name in names
    ]
    return DriftTable(shown, lines)
