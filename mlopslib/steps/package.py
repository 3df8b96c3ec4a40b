"""Build the model package and prove that every way of scoring it agrees."""

from __future__ import annotations

import numpy as np

from mlopslib.package.build import PackageSource, build_package
from mlopslib.steps.base import StepContext, StepResult
from mlopslib.steps.tables import get_frame, get_json, get_text, own_columns, spec_of

#: real rows among which golden rows are drawn
_SAMPLE = 5000


def run(ctx: StepContext) -> StepResult:
    """Artefacts: ``package`` (the manifest; its hash is the version's identity), ``parity`` (the proof)."""
    spec = spec_of(ctx)
    prepared = get_frame(ctx, "prepared")
    development = prepared[prepared["part"].isin(["train", "test"])]
    # whatever the contract allows: a row that lacks what training never lacked cannot be golden
    contract = get_json(ctx, "preparation")["contract"]
    required = [item["name"] for item in contract["inputs"] if not item["nullable"]]
    allowed = development.dropna(subset=required)
    picked = np.random.default_rng(spec.seed).choice(
        len(allowed), size=min(_SAMPLE, len(allowed)), replace=False
    )
    later = prepared[prepared["part"] == "oot"]
    source = PackageSource(
        spec=spec,
        base_ym=ctx.base_ym,
        booster_text=get_text(ctx, "booster"),
        contract=contract,
        sample=own_columns(allowed.iloc[np.sort(picked)], spec),
        reference=get_json(ctx, "reference"),
        train_months=sorted(development["base_ym"].unique()),
        oot_months=sorted(later["base_ym"].unique()),
    )

    def on_progress(share: float, text: str) -> None:
        ctx.progress(share, 1, text)
        ctx.log(text)

    manifest, report = build_package(ctx.artifacts, source, workdir=ctx.workdir, on_progress=on_progress)
    return StepResult(
        summary=f"Package {manifest.sha256[:12]}: {report.sentence}",
        metrics={"package_sha256": manifest.sha256, "parity": report.to_dict()},
        artifacts={"package": manifest, "parity": ctx.artifacts.put_json(report.to_dict())},
    )
