"""How far scores and inputs have moved since training, and how the version does where labels are complete."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlopslib.metrics.psi import PsiReference
from mlopslib.package.read import read_package
from mlopslib.steps.base import StepContext, StepResult
from mlopslib.steps.figures import evaluation, feature_drift
from mlopslib.steps.tables import get_frame, own_columns, spec_of

#: the habitual bands of PSI: watch, act
WATCH, ACT = 0.1, 0.25


def run(ctx: StepContext) -> StepResult:
    """Evaluations PRODUCTION and feature PSI by month, against the references frozen with the version.

    Artefact ``monitoring``.
    """
    spec = spec_of(ctx)
    reference = read_package(ctx.artifacts, ctx.params["package_sha256"]).reference
    score_reference = PsiReference.from_dict(reference["score"])
    scores, dataset = get_frame(ctx, "scores"), get_frame(ctx, "dataset")
    months = sorted(scores["base_ym"].unique())
    evaluations, drift = [], []
    for number, ym in enumerate(months):
        ctx.progress(number, len(months), f"Measuring {ym}")
        rows = scores[scores["base_ym"] == ym]
        row = evaluation(
            "PRODUCTION",
            ym,
            rows["score"].to_numpy(dtype=np.float64),
            rows["target"].to_numpy(dtype=np.float64),
            reference=score_reference,
        )
        evaluations.append(row)
        drift += feature_drift(ym, reference["inputs"], own_columns(dataset[dataset["base_ym"] == ym], spec))
        ctx.log(_words(row))
    crossed = [row for row in drift if band(row["psi"]) != "stable"]
    for row in sorted(crossed, key=lambda item: -item["psi"]):
        ctx.log(f"{row['base_ym']}: PSI of {row['feature']} is {row['psi']:.3f} ({band(row['psi'])})")
    ctx.progress(len(months), len(months), "")
    report = {"evaluations": evaluations, "feature_psi": drift}
    return StepResult(
        summary=_summary(evaluations, drift),
        metrics=report,
        artifacts={"monitoring": ctx.artifacts.put_json(report)},
    )


def band(psi: float) -> str:
    """The habitual word for a PSI.

    >>> band(0.05), band(0.1), band(0.3)
    ('stable', 'watch', 'act')
    """
    if psi < WATCH:
        return "stable"
    return "watch" if psi < ACT else "act"


def _words(row: dict[str, Any]) -> str:
    psi = f"{row['base_ym']}: score PSI {row['score_psi']:.3f} ({band(row['score_psi'])})"
    if row["auc"] is None:
        return psi
    return f"{psi}, AUC {row['auc']:.3f}, lift at 10% {row['lift_at_10']:.2f}"


def _summary(evaluations: list[dict[str, Any]], drift: list[dict[str, Any]]) -> str:
    worst = max(drift, key=lambda row: row["psi"])
    words = "; ".join(_words(row) for row in evaluations)
    return (
        f"{words}. Feature that moved most: {worst['feature']}, PSI {worst['psi']:.3f} in {worst['base_ym']}"
    )
