"""What the results of steps become in the catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from apps.features.models import FeatureProfile, Materialisation
from apps.models.models import Comparison, Evaluation, FeatureDrift, ModelVersion, Review
from apps.models.services import promote
from apps.pipelines import child, executor
from apps.pipelines.errors import ResultInvalid
from apps.pipelines.models import Artifact, PipelineRun, StepRun
from apps.pipelines.services import define_pipeline, start_run
from mlopslib.artifacts import ArtifactStore
from mlopslib.steps.base import StepResult
from portal.models import AuditEvent, User
from tests.factories import (
    comparison_report,
    gates,
    make_feature_set,
    make_model,
    make_review,
    make_user,
    make_version,
)

pytestmark = [pytest.mark.database, pytest.mark.django_db]

TEST_FIGURES = {"dataset": "TEST", "base_ym": "", "rows": 4000, "positives": 160, "auc": 0.77}
OOT_FIGURES = {"dataset": "OOT", "base_ym": "202604", "rows": 9000, "positives": 300, "auc": 0.74}


@pytest.fixture(autouse=True)
def store(tmp_path: Path, settings: Any) -> ArtifactStore:
    settings.ARTIFACT_ROOT = tmp_path
    return ArtifactStore(tmp_path)


def training_run(*, policy: str = "not_worse", requested_by: User | None = None) -> PipelineRun:
    owner = make_user("data_scientist")
    model = make_model(owner=owner)
    make_version(model, stage="champion", base_ym="202508")
    return start_again(model, policy=policy, requested_by=requested_by)


def start_again(model: Any, *, policy: str = "not_worse", requested_by: User | None = None) -> PipelineRun:
    pipeline = define_pipeline(
        actor=model.owner,
        name=f"{model.name} CT {policy}",
        template="training",
        registered_model=model,
        policy={"request_review": policy},
    )
    return start_run(actor=requested_by, pipeline=pipeline, base_ym="202606", trigger="SCHEDULE")


def finish(run: PipelineRun, name: str, metrics: dict[str, Any] | None = None, **files: Any) -> StepRun:
    """Commit a step of the run as its process would, with `files` as JSON artefacts."""
    step = run.steps.get(name=name)
    StepRun.objects.filter(pk=step.pk).update(state="READY")
    fence = executor.claim(step.pk)
    step.refresh_from_db()
    step.run.refresh_from_db()
    store = ArtifactStore(child.settings.ARTIFACT_ROOT)
    artifacts = {file: store.put_json(value) for file, value in files.items()}
    child.commit(step, fence, StepResult(f"{name} done", metrics or {}, artifacts))
    run.refresh_from_db()
    return step


def register(run: PipelineRun) -> ModelVersion:
    finish(run, "evaluate", {"evaluations": [TEST_FIGURES]})
    drifts = [{"base_ym": "202604", "feature": "bal_avg_3m", "psi": 0.04, "details": {}}]
    finish(run, "validate_oot", {"evaluations": [OOT_FIGURES], "feature_psi": drifts})
    finish(run, "package", package={"format": 1, "model": "loan_needs"})
    finish(run, "register", model_card={"train_months": ["202601"], "oot_months": ["202604"]})
    return run.version


def compare(run: PipelineRun, verdict: str) -> None:
    report = comparison_report(verdict=verdict)
    metrics = {"verdict": verdict, "sentence": report["sentence"], "gates": gates()}
    finish(run, "compare", metrics, comparison=report)


def test_register_makes_a_version_with_the_figures_of_the_steps_before() -> None:
    run = training_run()
    version = register(run)
    owner = run.pipeline.owner
    assert (version.number, version.stage, version.author, version.base_ym) == (
        2,
        "CANDIDATE",
        owner,
        "202606",
    )
    assert version.package_sha256 == Artifact.objects.get(name="package").sha256
    assert version.definition == run.params["definition"]
    assert version.card == {"train_months": ["202601"], "oot_months": ["202604"]}
    found = Evaluation.objects.filter(version=version).values_list("dataset", "base_ym", "auc")
    assert sorted(found) == [("OOT", "202604", 0.74), ("TEST", "", 0.77)]
    assert FeatureDrift.objects.get(version=version).psi == 0.04
    assert version.pipeline_run == run


@pytest.mark.parametrize(
    ("policy", "verdict", "asks"),
    [
        ("always", "WORSE", True),
        ("not_worse", "NOT_WORSE", True),
        ("not_worse", "BETTER", True),
        ("not_worse", "CANNOT_TELL", False),
        ("better", "NOT_WORSE", False),
        ("better", "BETTER", True),
        ("never", "BETTER", False),
    ],
)
def test_policy_decides_whether_a_review_is_requested(policy: str, verdict: str, asks: bool) -> None:
    run = training_run(policy=policy)
    version = register(run)
    compare(run, verdict)
    comparison = Comparison.objects.get(challenger=version)
    assert (comparison.verdict, comparison.champion.number) == (verdict, 1)
    assert comparison.report_sha256 == Artifact.objects.get(name="comparison").sha256
    assert Review.objects.filter(version=version).exists() is asks
    version.refresh_from_db()
    assert version.stage == ("CHALLENGER" if asks else "CANDIDATE")


def test_automatic_run_asks_in_the_name_of_the_pipelines_owner() -> None:
    run = training_run()
    version = register(run)
    compare(run, "BETTER")
    review = Review.objects.get(version=version)
    assert (review.requested_by, review.version_author) == (run.pipeline.owner, run.pipeline.owner)
    assert review.comparison is not None and review.incumbent.number == 1
    assert review.gates == gates()
    assert run.status == "SUCCEEDED"


def test_run_of_a_person_asks_in_their_name() -> None:
    # an operator may start a run and not request a review: the version's author does not lose it for that
    for roles in ("data_scientist", "operator"):
        person = make_user(roles)
        if roles == "data_scientist":
            run = training_run(requested_by=person)
        else:
            run = start_again(run.pipeline.registered_model, policy="always", requested_by=person)
        version = register(run)
        compare(run, "BETTER")
        review = Review.objects.get(version=version)
        assert (review.requested_by, version.author) == (person, person)


def test_first_version_asks_for_review_without_a_comparison() -> None:
    run = start_again(make_model(owner=make_user("data_scientist")))
    version = register(run)
    finish(run, "compare", {"verdict": None, "gates": gates()}, comparison={"champion": None})
    assert not Comparison.objects.exists()
    review = Review.objects.get(version=version)
    assert (review.comparison, review.incumbent, review.gates) == (None, None, gates())


def test_champion_that_changed_meanwhile_leaves_the_result_and_no_request() -> None:
    run = training_run()
    model = run.pipeline.registered_model
    version = register(run)
    other = make_version(model, base_ym="202605")
    make_review(other, status="APPROVED")
    promote(version=other)
    compare(run, "BETTER")
    assert Comparison.objects.get(challenger=version).champion.number == 1
    assert not Review.objects.filter(version=version).exists()
    assert "compare it again" in AuditEvent.objects.get(action="review.not_requested").data["reason"]
    assert run.status == "SUCCEEDED"


def test_recorder_that_fails_leaves_nothing_of_its_step() -> None:
    run = training_run()
    with pytest.raises(ResultInvalid, match="artefact 'package'"):
        finish(run, "register", model_card={})
    step = run.steps.get(name="register")
    assert (step.state, step.summary) == ("RUNNING", "")
    assert not Artifact.objects.exists()
    assert not ModelVersion.objects.filter(number=2).exists()


def test_monitoring_adds_production_figures_to_the_monitored_version() -> None:
    model = make_model(owner=make_user("data_scientist"))
    champion = make_version(model, stage="champion")
    pipeline = define_pipeline(actor=model.owner, name="watch", template="monitoring", registered_model=model)
    run = start_run(actor=None, pipeline=pipeline, base_ym="202609", trigger="SCHEDULE")
    figures = {"dataset": "PRODUCTION", "base_ym": "202609", "rows": 20000, "score_psi": 0.13}
    drifts = [{"base_ym": "202609", "feature": "grade", "psi": 0.3, "details": {}}]
    finish(run, "monitor", {"evaluations": [figures], "feature_psi": drifts}, monitoring={})
    found = champion.evaluations.get(dataset="PRODUCTION")
    assert (found.base_ym, found.score_psi, found.positives) == ("202609", 0.13, None)
    assert champion.feature_drifts.get(base_ym="202609").psi == 0.3


def test_materialise_records_months_and_profiles() -> None:
    feature_set = make_feature_set()
    pipeline = define_pipeline(
        actor=make_user("data_scientist"), name="fill", template="materialise", feature_set=feature_set
    )
    run = start_run(actor=None, pipeline=pipeline, base_ym="202609", trigger="SCHEDULE")
    profile = {"feature": "bal_avg_3m", "rows": 20, "missing": 1, "mean": 4.5, "psi": None, "histogram": {}}
    month = {"base_ym": "202609", "rows": 20, "table_version": 3, "profiles": [profile]}
    finish(run, "materialise", {"months": [month]})
    kept = Materialisation.objects.get(feature_set=feature_set)
    assert (kept.base_ym, kept.rows, kept.table_version) == ("202609", 20, 3)
    assert FeatureProfile.objects.get().mean == 4.5
