"""What the steps on a feature set leave in the catalog."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.features.models import (
    EdaReport,
    FeatureProfile,
    FeatureSet,
    LeakProof,
    Materialisation,
    OnlinePublication,
)
from apps.features.records import KEPT_PUBLICATIONS, record_proof, record_publication
from apps.pipelines import child
from apps.pipelines.errors import FenceLost
from apps.pipelines.models import PipelineRun, StepRun
from apps.pipelines.services import ensure_pipeline, start_run
from mlopslib.artifacts import ArtifactStore
from mlopslib.errors import AccessDenied, StepCancelled
from mlopslib.steps.base import StepResult
from portal.models import AuditEvent
from tests.factories import make_feature_set, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def feature_set() -> FeatureSet:
    return make_feature_set("cust_balance")


def running(feature_set: FeatureSet, template: str, **params: Any) -> StepRun:
    """The one step of a run, claimed under fence 1."""
    pipeline = ensure_pipeline(actor=feature_set.owner, template=template, feature_set=feature_set)
    run = start_run(
        actor=feature_set.owner, pipeline=pipeline, base_ym="202606", trigger="MANUAL", params=params
    )
    run.steps.update(state="RUNNING", fence=1, lease_until=timezone.now() + timedelta(minutes=1))
    return StepRun.objects.select_related("run__pipeline__feature_set").get(run=run)


def proof(base_ym: str, outcome: str) -> dict[str, Any]:
    return {
        "base_ym": base_ym,
        "outcome": outcome,
        "sentence": f"{outcome} for {base_ym}",
        "poisoned": {"txn": {"changed": 10, "added": 2}},
        "differences": [],
        "bounds": [],
    }


def month(base_ym: str, rows: int = 10, **profile: Any) -> dict[str, Any]:
    values = {"feature": "bal_avg_3m", "rows": rows, "missing": 1, "distinct": 3, "psi": 0.02} | profile
    return {"base_ym": base_ym, "rows": rows, "table_version": 4, "profiles": [values]}


def test_a_proof_step_makes_the_version_proved(feature_set: FeatureSet) -> None:
    step = running(feature_set, "leak_proof", months=["202605", "202606"])
    proofs = [proof("202605", "PROVED"), proof("202606", "UNDECIDED")]
    child.commit(step, 1, StepResult("proved", metrics={"proofs": proofs}))
    feature_set.refresh_from_db()
    assert (feature_set.proof, feature_set.proved_months) == ("PROVED", 1)
    assert LeakProof.objects.get(base_ym="202605").poisoned == {"txn": {"changed": 10, "added": 2}}


def test_one_leak_outweighs_every_proof_until_it_is_proved_anew(feature_set: FeatureSet) -> None:
    record_proof(feature_set=feature_set, proofs=[proof("202605", "PROVED"), proof("202606", "LEAK")])
    assert (feature_set.proof, feature_set.proved_months) == ("LEAK", 1)
    record_proof(feature_set=feature_set, proofs=[proof("202606", "PROVED")])
    feature_set.refresh_from_db()
    assert (feature_set.proof, feature_set.proved_months) == ("PROVED", 2)


def test_months_where_nothing_could_be_poisoned_prove_nothing(feature_set: FeatureSet) -> None:
    record_proof(feature_set=feature_set, proofs=[proof("202606", "UNDECIDED")])
    assert (feature_set.proof, feature_set.proved_months) == ("UNPROVED", 0)


def test_proof_of_a_query_that_was_edited_meanwhile_is_not_kept(feature_set: FeatureSet) -> None:
    step = running(feature_set, "leak_proof", months=["202606"])
    FeatureSet.objects.filter(pk=feature_set.pk).update(sql="SELECT 2")
    step.run.pipeline.feature_set.refresh_from_db()
    child.commit(step, 1, StepResult("proved", metrics={"proofs": [proof("202606", "PROVED")]}))
    assert not LeakProof.objects.exists()
    assert AuditEvent.objects.filter(action="feature_set.proof_outdated").exists()


def test_an_eda_step_leaves_its_report_once_a_month_and_target(
    feature_set: FeatureSet, tmp_path: Any, settings: Any
) -> None:
    settings.ARTIFACT_ROOT = tmp_path
    for rows in (90, 100):
        step = running(feature_set, "eda")
        artifact = ArtifactStore(tmp_path).put_json({"rows": rows, "features": []})
        metrics = {"eda": {"base_ym": "202606", "rows": rows, "target_label": None}}
        child.commit(step, 1, StepResult("explored", metrics=metrics, artifacts={"eda": artifact}))
    report = EdaReport.objects.get()
    assert (report.base_ym, report.rows, report.target_label) == ("202606", 100, "")
    assert report.report["rows"] == 100


def test_a_publication_is_kept_with_its_check(feature_set: FeatureSet) -> None:
    publication = {
        "base_ym": "202606",
        "generation": 7,
        "entities": 1_000,
        "seconds": 0.4,
        "consistency": {"checked": 100, "equal": 100, "missing": 0, "different": 0},
    }
    child.commit(running(feature_set, "online"), 1, StepResult("out", metrics={"publication": publication}))
    row = OnlinePublication.objects.get()
    assert (row.generation, row.entities, row.consistency["equal"]) == (7, 1_000, 100)
    assert row.checked_at is not None


def test_old_publications_make_room(feature_set: FeatureSet) -> None:
    for generation in range(1, KEPT_PUBLICATIONS + 4):
        publication = {"base_ym": "202606", "generation": generation, "entities": 1, "seconds": 0.1}
        record_publication(feature_set=feature_set, publication=publication)
    kept = set(feature_set.publications.values_list("generation", flat=True))
    assert kept == set(range(4, KEPT_PUBLICATIONS + 4))


def test_every_figure_of_a_profile_is_kept(feature_set: FeatureSet) -> None:
    step = running(feature_set, "materialise")
    figures = {"std": 2.5, "psi_high": 0.01, "psi_p": 0.3, "psi_q": 0.6, "unseen": 0, "mean": 1.5}
    metrics = {"months": [month("202606", **figures, details={"quantiles": {"0.5": 1.0}})]}
    child.commit(step, 1, StepResult("made", metrics=metrics))
    row = FeatureProfile.objects.get()
    assert {name: getattr(row, name) for name in figures} == figures
    assert row.details == {"quantiles": {"0.5": 1.0}}


def test_a_finished_month_is_recorded_while_the_step_still_runs(feature_set: FeatureSet) -> None:
    step = running(feature_set, "materialise", first_ym="202605", last_ym="202606")
    child.commit_partial(step, 1, {"months": [month("202605")]}, {"months": [{"base_ym": "202605"}]})
    assert Materialisation.objects.get().base_ym == "202605"
    assert FeatureProfile.objects.get().psi == 0.02
    step.refresh_from_db()
    assert (step.state, step.metrics) == ("RUNNING", {"months": [{"base_ym": "202605"}]})


def test_a_process_that_lost_its_step_records_no_month(feature_set: FeatureSet) -> None:
    step = running(feature_set, "materialise")
    with pytest.raises(FenceLost):
        child.commit_partial(step, 2, {"months": [month("202606")]}, {"months": []})
    assert not Materialisation.objects.exists()


def test_a_month_that_was_written_before_a_cancel_is_recorded(feature_set: FeatureSet) -> None:
    step = running(feature_set, "materialise")
    PipelineRun.objects.update(cancel_requested_at=timezone.now())
    with pytest.raises(StepCancelled):
        child.commit_partial(step, 1, {"months": [month("202606")]}, {"months": [{"base_ym": "202606"}]})
    assert Materialisation.objects.get().base_ym == "202606"


def test_what_somebody_made_since_an_earlier_attempt_stays(feature_set: FeatureSet) -> None:
    step = running(feature_set, "materialise")
    Materialisation.objects.create(feature_set=feature_set, base_ym="202605", rows=77, table_version=9)
    earlier = {"base_ym": "202605", "rows": 10, "table_version": 4}
    child.commit(step, 1, StepResult("made", metrics={"months": [earlier, month("202606")]}))
    made = dict(Materialisation.objects.values_list("base_ym", "rows"))
    assert made == {"202605": 77, "202606": 10}


def test_months_that_a_training_run_made_are_recorded(feature_set: FeatureSet) -> None:
    from apps.pipelines.recorders import record_result
    from tests.factories import make_pipeline, make_run

    run = make_run(make_pipeline("training"), status="RUNNING")
    made = {**month("202604"), "feature_set": feature_set.name, "version": feature_set.version}
    record_result(run, run.steps.get(name="extract"), {"materialised": [made]})
    assert Materialisation.objects.get(feature_set=feature_set).base_ym == "202604"


def test_a_pipeline_of_a_version_is_made_once_and_by_who_may_run_it(feature_set: FeatureSet) -> None:
    operator = make_user("operator")
    first = ensure_pipeline(actor=operator, template="eda", feature_set=feature_set)
    assert ensure_pipeline(actor=feature_set.owner, template="eda", feature_set=feature_set) == first
    assert (first.name, first.owner) == ("cust_balance v1 eda", operator)
    with pytest.raises(AccessDenied):
        ensure_pipeline(actor=make_user("reviewer"), template="eda", feature_set=feature_set)
