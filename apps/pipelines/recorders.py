"""What a step's result means for the catalog: rows written in the transaction that commits the step.

A recorder is a function of the run, the step and its metrics. Steps without one only leave artefacts,
metrics and a summary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings

from apps.common.access import may
from apps.common.audit import record
from apps.features.models import FeatureSet
from apps.features.records import record_eda, record_materialisation, record_proof, record_publication
from apps.models.models import Comparison, ModelVersion
from apps.models.services import (
    evidence_of,
    record_comparison,
    record_evaluations,
    record_feature_psi,
    register_version,
    request_review,
)
from apps.pipelines.errors import ResultInvalid
from apps.pipelines.models import Artifact, PipelineRun, StepRun
from mlopslib.artifacts import ArtifactStore
from mlopslib.errors import Conflict

Metrics = Mapping[str, Any]
Recorder = Callable[[PipelineRun, StepRun, Metrics], None]

#: verdicts that ask for a review by themselves, by the pipeline's policy
_ASKS = {
    "always": frozenset(Comparison.Verdict.values),
    "not_worse": frozenset({Comparison.Verdict.BETTER, Comparison.Verdict.NOT_WORSE}),
    "better": frozenset({Comparison.Verdict.BETTER}),
    "never": frozenset(),
}
DEFAULT_POLICY = {"request_review": "not_worse"}
POLICIES = tuple(_ASKS)


def record_result(run: PipelineRun, step: StepRun, metrics: Metrics) -> None:
    """Let the step's recorder write its rows, where it has one."""
    recorder = RECORDERS.get(step.name)
    if recorder is not None:
        recorder(run, step, metrics)


def record_partial(run: PipelineRun, step: StepRun, metrics: Metrics) -> None:
    """Write the rows of what is finished already, where the step's kind of result allows it."""
    recorder = PARTIAL_RECORDERS.get(step.name)
    if recorder is not None:
        recorder(run, step, metrics)


def _register(run: PipelineRun, step: StepRun, metrics: Metrics) -> None:
    """A ModelVersion, with the figures that the steps before it had found."""
    version = register_version(
        registered_model=run.pipeline.registered_model,
        author=run.requested_by or run.pipeline.owner,
        base_ym=run.base_ym,
        package_sha256=_artifact(run, "package").sha256,
        definition=run.params["definition"],
        card=_read_json(_artifact(run, "model_card")),
    )
    PipelineRun.objects.filter(pk=run.pk).update(version=version)
    run.version = version
    for earlier in run.steps.filter(position__lt=step.position).order_by("position"):
        _record_figures(version, earlier.metrics)
    _record_figures(version, metrics)


def _compare(run: PipelineRun, step: StepRun, metrics: Metrics) -> None:
    """A Comparison, where there was a champion; a request for review, where the policy says so."""
    version = run.version
    if version is None:
        raise ResultInvalid("the compare step needs a version that the register step of the same run made")
    _record_figures(version, metrics)
    comparison = None
    if metrics.get("verdict") is not None:
        comparison = _record_comparison(run, version)
    gates = metrics.get("gates") or []
    if _asks_for_review(run, metrics.get("verdict")):
        _request_review(run, version, comparison, gates)


def _record_comparison(run: PipelineRun, version: ModelVersion) -> Comparison:
    artifact = _artifact(run, "comparison")
    champion = version.registered_model.versions.get(number=run.params["champion"]["version"])
    return record_comparison(
        registered_model=version.registered_model,
        champion=champion,
        challenger=version,
        base_ym=run.base_ym,
        report=_read_json(artifact),
        report_sha256=artifact.sha256,
    )


def _asks_for_review(run: PipelineRun, verdict: str | None) -> bool:
    policy = run.pipeline.policy.get("request_review", DEFAULT_POLICY["request_review"])
    if verdict is None:
        # a model's first version has no champion to be compared with: a person must look at it
        return policy != "never"
    return verdict in _ASKS[policy]


