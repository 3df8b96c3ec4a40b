"""Defining pipelines and starting runs: what is frozen, what is refused, and one run for one key."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from apps.features.records import record_materialisation
from apps.pipelines import dispatch
from apps.pipelines.errors import KeyReused, PipelineInvalid
from apps.pipelines.models import Pipeline, PipelineRun
from apps.pipelines.services import add_schedule, define_pipeline, start_run
from mlopslib.dates import date_params
from mlopslib.definition import FeatureSetSpec, ModelSpec
from mlopslib.errors import AccessDenied, Conflict, InvalidDate, InvalidInput
from mlopslib.steps import TEMPLATES
from portal.models import AuditEvent
from tests.factories import make_feature_set, make_model, make_user, make_version

pytestmark = [pytest.mark.database, pytest.mark.django_db]


def training(actor: Any, **fields: Any) -> Pipeline:
    return define_pipeline(
        actor=actor, name="loan_needs CT", template="training", registered_model=make_model(), **fields
    )


def start(pipeline: Pipeline, *, actor: Any = None, base_ym: str = "202606", **fields: Any) -> PipelineRun:
    return start_run(actor=actor, pipeline=pipeline, base_ym=base_ym, trigger="MANUAL", **fields)


def test_run_freezes_dates_definition_feature_sets_and_champion() -> None:
    person = make_user("data_scientist")
    pipeline = training(person)
    model = pipeline.registered_model
    champion = make_version(model, stage="champion", base_ym="202508")
    newer = make_feature_set("cust_txn", owner=person)
    model.definition = model.definition | {"features": model.definition["features"][:1], "derived": []}
    model.save()
    run = start(pipeline, actor=person)
    assert run.dates == date_params("202606")
    assert ModelSpec.from_dict(run.params["definition"]) == model.spec
    assert run.params["champion"] == {
        "version": champion.number,
        "label": "v1",
        "package_sha256": champion.package_sha256,
        "definition": champion.definition,
        "train_months": champion.card["train_months"],
    }
    sets = [FeatureSetSpec.from_dict(item) for item in run.params["feature_sets"]]
    # the champion still reads the retired version of cust_txn
    assert [(each.name, each.version) for each in sets] == [("cust_balance", 1), ("cust_txn", 1)]
    assert newer.version == 2
    assert [feature.name for feature in sets[0].features] == ["bal_avg_3m", "bal_min_1m", "grade"]
    steps = list(run.steps.values_list("position", "name", "state"))
    assert [name for _, name, _ in steps] == list(TEMPLATES["training"])
    assert [state for *_, state in steps] == ["READY"] + ["PENDING"] * (len(steps) - 1)
    assert (run.status, run.requested_by) == ("PENDING", person)
    event = AuditEvent.objects.get(action="run.started")
    assert (event.actor, event.object_id, event.data["base_ym"]) == (person, str(run.pk), "202606")


def test_the_month_that_psi_is_taken_against_stays_when_earlier_months_are_filled_in() -> None:
    person = make_user("data_scientist")
    feature_set = make_feature_set("cust_txn", owner=person)
    pipeline = define_pipeline(
        actor=person, name="fill", template="materialise", feature_set=feature_set, policy=None
    )
    assert start(pipeline, actor=person).params["reference_yms"] == {}
    profile = {"feature": feature_set.features.first().name, "rows": 5, "missing": 0}
    for base_ym in ("202603", "202601"):
        month = {"base_ym": base_ym, "rows": 5, "table_version": 0}
        found = [profile | {"histogram": {"reference_ym": "202603"}}]
        record_materialisation(feature_set=feature_set, months=[month | {"profiles": found}])
    table = feature_set.to_spec().table
    assert start(pipeline, actor=person, base_ym="202605").params["reference_yms"] == {table: "202603"}


def test_first_run_has_no_champion() -> None:
    assert start(training(make_user("data_scientist"))).params["champion"] is None


def test_monitoring_needs_a_champion_and_freezes_its_package() -> None:
    person = make_user("data_scientist")
    model = make_model()
    pipeline = define_pipeline(
        actor=person, name="watch", template="monitoring", registered_model=model, policy=None
    )
    with pytest.raises(PipelineInvalid, match="no champion to monitor"):
        start(pipeline)
    champion = make_version(model, stage="champion")
    run = start(pipeline)
    assert (run.params["version"], run.params["package_sha256"]) == (1, champion.package_sha256)
    with pytest.raises(InvalidInput, match="no version 7") as caught:
        start(pipeline, params={"version": 7})
    assert caught.value.field == "version"


def test_materialise_takes_a_range_of_months() -> None:
    person = make_user("data_scientist")
    pipeline = define_pipeline(
        actor=person, name="fill", template="materialise", feature_set=make_feature_set()
    )
    run = start(pipeline, actor=person)
    assert (run.params["first_ym"], run.params["last_ym"]) == ("202606", "202606")
    run = start(pipeline, actor=person, params={"first_ym": "202601", "last_ym": "202603"})
    assert (run.params["first_ym"], run.params["last_ym"]) == ("202601", "202603")
    for params, field in [
        ({"first_ym": "202613"}, "first_ym"),
        ({"first_ym": "202607"}, "first_ym"),
        ({"last_ym": "soon"}, "last_ym"),
    ]:
        with pytest.raises(InvalidDate) as caught:
            start(pipeline, actor=person, params=params)
        assert caught.value.field == field
    with pytest.raises(InvalidInput, match=r"no parameter speed; it has first_ym, last_ym"):
        start(pipeline, actor=person, params={"speed": 11})
    with pytest.raises(AccessDenied):
        start(pipeline, actor=make_user("reviewer"))


@pytest.mark.parametrize("base_ym", ["2026-06", "202613", "", "20260630"])
def test_base_month_that_is_none_is_refused(base_ym: str) -> None:
    pipeline = training(make_user("data_scientist"))
    with pytest.raises(InvalidDate) as caught:
        start(pipeline, base_ym=base_ym)
    assert caught.value.field == "base_ym"
    assert not PipelineRun.objects.exists()


def test_viewer_cannot_start_a_run_or_define_a_pipeline() -> None:
    pipeline = training(make_user("data_scientist"))
    with pytest.raises(AccessDenied):
        start(pipeline, actor=make_user("viewer"))
    with pytest.raises(AccessDenied):
        define_pipeline(
            actor=make_user("operator"),
            name="mine",
            template="training",
            registered_model=pipeline.registered_model,
        )


def test_same_key_gives_the_same_run() -> None:
    person = make_user("data_scientist")
    pipeline = training(person)
    first = start(pipeline, actor=person, idempotency_key="monthly-202606")
    assert start(pipeline, actor=person, idempotency_key="monthly-202606").pk == first.pk
    assert PipelineRun.objects.count() == 1
    assert AuditEvent.objects.filter(action="run.started").count() == 1
    with pytest.raises(KeyReused) as caught:
        start(pipeline, actor=person, base_ym="202607", idempotency_key="monthly-202606")
    assert caught.value.field == "idempotency_key" and isinstance(caught.value, Conflict)
    with pytest.raises(KeyReused):
        start(pipeline, actor=make_user("operator"), idempotency_key="monthly-202606")
    with pytest.raises(InvalidInput):
        start(pipeline, actor=person, idempotency_key="x" * 121)


@pytest.mark.django_db(transaction=True)
def test_same_key_sent_ten_times_at_once_gives_one_run() -> None:
    person = make_user("data_scientist")
    pipeline = training(person)
    together, found = threading.Barrier(10), []

    def post() -> None:
        together.wait()
        try:
            found.append(start(pipeline, actor=person, idempotency_key="once").pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=post) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 10
    assert set(found) == {PipelineRun.objects.get().pk}
    assert PipelineRun.objects.get().steps.count() == len(TEMPLATES["training"])


def test_broker_that_is_away_does_not_fail_the_request(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    monkeypatch.setattr(dispatch.current_app.conf, "broker_url", "redis://127.0.0.1:1/0")
    pipeline = training(make_user("data_scientist"))
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        run = start(pipeline)
    assert len(callbacks) == 1
    assert run.steps.first().rung_at is None
    assert dispatch.dispatch_ready() == 0
    monkeypatch.setattr(dispatch.current_app.conf, "broker_url", "memory://")
    assert dispatch.dispatch_ready() == 1
    assert dispatch.dispatch_ready() == 0


def test_pipeline_needs_a_fitting_subject_a_free_name_and_a_known_policy() -> None:
    person, model = make_user("data_scientist"), make_model()
    refused = [
        ({"template": "training"}, "registered_model"),
        ({"template": "materialise", "registered_model": model}, "feature_set"),
        ({"template": "cooking", "registered_model": model}, "template"),
        (
            {"template": "training", "registered_model": model, "policy": {"request_review": "maybe"}},
            "policy",
        ),
        ({"template": "training", "registered_model": model, "policy": {"approve": True}}, "policy"),
        ({"template": "training", "registered_model": model, "name": " "}, "name"),
    ]
    for fields, field in refused:
        with pytest.raises(PipelineInvalid) as caught:
            define_pipeline(**{"actor": person, "name": "CT", **fields})
        assert caught.value.field == field
    pipeline = define_pipeline(actor=person, name="CT", template="training", registered_model=model)
    assert pipeline.policy == {"request_review": "not_worse"}
    with pytest.raises(Conflict, match="already"):
        define_pipeline(actor=person, name="CT", template="training", registered_model=model)


def test_schedule_keeps_to_days_that_every_month_has() -> None:
    person = make_user("data_scientist")
    pipeline = training(person)
    assert add_schedule(actor=person, pipeline=pipeline, day_of_month=28, hour=23).lag_months == 1
    for fields, field in [
        ({"day_of_month": 31, "hour": 2}, "day_of_month"),
        ({"day_of_month": 1, "hour": 24}, "hour"),
        ({"day_of_month": 1, "hour": 2, "lag_months": -1}, "lag_months"),
    ]:
        with pytest.raises(PipelineInvalid) as caught:
            add_schedule(actor=person, pipeline=pipeline, **fields)
        assert caught.value.field == field
    with pytest.raises(AccessDenied):
        add_schedule(actor=make_user("reviewer"), pipeline=pipeline, day_of_month=1, hour=2)
