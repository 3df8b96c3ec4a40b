"""Prove of base months that a feature set does not read the future."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mlopslib.dates import validate_ym
from mlopslib.errors import DefinitionInvalid, InvalidInput
from mlopslib.leakproof import LeakProofResult, prove
from mlopslib.steps.base import StepContext, StepResult


def run(ctx: StepContext) -> StepResult:
    """The future-poison test for each of the run's ``months``; ``timeless`` as the author declared.

    Metrics ``proofs``: one entry for each month. A leak does not fail the step: it is what was asked.
    """
    if len(ctx.feature_sets) != 1:
        raise DefinitionInvalid(
            f"a leak proof has one feature set, not {len(ctx.feature_sets)}", field="feature_set"
        )
    feature_set = ctx.feature_sets[0]
    months = [validate_ym(str(ym)) for ym in ctx.params.get("months") or (ctx.base_ym,)]
    labels = [_label(item) for item in ctx.params.get("labels") or ()]
    proofs: list[dict[str, Any]] = []
    for number, ym in enumerate(dict.fromkeys(months)):

        def tell(done: float, total: float, text: str, number: int = number, ym: str = ym) -> None:
            # raises when the run is cancelled
            ctx.progress(number + done / total, len(months), f"{ym}: {text}" if text else "")

        result = prove(
            ctx.store,
            feature_set,
            ym,
            timeless=dict(ctx.params.get("timeless") or {}),
            labels=labels,
            on_progress=tell,
        )
        ctx.log(f"{ym} {result.outcome}: {result.sentence}")
        _log_poisons(ctx, result)
        proofs.append({"base_ym": ym, **result.to_dict()})
    ctx.progress(len(months), len(months), "")
    return StepResult(
        summary=f"{feature_set.name} v{feature_set.version}: {_summary(proofs)}", metrics={"proofs": proofs}
    )


def _label(item: Any) -> tuple[str, str]:
    table, _, column = item.rpartition(".") if isinstance(item, str) else (item[0], ".", item[1])
    if not table or not column:
        raise InvalidInput(f"{item!r} is not a label: write it as table.column", field="labels")
    return str(table), str(column)


def _log_poisons(ctx: StepContext, result: LeakProofResult) -> None:
    for table, kinds in result.poisoned.items():
        words = ", ".join(f"{count:,} {_WORDS[kind]}" for kind, count in kinds.items() if count)
        ctx.log(f"  {table}: {words or 'nothing to poison'}")
    for item in result.differences:
        example = item["example"]
        ctx.log(
            f"  {item['feature']} moved for {item['entities']:,} entities: "
            f"{example['entity']} was {example['before']}, became {example['after']}"
        )


_WORDS = {
    "changed": "rows changed",
    "added": "rows added",
    "removed": "rows removed",
    "later": "known rows changed in what they say of later days",
}


def _summary(proofs: list[dict[str, Any]]) -> str:
    count = Counter(item["outcome"] for item in proofs)
    parts = []
    if count["LEAK"]:
        months = ", ".join(item["base_ym"] for item in proofs if item["outcome"] == "LEAK")
        parts.append(f"reads the future of {months}")
    if count["PROVED"]:
        parts.append(f"proved for {count['PROVED']} of {len(proofs)} base months")
    if count["UNDECIDED"]:
        parts.append(f"undecided for {count['UNDECIDED']}")
    return "; ".join(parts)
