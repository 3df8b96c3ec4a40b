"""REST of what runs on a feature set, of its months, and of the schedules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.features.models import EdaReport, FeatureSet
from apps.pipelines.models import PipelineRun, Schedule
from apps.pipelines.services import ensure_pipeline
from tests.api.test_write import problem_of
from tests.factories import make_feature_set, make_model, make_profiles

pytestmark = pytest.mark.django_db

As = Callable[..., APIClient]


@pytest.fixture
def feature_set() -> FeatureSet:
    row = make_feature_set("cust_balance")
    make_profiles(row)
    return row


def path(row: FeatureSet, verb: str) -> str:
    return f"/api/feature-sets/{row.pk}/{verb}/"


@pytest.mark.parametrize(
    ("verb", "body", "template", "base_ym", "asked"),
    [
        (
            "materialise",
            {"first_ym": "202601", "last_ym": "202603"},
            "materialise",
            "202603",
            {"first_ym": "202601", "last_ym": "202603"},
        ),
        (
            "materialise",
            {"first_ym": "202601"},
            "materialise",
            "202601",
            {"first_ym": "202601", "last_ym": "202601"},
        ),
        (
            "prove",
            {"months": ["202606", "202604"]},
            "leak_proof",
            "202606",
            {"months": ["202604", "202606"]},
        ),
        ("eda", {}, "eda", "202606", {}),
        ("eda", {"base_ym": "202605"}, "eda", "202605", {}),
        ("publish-online", {}, "online", "202606", {}),
    ],
)
def test_each_verb_starts_its_run(
    feature_set: FeatureSet,
    api_as: As,
    verb: str,
    body: dict[str, Any],
    template: str,
    base_ym: str,
    asked: dict[str, Any],
) -> None:
    api = api_as("operator")
    answer = api.post(path(feature_set, verb), body)
    assert answer.status_code == 201, answer.json()
    run = PipelineRun.objects.get(pk=answer.json()["id"])
    assert (run.template, run.base_ym, run.trigger, run.requested_by) == (template, base_ym, "REST", api.user)
    assert run.params["asked"] == asked


def test_the_same_key_gives_the_same_run(feature_set: FeatureSet, api_as: As) -> None:
    api = api_as("data_scientist")
    body = {"first_ym": "202601", "idempotency_key": "k-1"}
    first = api.post(path(feature_set, "materialise"), body)
    second = api.post(
        path(feature_set, "materialise"), {"first_ym": "202601"}, headers={"Idempotency-Key": "k-1"}
    )
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    other = api.post(path(feature_set, "materialise"), body | {"first_ym": "202602"})
    assert problem_of(other)[0] == 409


def test_eda_takes_a_models_target_and_refuses_one_of_another_key(
    feature_set: FeatureSet, api_as: As
) -> None:
    model = make_model(feature_sets=[feature_set, make_feature_set("cust_txn")])
    api = api_as("data_scientist")
    answer = api.post(path(feature_set, "eda"), {"target": model.name})
    target = PipelineRun.objects.get(pk=answer.json()["id"]).params["target"]
    assert target == {"label": model.name, "sql": model.spec.target_sql}
    assert problem_of(api.post(path(feature_set, "eda"), {"target": "nobody"}))[::2] == (422, "target_model")
    accounts = make_feature_set("accounts", entity_key="account_id")
    make_profiles(accounts)
    refused = api.post(path(accounts, "eda"), {"target": model.name})
    assert problem_of(refused)[::2] == (422, "target_model")


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("materialise", {}),
        ("materialise", {"first_ym": "202613"}),
        ("materialise", {"first_ym": "202603", "last_ym": "202601"}),
        ("materialise", {"first_ym": "202601", "months": ["202601"]}),
        ("materialise", {"first_ym": "202601", "idempotency_key": "a b"}),
        ("prove", {"months": []}),
        ("prove", {"months": "202601"}),
        ("prove", {"months": ["x"]}),
        ("eda", {"base_ym": "<script>"}),
        ("publish-online", {"base_ym": "20261"}),
    ],
)
def test_a_wrong_body_is_told_and_starts_nothing(
    feature_set: FeatureSet, api_as: As, verb: str, body: dict[str, Any]
) -> None:
    status, _word, field = problem_of(api_as("data_scientist").post(path(feature_set, verb), body))
    assert status in (400, 422)
    assert field
    assert not PipelineRun.objects.exists()


def test_who_may_not_and_what_is_not_there(feature_set: FeatureSet, api_as: As) -> None:
    for role in ("viewer", "reviewer", "admin"):
        answer = api_as(role).post(path(feature_set, "materialise"), {"first_ym": "202601"})
        assert problem_of(answer)[0] == 403, role
    assert problem_of(api_as("operator").post("/api/feature-sets/999/eda/", {}))[0] == 404
    empty = make_feature_set("empty")
    assert problem_of(api_as("operator").post(path(empty, "eda"), {}))[::2] == (422, "base_ym")
    draft = make_feature_set("drafted", is_current=False, status="DRAFT")
    answer = api_as("operator").post(path(draft, "materialise"), {"first_ym": "202601"})
    assert problem_of(answer)[0] == 422
    assert not PipelineRun.objects.exists()


def test_months_profiles_and_reports_are_read(feature_set: FeatureSet, api_as: As) -> None:
    api = api_as("viewer")
    cells = api.get(path(feature_set, "months") + "?first_ym=202604&last_ym=202607").json()
    assert [(cell["base_ym"], cell["state"], cell["rows"]) for cell in cells] == [
        ("202604", "done", 20_000),
        ("202605", "done", 20_000),
        ("202606", "done", 20_000),
        ("202607", "not_due", None),
    ]
    assert len(api.get(path(feature_set, "months")).json()) == 12
    for query in ("first_ym=202613", "first_ym=202612&last_ym=202601", "first_ym=190001&last_ym=219912"):
        assert problem_of(api.get(path(feature_set, "months") + f"?{query}"))[::2] == (422, "first_ym")

    body = api.get(path(feature_set, "profiles") + "?base_ym=202605&feature=grade").json()
    assert (body["count"], body["results"][0]["feature"]) == (1, "grade")
    assert api.get(path(feature_set, "profiles")).json()["count"] == 9
    assert problem_of(api.get(path(feature_set, "profiles") + "?base_ym=x"))[0] == 422

    row = EdaReport.objects.create(feature_set=feature_set, base_ym="202606", rows=5, report={"rows": 5})
    listed = api.get(path(feature_set, "eda")).json()["results"]
    assert listed[0]["id"] == row.pk and "report" not in listed[0]
    assert api.get(path(feature_set, f"eda/{row.pk}")).json()["report"] == {"rows": 5}
    other = make_feature_set("other")
    assert problem_of(api.get(path(other, f"eda/{row.pk}")))[0] == 404


def test_a_schedule_is_made_changed_and_deleted(feature_set: FeatureSet, api_as: As) -> None:
    api = api_as("operator")
    pipeline = ensure_pipeline(actor=api.user, template="materialise", feature_set=feature_set)
    body = {"pipeline": pipeline.name, "day_of_month": 3, "hour": 2, "lag_months": 1}
    made = api.post("/api/schedules/", body)
    assert made.status_code == 201
    address = f"/api/schedules/{made.json()['id']}/"
    changed = api.patch(address, {"hour": 5, "is_enabled": False}).json()
    assert (changed["day_of_month"], changed["hour"], changed["is_enabled"]) == (3, 5, False)
    assert api.get("/api/schedules/?is_enabled=false").json()["count"] == 1
    assert problem_of(api.patch(address, {"hour": 24}))[::2] == (400, "hour")
    assert problem_of(api.patch(address, {"day": 1}))[::2] == (400, "day")
    assert problem_of(api.post("/api/schedules/", body | {"pipeline": "none"}))[::2] == (422, "pipeline")
    for role in ("viewer", "reviewer"):
        assert problem_of(api_as(role).patch(address, {"hour": 6}))[0] == 403
        assert problem_of(api_as(role).delete(address))[0] == 403
    assert api.delete(address).status_code == 204
    assert not Schedule.objects.exists()
