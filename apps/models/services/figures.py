"""What pipeline steps found about versions, kept as rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from apps.common.audit import record
from apps.models.models import Comparison, Evaluation, FeatureDrift, ModelVersion, RegisteredModel
from apps.models.services.catalog import check_sha256
from mlopslib.dates import validate_ym
from mlopslib.errors import InvalidInput

_FIGURES = ("rows", "positives", "auc", "auc_low", "auc_high", "ks", "lift_at_10", "score_psi", "details")


def record_evaluations(*, version: ModelVersion, evaluations: Sequence[Mapping[str, Any]]) -> None:
    """Keep figures by data set and month; measured again, they replace the earlier ones."""
    rows = [_evaluation(version, item) for item in evaluations]
    with transaction.atomic():
        lock(version)
        Evaluation.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["version", "dataset", "base_ym"],
            update_fields=[*_FIGURES, "updated_at"],
        )


def _evaluation(version: ModelVersion, item: Mapping[str, Any]) -> Evaluation:
    if item["dataset"] not in Evaluation.Dataset.values:
        raise InvalidInput(
            f"{item['dataset']!r} is not a data set; there are {', '.join(Evaluation.Dataset.values)}",
            field="dataset",
        )
    base_ym = item.get("base_ym") or ""
    if base_ym:
        validate_ym(base_ym)
    figures = {name: item.get(name) for name in _FIGURES}
    figures["details"] = figures["details"] or {}
    for name, value in figures.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidInput(
                f"{name} of {item['dataset']} {base_ym} is not a number: leave it out", field=name
            )
    return Evaluation(version=version, dataset=item["dataset"], base_ym=base_ym, **figures)


def record_feature_psi(*, version: ModelVersion, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep the PSI of inputs by month; measured again, it replaces the earlier one."""
    drifts = [
        FeatureDrift(
            version=version,
            base_ym=validate_ym(row["base_ym"]),
            feature=row["feature"],
            psi=row["psi"],
            details=row.get("details") or {},
        )
        for row in rows
        if row.get("psi") is not None
    ]
    FeatureDrift.objects.bulk_create(
        drifts,
        batch_size=500,
        update_conflicts=True,
        unique_fields=["version", "base_ym", "feature"],
        update_fields=["psi", "details", "updated_at"],
    )


def record_comparison(
    *,
    registered_model: RegisteredModel,
    champion: ModelVersion,
    challenger: ModelVersion,
    base_ym: str,
    report: Mapping[str, Any],
    report_sha256: str,
) -> Comparison:
    """Keep what the compare step found of a challenger."""
    validate_ym(base_ym)
    check_sha256(report_sha256, field="report_sha256")
    if {champion.registered_model_id, challenger.registered_model_id} != {registered_model.pk}:
        raise InvalidInput(f"both versions of a comparison belong to {registered_model}", field="challenger")
    if champion.pk == challenger.pk:
        raise InvalidInput("a version is not compared with itself", field="challenger")
    if report.get("verdict") not in Comparison.Verdict.values:
        raise InvalidInput(
            f"{report.get('verdict')!r} is not a verdict; there are {', '.join(Comparison.Verdict.values)}",
            field="verdict",
        )
    with transaction.atomic():
        comparison = Comparison.objects.create(
            registered_model=registered_model,
            champion=champion,
            challenger=challenger,
            base_ym=base_ym,
            verdict=report["verdict"],
            sentence=report.get("sentence", ""),
            report=dict(report),
            report_sha256=report_sha256,
        )
        record(
            None,
            "comparison.recorded",
            comparison,
            verdict=comparison.verdict,
            report_sha256=report_sha256,
            champion=champion.label,
            challenger=challenger.label,
        )
    return comparison


def lock(version: ModelVersion) -> ModelVersion:
    """The version as it stands, held until the transaction ends: new figures and a decision wait in line."""
    return (
        ModelVersion.objects.select_for_update(of=("self",))
        .select_related("registered_model")
        .get(pk=version.pk)
    )