def _request_review(
    run: PipelineRun, version: ModelVersion, comparison: Comparison | None, gates: list[dict[str, Any]]
) -> None:
    # None is the system on behalf of the version's author: who started the run, or owns the pipeline
    requester = run.requested_by if may(run.requested_by, "reviews.request") else None
    try:
        request_review(
            actor=requester,
            version=version,
            comparison=comparison,
            gates=gates,
            evidence_sha256=evidence_of(version, comparison, gates),
            reason=comparison.sentence if comparison else "",
        )
    except Conflict as error:
        # another version became champion meanwhile: the result stands, the request does not
        record(None, "review.not_requested", version, reason=error.message)


def _monitor(run: PipelineRun, step: StepRun, metrics: Metrics) -> None:
    version = run.pipeline.registered_model.versions.get(number=run.params["version"])
    _record_figures(version, metrics)


def _extract(run: PipelineRun, step: StepRun, metrics: Metrics) -> None:
    """Months that a training or monitoring run made because they were not in the store."""
    by_set: dict[tuple[str, int], list[Any]] = {}
    for month in metrics.get("materialised") or ():
        by_set.setdefault((month["feature_set"], month["version"]), []).append(month)
    for feature_set in FeatureSet.objects.pinned(list(by_set)):
        record_materialisation(feature_set=feature_set, months=by_set[feature_set.name, feature_set.version])


def _materialise(run: PipelineRun, step: StepRun, metrics: Metrics) -> None:
    # a month without profiles was recorded by an earlier attempt; who made it again since then is right
    months = [month for month in metrics["months"] if "profiles" in month]
    record_materialisation(feature_set=run.pipeline.feature_set, months=months)


def _prove(run: PipelineRun, step: StepRun, metrics: Metrics) -> None:
    feature_set = run.pipeline.feature_set
    if run.params["feature_sets"][0]["sql"] != feature_set.sql:
        # a draft that was edited while its proof ran: the proof is of a query that is no longer there
        record(None, "feature_set.proof_outdated", feature_set, run=run.pk)
        return
    record_proof(feature_set=feature_set, proofs=metrics["proofs"])


def _eda(run: PipelineRun, step: StepRun, metrics: Metrics) -> None:
    record_eda(
        feature_set=run.pipeline.feature_set,
        base_ym=metrics["eda"]["base_ym"],
        rows=metrics["eda"]["rows"],
        target_label=metrics["eda"].get("target_label") or "",
        report=_read_json(_artifact(run, "eda")),
    )


def _publish_online(run: PipelineRun, step: StepRun, metrics: Metrics) -> None:
    record_publication(feature_set=run.pipeline.feature_set, publication=metrics["publication"])


def _record_figures(version: ModelVersion, metrics: Metrics) -> None:
    if evaluations := metrics.get("evaluations"):
        record_evaluations(version=version, evaluations=evaluations)
    if rows := metrics.get("feature_psi"):
        record_feature_psi(version=version, rows=rows)


def _artifact(run: PipelineRun, name: str) -> Artifact:
    artifact = Artifact.objects.filter(step__run=run, name=name).order_by("-step__position").first()
    if artifact is None:
        raise ResultInvalid(f"no step of run {run.pk} made the artefact {name!r}")
    return artifact


def _read_json(artifact: Artifact) -> Any:
    return ArtifactStore(settings.ARTIFACT_ROOT).read_json(artifact.sha256)


RECORDERS: dict[str, Recorder] = {
    "extract": _extract,
    "register": _register,
    "compare": _compare,
    "monitor": _monitor,
    "materialise": _materialise,
    "prove": _prove,
    "eda": _eda,
    "publish_online": _publish_online,
}

#: what a step reports while it still runs is kept as the same step's result is
PARTIAL_RECORDERS: dict[str, Recorder] = {"materialise": _materialise, "extract": _extract}
