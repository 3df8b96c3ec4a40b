"""Champion against challenger on the same customers of the same months, and the gates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlopslib.comparison import MonthScores, compare_models
from mlopslib.definition import ModelSpec
from mlopslib.metrics.psi import PsiReference
from mlopslib.oot import fair_months, plan_months
from mlopslib.package.read import ModelPackage, read_package
from mlopslib.scoring import load_scorer
from mlopslib.steps.base import StepContext, StepResult
from mlopslib.steps.changes import span, what_changed
from mlopslib.steps.gates import judge
from mlopslib.steps.tables import champion_columns, champion_of, get_frame, get_json, input_columns, spec_of

_CHALLENGER = "the challenger"


def run(ctx: StepContext) -> StepResult:
    """Artefact ``comparison``: the report with score PSI by month, gates and what changed.

    Without a champion (a model's first version) only the gates on its own figures are judged.
    """
    spec = spec_of(ctx)
    oot = get_json(ctx, "oot_report")
    champion = champion_of(ctx)
    if champion is None:
        return _first_version(ctx, spec, oot)
    frozen, champion_spec = champion
    challenger_package = read_package(ctx.artifacts, ctx.inputs["package"].sha256)
    champion_package = read_package(ctx.artifacts, frozen["package_sha256"])
    ctx.progress(0, 3, f"Scoring with {frozen['label']}")
    scores = get_frame(ctx, "scores")
    scores["champion"] = _champion_scores(ctx, scores, champion_package, spec, champion_spec)
    ctx.progress(1, 3, "Comparing on the fair months")
    report = _report(ctx, spec, scores, frozen, champion_spec, challenger_package)
    report["score_psi"] = {
        "champion": _psi_by_month(scores, "champion", champion_package),
        "challenger": _psi_by_month(scores, "score", challenger_package),
    }
    gates = judge(
        spec.gates, evaluations=oot["evaluations"], feature_psi=oot["feature_psi"], comparison=report
    )
    report["gates"] = gates
    report["what_changed"] = what_changed(
        champion_spec, spec, facts=_facts(champion_package, challenger_package)
    )
    ctx.log(report["sentence"])
    _log_gates(ctx, gates)
    ctx.progress(3, 3, "")
    return StepResult(
        summary=f"{report['sentence']} {_gates_words(gates)}",
        metrics={"verdict": report["verdict"], "sentence": report["sentence"], "gates": gates},
        artifacts={"comparison": ctx.artifacts.put_json(report)},
    )


def _first_version(ctx: StepContext, spec: ModelSpec, oot: Mapping[str, Any]) -> StepResult:
    gates = judge(spec.gates, evaluations=oot["evaluations"], feature_psi=oot["feature_psi"], comparison=None)
    _log_gates(ctx, gates)
    pooled = next((row for row in oot["evaluations"] if row["base_ym"] == ""), None)
    report = {"champion": None, "gates": gates, "figures": oot["evaluations"], "pooled_oot": pooled}
    ctx.progress(1, 1, "")
    return StepResult(
        summary=f"The first version: there is no champion to compare with. {_gates_words(gates)}",
        metrics={"verdict": None, "sentence": "", "gates": gates},
        artifacts={"comparison": ctx.artifacts.put_json(report)},
    )


def _champion_scores(
    ctx: StepContext,
    scores: pd.DataFrame,
    package: ModelPackage,
    spec: ModelSpec,
    champion_spec: ModelSpec,
) -> npt.NDArray[np.float64]:
    """The champion's scores of exactly the rows that the challenger was scored on."""
    prepared = get_frame(ctx, "prepared").set_index([spec.entity_key, "base_ym"])
    rows = prepared.loc[pd.MultiIndex.from_frame(scores[[spec.entity_key, "base_ym"]])]
    names = champion_columns(spec, champion_spec)
    return load_scorer(package).score_columns(input_columns(rows, names, champion_spec.features))


def _report(
    ctx: StepContext,
    spec: ModelSpec,
    scores: pd.DataFrame,
    frozen: Mapping[str, Any],
    champion_spec: ModelSpec,
    challenger_package: ModelPackage,
) -> dict[str, Any]:
    plan = plan_months(ctx.base_ym, spec.windows)
    candidates = fair_months(
        [*plan.embargo, *plan.oot, *plan.recent],
        champion_train=frozen["train_months"],
        challenger_train=challenger_package.manifest["train_months"],
        windows=spec.windows,
        at_base_ym=ctx.base_ym,
        champion_performance_months=champion_spec.windows.performance_months,
    )
    excluded = dict(candidates.excluded)
    fair = [ym for ym in candidates.fair if ym in plan.oot]
    # a longer embargo than the labels need leaves months out that nothing else would
    excluded |= dict.fromkeys(set(candidates.fair) - set(fair), "kept out by the embargo of the definition")
    for ym, reason in sorted(excluded.items()):
        ctx.log(f"{ym} is left out: {reason}")
    months = {ym: _month_scores(scores[scores["base_ym"] == ym], spec.entity_key) for ym in fair}
    report = compare_models(
        months,
        margin_auc=spec.margin_auc,
        excluded=excluded,
        champion_label=frozen["label"],
        challenger_label=_CHALLENGER,
        seed=spec.seed,
    )
    content = report.to_dict()
    content["sentence"] = content["sentence"][0].upper() + content["sentence"][1:]
    return content


def _month_scores(rows: pd.DataFrame, entity_key: str) -> MonthScores:
    return MonthScores(
        entity=rows[entity_key].to_numpy(dtype=object),
        target=rows["target"].to_numpy(dtype=np.float64),
        champion=rows["champion"].to_numpy(dtype=np.float64),
        challenger=rows["score"].to_numpy(dtype=np.float64),
    )


def _psi_by_month(scores: pd.DataFrame, column: str, package: ModelPackage) -> dict[str, float]:
    """Against the reference that was frozen with that model."""
    reference = PsiReference.from_dict(package.reference["score"])
    return {
        str(ym): reference.psi(rows[column].to_numpy(dtype=np.float64)).value
        for ym, rows in scores.groupby("base_ym", sort=True)
    }


def _facts(champion: ModelPackage, challenger: ModelPackage) -> dict[str, tuple[Any, Any]]:
    def rows(package: ModelPackage) -> int:
        # every input's reference counts each development row once
        first = next(iter(package.reference["inputs"].values()))
        return sum(first["reference_counts"])

    def months(package: ModelPackage, name: str) -> str:
        return span(package.manifest[name])

    return {
        "base month": (champion.manifest["base_ym"], challenger.manifest["base_ym"]),
        "training months": (months(champion, "train_months"), months(challenger, "train_months")),
        "OOT months": (months(champion, "oot_months"), months(challenger, "oot_months")),
        "development rows": (rows(champion), rows(challenger)),
    }


def _log_gates(ctx: StepContext, gates: list[dict[str, Any]]) -> None:
    for gate in gates:
        mark = {True: "passed", False: "FAILED", None: "not measured"}[gate["passed"]]
        ctx.log(f"{mark}: {gate['sentence']}")


def _gates_words(gates: list[dict[str, Any]]) -> str:
    failed = [gate["name"] for gate in gates if gate["passed"] is not True]
    if not failed:
        return f"All {len(gates)} gates passed."
    return f"{len(gates) - len(failed)} of {len(gates)} gates passed; not {', '.join(failed)}."
