"""Write the model card; the portal makes the version from it."""

from __future__ import annotations

from typing import Any

from mlopslib.package.read import read_package
from mlopslib.steps.base import StepContext, StepResult
from mlopslib.steps.tables import get_json, spec_of


def run(ctx: StepContext) -> StepResult:
    """Artefact ``model_card``: what a person must know of the version to judge it."""
    spec = spec_of(ctx)
    ctx.progress(0, 1, "Reading the package")
    package = read_package(ctx.artifacts, ctx.inputs["package"].sha256)
    training, parity = get_json(ctx, "training"), get_json(ctx, "parity")
    data, oot = get_json(ctx, "data_report"), get_json(ctx, "oot_report")
    pooled = next(row for row in oot["evaluations"] if row["base_ym"] == "")
    rows = {
        part: sum(month["rows"] for month in data["months"] if month["part"] == part)
        for part in ("train", "oot", "recent")
    }
    card: dict[str, Any] = {
        "model": spec.name,
        "algorithm": spec.algorithm,
        "base_ym": ctx.base_ym,
        "train_months": list(package.manifest["train_months"]),
        "oot_months": list(package.manifest["oot_months"]),
        "rows": rows,
        "training": {name: training[name] for name in ("params", "iterations", "rows", "stopping_rows")},
        "curve": training["curve"],
        "importance": training["importance"],
        "inputs": package.contract["inputs"],
        "derived": package.contract["derived"],
        "parity": parity,
        "engines": parity["engines"],
        "package": {"sha256": package.sha256, "files": package.manifest["files"]},
        "warnings": data["warnings"],
        "seed": spec.seed,
    }
    ctx.progress(1, 1, "")
    size = f"{len(card['inputs'])} inputs, {training['iterations']} trees"
    auc = f"OOT AUC {pooled['auc']:.3f}" if pooled["auc"] is not None else "no OOT figures"
    return StepResult(
        summary=f"Candidate of {ctx.base_ym}: {auc}, {size}",
        metrics={"package_sha256": package.sha256},
        artifacts={"model_card": ctx.artifacts.put_json(card)},
    )
