"""What the page of a version shows of its model card, its package and its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from apps.common.charting import Chart
from apps.models import charts
from apps.models.changes import span
from apps.models.models import Evaluation, ModelVersion
from mlopslib.artifacts import ArtifactStore
from mlopslib.errors import GijunError


@dataclass(frozen=True)
class PackageFile:
    name: str
    sha256: str
    size: int | None


@dataclass(frozen=True)
class Package:
    """The files that the hash of the version stands for; `problem` where they cannot be read."""

    files: Sequence[PackageFile]
    problem: str = ""


@dataclass(frozen=True)
class Figures:
    """Evaluations of a version in the order in which they are read: TRAIN, TEST, OOT, production."""

    pooled: Sequence[Evaluation]
    oot_months: Sequence[Evaluation]

    def of(self, dataset: str) -> Evaluation | None:
        return next((row for row in self.pooled if row.dataset == dataset), None)

    @property
    def measured(self) -> Evaluation | None:
        """The figures to look at first: OOT, else TEST."""
        return self.of("OOT") or self.of("TEST")


def figures_of(version: ModelVersion) -> Figures:
    order = ["TRAIN", "TEST", "OOT"]
    rows = list(version.evaluations.evidence())
    pooled = sorted((row for row in rows if not row.base_ym), key=lambda row: order.index(row.dataset))
    months = [row for row in rows if row.dataset == "OOT" and row.base_ym]
    return Figures(pooled, sorted(months, key=lambda row: row.base_ym))


def parity_sentence(version: ModelVersion) -> str:
    """The proof of the package in one line; empty where the card has none."""
    parity = version.card.get("parity") or {}
    if not parity.get("rows"):
        return ""
    return _("%(paths)s paths, %(rows)s rows, max difference %(difference)s") % {
        "paths": len(parity.get("engines") or version.card.get("engines") or ()),
        "rows": f"{parity['rows']:,}",
        "difference": f"{parity.get('max_difference', 0):.1e}",
    }


def package_of(version: ModelVersion) -> Package:
    try:
        manifest = ArtifactStore(settings.ARTIFACT_ROOT).read_json(version.package_sha256)
    except (GijunError, ValueError) as error:
        return Package([], str(error))
    files = manifest.get("files", {}) if isinstance(manifest, Mapping) else {}
    return Package(
        [PackageFile(name, item["sha256"], item.get("size")) for name, item in sorted(files.items())]
    )


def package_json(version: ModelVersion, name: str) -> Any:
    """A JSON file of the package, checked against its hash; None where it cannot be read."""
    store = ArtifactStore(settings.ARTIFACT_ROOT)
    try:
        manifest = store.read_json(version.package_sha256)
        return store.read_json(manifest["files"][name]["sha256"])
    except (GijunError, ValueError, KeyError, TypeError):
        return None


@dataclass(frozen=True)
class Period:
    train: str
    oot: str
    rows: Sequence[tuple[str, int]]


def period_of(version: ModelVersion) -> Period:
    """Months and rows that the version was trained and judged on."""
    names = {"train": _("Train"), "test": _("Test"), "oot": "OOT"}
    rows = version.card.get("rows")
    counts = rows if isinstance(rows, Mapping) else {}
    return Period(
        train=span(version.card.get("train_months") or []),
        oot=span(version.card.get("oot_months") or []),
        rows=[(word, counts[key]) for key, word in names.items() if key in counts],
    )


def charts_of(version: ModelVersion, figures: Figures) -> list[Chart]:
    found: list[Chart] = []
    gates = version.spec.gates
    mature = [row for row in figures.oot_months if row.positives is not None]
    if mature:
        found.append(charts.evaluation_auc(mature, floor=gates.min_oot_auc, title=_("Out-of-time AUC")))
    best = figures.measured
    if best is not None and charts.lift_rows(best):
        found.append(charts.version_lift(charts.lift_rows(best), subtitle=best.dataset, label=version.label))
    if best is not None and best.details.get("calibration"):
        found.append(charts.calibration(best.details["calibration"], subtitle=best.dataset))
    return found
