"""Figures on months later than every training label, and how far scores and inputs have moved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mlopslib.metrics.psi import PsiReference
from mlopslib.package.build import build_reference
from mlopslib.scoring import NativeScorer
from mlopslib.steps.base import StepContext, StepResult
from mlopslib.steps.figures import evaluation, feature_drift
from mlopslib.steps.tables import get_frame, get_json, get_text, own_columns, put_frame, spec_of


def run(ctx: StepContext) -> StepResult:
    """Artefacts: ``scores`` (OOT and recent rows), ``oot_report``, ``reference`` (frozen in the package).

    Months without labels yet are scored and their PSI is taken; they are not measured.
    """
    spec = spec_of(ctx)
    prepared = get_frame(ctx, "prepared")
    contract = get_json(ctx, "preparation")["contract"]
    scorer = NativeScorer(contract, get_text(ctx, "booster"))
    development = prepared[prepared["part"].isin(["train", "test"])]
    held_out = development[development["part"] == "test"]
    ctx.progress(0, 1, "Freezing the references")
    held_out = held_out if len(held_out) else development
    reference = build_reference(
        contract, own_columns(development, spec), scorer.score_columns(own_columns(held_out, spec))
    )

    later = prepared[prepared["part"].isin(["oot", "recent"])]
    months = sorted(later["base_ym"].unique())
    score_reference = PsiReference.from_dict(reference["score"])
    evaluations, drift, scored = [], [], []
    for number, ym in enumerate(months):
        ctx.progress(number, len(months), f"Scoring {ym}")
        frame = later[later["base_ym"] == ym]
        inputs = own_columns(frame, spec)
        part = scored_rows(frame, spec.entity_key, scorer.score_columns(inputs))
        scored.append(part)
        row = evaluation("OOT", ym, *_pair(part), reference=score_reference)
        evaluations.append(row)
        drift += feature_drift(ym, reference["inputs"], inputs)
        ctx.log(f"{ym}: {_words(row)}")
    scores = pd.concat(scored, ignore_index=True)
    oot = scores[scores["part"] == "oot"]
    entity = oot[spec.entity_key].to_numpy(dtype=object)
    pooled = evaluation("OOT", "", *_pair(oot), reference=score_reference, entity=entity)
    evaluations.append(pooled)
    ctx.log(f"all OOT months: {_words(pooled)}")
    ctx.progress(len(months), len(months), "")
    report = {"evaluations": evaluations, "feature_psi": drift}
    return StepResult(
        summary=f"OOT {_words(pooled)}",
        metrics=report,
        artifacts={
            "scores": put_frame(ctx, scores, "scores"),
            "oot_report": ctx.artifacts.put_json(report),
            "reference": ctx.artifacts.put_json(reference),
        },
    )


def scored_rows(frame: pd.DataFrame, entity_key: str, score: np.ndarray[Any, Any]) -> pd.DataFrame:
    return frame[[entity_key, "base_ym", "part", "target"]].assign(score=score)


def _pair(frame: pd.DataFrame) -> tuple[Any, Any]:
    return frame["score"].to_numpy(dtype=np.float64), frame["target"].to_numpy(dtype=np.float64)


def _words(row: dict[str, Any]) -> str:
    psi = f"score PSI {row['score_psi']:.3f}"
    if row["auc"] is None:
        return f"{row['rows']:,} rows without both classes, {psi}"
    interval = f"(95% {row['auc_low']:.3f} to {row['auc_high']:.3f})"
    return f"AUC {row['auc']:.3f} {interval}, lift at 10% {row['lift_at_10']:.2f}, {psi}"
