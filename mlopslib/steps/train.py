"""Train the booster, with early stopping on customers that it does not learn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mlopslib.package.pipeline import as_category
from mlopslib.steps.base import StepContext, StepResult
from mlopslib.steps.tables import get_frame, get_json, share_of, spec_of
from mlopslib.training import STOPPING_SHARE, fit_booster

#: points kept of the training curve
_CURVE_POINTS = 200


def run(ctx: StepContext) -> StepResult:
    """Artefacts: ``booster`` (LightGBM's text) and ``training`` (parameters, curve, importance)."""
    spec = spec_of(ctx)
    prepared = get_frame(ctx, "prepared")
    train = prepared[(prepared["part"] == "train") & prepared["target"].notna()]
    contract = get_json(ctx, "preparation")["contract"]
    frame = booster_frame(train, contract)
    target = train["target"].to_numpy(dtype=np.float64)
    stopping = share_of(train[spec.entity_key], salt=f"stop:{spec.seed}") < STOPPING_SHARE
    ctx.log(f"learning from {int((~stopping).sum()):,} rows, stopping by {int(stopping.sum()):,}")

    def on_round(done: int, total: int, figures: Mapping[str, float]) -> None:
        auc = f", AUC {figures['auc']:.4f} on the stopping rows" if "auc" in figures else ""
        ctx.progress(done, total, f"Round {done}{auc}")
        if done % 25 == 0:
            ctx.log(f"round {done}{auc}")

    fitted = fit_booster(frame, target, stopping, params=spec.params, seed=spec.seed, on_round=on_round)
    strongest = sorted(fitted.importance.items(), key=lambda item: -item[1])
    ctx.log("most gain: " + ", ".join(name for name, _ in strongest[:5]))
    every = max(1, -(-len(fitted.history) // _CURVE_POINTS))
    training = {
        "algorithm": spec.algorithm,
        "params": fitted.params,
        "iterations": fitted.iterations,
        "rows": len(train),
        "stopping_rows": int(stopping.sum()),
        "positives": int(target.sum()),
        "curve": fitted.history[::every],
        "importance": fitted.importance,
    }
    return StepResult(
        summary=f"{fitted.iterations} trees from {len(train):,} rows; strongest: {strongest[0][0]}",
        metrics={"iterations": fitted.iterations, "rows": len(train), "positives": int(target.sum())},
        artifacts={
            "booster": ctx.artifacts.put_bytes(fitted.text.encode(), "txt"),
            "training": ctx.artifacts.put_json(training),
        },
    )


def booster_frame(prepared: pd.DataFrame, contract: Mapping[str, Any]) -> pd.DataFrame:
    """The booster's columns in order, from prepared rows that already hold the derived variables."""
    return pd.DataFrame(
        {
            column["name"]: as_category(prepared[column["name"]].to_numpy(dtype=object), column["categories"])
            if column["type"] == "category"
            else prepared[column["name"]].to_numpy(dtype=np.float64)
            for column in contract["model_columns"]
        }
    )
