"""Look at the data before anything is trained on it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mlopslib.errors import DataError
from mlopslib.steps.base import StepContext, StepResult
from mlopslib.steps.tables import get_frame, spec_of

#: more levels than this are an identifier, not a category
MAX_LEVELS = 1000
_PARTS = ("train", "oot", "recent")


def run(ctx: StepContext) -> StepResult:
    """Artefact ``data_report``: rows and responders by month, each input's missing share by part, warnings.

    Raises DataError for an input that no training row holds, or a category with too many levels.
    """
    spec = spec_of(ctx)
    frame = get_frame(ctx, "dataset")
    parts = {part: frame[frame["part"] == part] for part in _PARTS}
    features = []
    for number, ref in enumerate(spec.features):
        ctx.progress(number, len(spec.features), ref.column)
        features.append(_feature(ref.column, ref.dtype, parts))
    warnings = _row_warnings(frame, spec.gates.min_rows, spec.gates.min_positives)
    warnings += [warning for feature in features for warning in feature["warnings"]]
    for warning in warnings:
        ctx.log(f"warning: {warning}")
    report = {"months": _months(frame), "features": features, "warnings": warnings}
    found = "1 warning" if len(warnings) == 1 else f"{len(warnings) or 'no'} warnings"
    ctx.progress(1, 1, "")
    return StepResult(
        summary=f"{len(features)} inputs checked in {len(frame):,} rows: {found}",
        metrics={"warnings": warnings, "features": len(features)},
        artifacts={"data_report": ctx.artifacts.put_json(report)},
    )


def _feature(name: str, dtype: str, parts: dict[str, pd.DataFrame]) -> dict[str, Any]:
    train = parts["train"][name]
    missing = {
        part: float(frame[name].isna().mean()) if len(frame) else None for part, frame in parts.items()
    }
    distinct = int(train.nunique())
    if distinct == 0:
        raise DataError(
            f"{name} is missing in every training row: take it out, or fill it for those months", field=name
        )
    if dtype == "category" and distinct > MAX_LEVELS:
        raise DataError(
            f"{name} has {distinct:,} levels, at most {MAX_LEVELS:,} may be: group them in the query",
            field=name,
        )
    warnings = []
    if distinct == 1:
        warnings.append(f"{name} has one value in all training rows: the model cannot use it")
    for part in ("oot", "recent"):
        before, now = missing["train"] or 0.0, missing[part]
        if now is not None and before == 0.0 and now > 0.0:
            warnings.append(f"{name} is missing in {now:.1%} of the {part} rows and in no training row")
        elif now is not None and now > before + 0.2:
            warnings.append(f"{name} is missing in {now:.1%} of the {part} rows, {before:.1%} in training")
    return {"name": name, "dtype": dtype, "missing": missing, "distinct": distinct, "warnings": warnings}


def _months(frame: pd.DataFrame) -> list[dict[str, Any]]:
    months = []
    for (ym, part), rows in frame.groupby(["base_ym", "part"], sort=True):
        known = rows["target"].notna()
        months.append(
            {
                "base_ym": ym,
                "part": part,
                "rows": len(rows),
                "with_target": int(known.sum()),
                "positives": int(rows["target"].sum()) if known.any() else None,
            }
        )
    return months


def _row_warnings(frame: pd.DataFrame, min_rows: int, min_positives: int) -> list[str]:
    warnings = []
    for part in ("train", "oot"):
        target = frame.loc[frame["part"] == part, "target"]
        rows, positives = int(target.notna().sum()), int(target.sum())
        if rows < min_rows:
            warnings.append(f"{rows:,} {part} rows have a target, the gate asks for {min_rows:,}")
        if positives < min_positives:
            warnings.append(f"{positives:,} {part} rows respond, the gate asks for {min_positives:,}")
        if rows < len(target):
            warnings.append(f"{len(target) - rows:,} {part} rows have no target: scored, not measured")
    return warnings
