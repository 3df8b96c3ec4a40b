"""What can be changed by REST, by whom, and what is said to a body that is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from rest_framework.test import APIClient

from apps.models.models import ModelVersion, Review
from apps.pipelines.models import PipelineRun
from apps.serving.models import Deployment
from tests.api.test_read import LISTS, ROLES
from tests.factories import (
    make_comparison,
    make_deployment,
    make_endpoint,
    make_pipeline,
    make_review,
    make_run,
    make_user,
    make_version,
)

pytestmark = pytest.mark.django_db

As = Callable[..., APIClient]


def problem_of(answer: Any) -> tuple[int, str, str | None]:
    assert answer["content-type"] == "application/problem+json", answer.content
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["title"]
    return answer.status_code, body["type"], body.get("field")


# runs -------------------------------------------------------------------------------------------


def new_run(**changes: Any) -> dict[str, Any]:
    pipeline = changes.pop("pipeline", None) or make_pipeline().name
    return {"pipeline": pipeline, "base_ym": "202606"} | changes


@pytest.mark.parametrize("role", ["data_scientist", "reviewer", "operator"])
def test_start_a_run(api_as: As, role: str) -> None:
    api = api_as(role)
    answer = api.post("/api/runs/", new_run())
    assert answer.status_code == 201
    run = PipelineRun.objects.get(pk=answer.json()["id"])
    assert (run.trigger, run.requested_by, run.base_ym) == ("REST", api.user, "202606")
    assert run.dates["bf_1m_ym"] == "202605"


@pytest.mark.parametrize("role", ["viewer", "admin"])
def test_starting_a_run_needs_a_role(api_as: As, role: str) -> None:
    assert problem_of(api_as(role).post("/api/runs/", new_run()))[:2] == (403, "access-denied")
    assert not PipelineRun.objects.exists()


def test_a_version_that_is_not_the_champion_can_be_monitored(api_as: As) -> None:
    version = make_version(stage="archived")
    pipeline = make_pipeline("monitoring", model=version.registered_model)
    answer = api_as("operator").post("/api/runs/", new_run(pipeline=pipeline.name, params={"version": 1}))
    assert answer.status_code == 201, answer.content
    assert PipelineRun.objects.get().params["package_sha256"] == version.package_sha256
    wrong = api_as("operator").post("/api/runs/", new_run(pipeline=pipeline.name, params={"version": 9}))
    assert problem_of(wrong) == (422, "invalid-input", "version")


def test_the_same_key_gives_the_same_run(api_as: As) -> None:
    api, body = api_as("operator"), new_run()
    first = api.post("/api/runs/", body, headers={"Idempotency-Key": "monthly-202606"})
    again = api.post("/api/runs/", body | {"idempotency_key": "monthly-202606"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert PipelineRun.objects.count() == 1


def test_the_same_key_for_another_request_is_refused(api_as: As) -> None:
    api, body = api_as("operator"), new_run(idempotency_key="k1")
    api.post("/api/runs/", body)
    status, _, field = problem_of(api.post("/api/runs/", body | {"base_ym": "202607"}))
    assert (status, field) == (409, "idempotency_key")


def test_a_key_belongs_to_who_chose_it(api_as: As) -> None:
    body = new_run(idempotency_key="k1")
    mine = api_as("operator").post("/api/runs/", body).json()["id"]
    theirs = api_as("operator").post("/api/runs/", body)
    assert theirs.status_code == 201
    assert theirs.json()["id"] != mine


def test_two_keys_are_one_too_many(api_as: As) -> None:
    answer = api_as("operator").post(
        "/api/runs/", new_run(idempotency_key="a"), headers={"Idempotency-Key": "b"}
    )
    assert problem_of(answer) == (422, "invalid-input", "idempotency_key")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"pipeline": "nowhere"}, (422, "invalid-input", "pipeline")),
        ({"base_ym": "202613"}, (422, "invalid-date", "base_ym")),
        ({"base_ym": "2026-1"}, (422, "invalid-date", "base_ym")),
        ({"base_ym": None}, (400, "invalid", "base_ym")),
        ({"base_ym": ["202606"]}, (400, "invalid", "base_ym")),
        ({"base_ym": {}}, (400, "invalid", "base_ym")),
        ({"base_ym": "202606\x00"}, (400, "invalid", "base_ym")),
        ({"base_ym": "2" * 50}, (400, "invalid", "base_ym")),
        ({"status": "SUCCEEDED"}, (400, "invalid", "status")),
        ({"requested_by": 1}, (400, "invalid", "requested_by")),
        ({"params": {"champion": None}}, (400, "invalid", "params")),
        ({"params": "x"}, (400, "invalid", "params")),
        ({"params": {"version": 1}}, (422, "invalid-input", "params")),
        ({"idempotency_key": "a b"}, (400, "invalid", "idempotency_key")),
        ({"idempotency_key": ""}, (400, "invalid", "idempotency_key")),
        ({"idempotency_key": "k" * 81}, (400, "invalid", "idempotency_key")),
    ],
)
def test_a_run_that_cannot_start_names_the_field(
    api_as: As, change: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    assert problem_of(api_as("operator").post("/api/runs/", new_run(**change))) == expected
    assert not PipelineRun.objects.exists()


def test_a_missing_field_is_named(api_as: As) -> None:
    answer = api_as("operator").post("/api/runs/", {"base_ym": "202606"})
    assert problem_of(answer) == (400, "invalid", "pipeline")


def test_cancel_and_resume(api_as: As) -> None:
    api, run = api_as("operator"), make_run(status="RUNNING")
    answer = api.post(f"/api/runs/{run.pk}/cancel")
    assert answer.status_code == 200
    assert answer.json()["cancel_requested_at"]
    failed = make_run(status="FAILED")
    assert api.post(f"/api/runs/{failed.pk}/resume/").json()["status"] != "FAILED"
    done = make_run(status="SUCCEEDED")
    assert problem_of(api.post(f"/api/runs/{done.pk}/cancel"))[0] == 409
    assert problem_of(api.post(f"/api/runs/{done.pk}/resume"))[0] == 409
    assert problem_of(api.post("/api/runs/4711/cancel"))[0] == 404
    assert problem_of(api_as("viewer").post(f"/api/runs/{failed.pk}/cancel"))[0] == 403


# bodies -----------------------------------------------------------------------------------------

POISON = {
    "not json": b"base_ym=202606",
    "empty": b"",
    "half": b'{"pipeline": "x"',
    "nan": b'{"pipeline": "x", "base_ym": NaN}',
    "infinity": b'{"pipeline": "x", "base_ym": -Infinity}',
    "digits": b'{"pipeline": ' + b"9" * 5_000 + b"}",
    "deep": b"[" * 200_000,
    "surrogate": rb'{"pipeline": "\ud800", "base_ym": "202606"}',
    "latin-1": '{"pipeline": "é"}'.encode("latin-1"),
    "bom": b"\xef\xbb\xbf{}",
    "twice": b'{"pipeline": "a", "pipeline": "b", "base_ym": "202606"}',
    "nul": b"\x00",
}


@pytest.mark.parametrize("name", POISON)
def test_a_body_that_is_not_json_is_a_problem(api_as: As, name: str) -> None:
    api, review = api_as(["operator", "reviewer"]), make_review()
    for path in ("runs/", "feature-sets/", f"reviews/{review.pk}/approve/", f"reviews/{review.pk}/reject/"):
        answer = api.post(f"/api/{path}", POISON[name], content_type="application/json")
        if name == "empty" and "reviews" in path:
            continue
        status, code, _ = problem_of(answer)
        assert status == 400, path
        assert code in ("parse-error", "invalid")
    assert Review.objects.get(pk=review.pk).status == "PENDING" or name == "empty"


@pytest.mark.parametrize("value", [[], "text", 3, None, True, [{}]])
def test_a_body_that_is_no_object_is_a_problem(api_as: As, value: Any) -> None:
    review = make_review()
    for path in ("runs/", "feature-sets/", f"reviews/{review.pk}/reject/"):
        answer = api_as(["operator", "reviewer", "data_scientist"]).post(
            f"/api/{path}", json.dumps(value), content_type="application/json"
        )
        assert problem_of(answer)[0] in (400, 422), (path, value)


def test_a_body_of_another_kind_is_refused(api_as: As) -> None:
    answer = api_as("operator").post("/api/runs/", "a=1", content_type="application/x-www-form-urlencoded")
    assert problem_of(answer)[:2] == (415, "unsupported-media-type")


def test_a_huge_body_is_refused(api_as: As) -> None:
    body = json.dumps({"pipeline": "x" * (1 << 20)})
    answer = api_as("operator").post("/api/runs/", body, content_type="application/json")
    assert problem_of(answer)[:2] == (413, "body-too-large")


def test_cookies_need_the_csrf_token() -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(make_user("operator"))
    answer = browser.post("/api/runs/", json.dumps(new_run()), content_type="application/json")
    assert problem_of(answer)[0] == 403
    assert not PipelineRun.objects.exists()


# reviews ----------------------------------------------------------------------------------------


@pytest.fixture
def review(signing_keys: Path) -> Review:
    review = make_review(comparison=make_comparison())
    make_endpoint(model=review.version.registered_model)
    return review


def test_approve(api_as: As, review: Review) -> None:
    api = api_as("reviewer")
    answer = api.post(f"/api/reviews/{review.pk}/approve", {"note": "fine"})
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["decided_by"]) == ("APPROVED", api.user.username)
    assert Deployment.objects.get().review == review
    assert problem_of(api.post(f"/api/reviews/{review.pk}/approve"))[:2] == (409, "conflict")


def test_approve_without_a_body(api_as: As, review: Review) -> None:
    assert api_as("reviewer").post(f"/api/reviews/{review.pk}/approve/").status_code == 200


@pytest.mark.parametrize("verb", ["approve", "reject", "request-changes"])
@pytest.mark.parametrize("role", ["viewer", "data_scientist", "operator", "admin"])
def test_deciding_needs_a_reviewer(api_as: As, review: Review, verb: str, role: str) -> None:
    answer = api_as(role).post(f"/api/reviews/{review.pk}/{verb}/", {"note": "x"})
    assert problem_of(answer)[:2] == (403, "access-denied")
    assert Review.objects.get(pk=review.pk).status == "PENDING"


@pytest.mark.parametrize("verb", ["approve", "reject", "request-changes"])
@pytest.mark.parametrize("who", ["requested_by", "version_author"])
def test_no_decision_on_own_work(api_as: As, review: Review, verb: str, who: str) -> None:
    person = getattr(review, who)
    person.groups.add(Group.objects.get(name="reviewer"))
    answer = api_as(person).post(f"/api/reviews/{review.pk}/{verb}/", {"note": "x"})
    assert problem_of(answer)[:2] == (403, "access-denied")
    assert not Deployment.objects.exists()


@pytest.mark.parametrize(
    ("verb", "status"), [("reject", "REJECTED"), ("request-changes", "CHANGES_REQUESTED")]
)
def test_saying_no_needs_a_note(api_as: As, review: Review, verb: str, status: str) -> None:
    api = api_as("reviewer")
    assert problem_of(api.post(f"/api/reviews/{review.pk}/{verb}/")) == (422, "invalid-input", "note")
    answer = api.post(f"/api/reviews/{review.pk}/{verb}/", {"note": "the OOT is too short"})
    assert (answer.json()["status"], answer.json()["note"]) == (status, "the OOT is too short")


def test_withdraw(api_as: As, review: Review) -> None:
    assert problem_of(api_as("data_scientist").post(f"/api/reviews/{review.pk}/withdraw/"))[0] == 403
    answer = api_as(review.requested_by).post(f"/api/reviews/{review.pk}/withdraw/")
    assert answer.json()["status"] == "WITHDRAWN"


def test_changed_evidence_is_a_conflict(api_as: As, review: Review) -> None:
    review.version.evaluations.filter(dataset="OOT").update(auc=0.99)
    answer = api_as("reviewer").post(f"/api/reviews/{review.pk}/approve/")
    assert problem_of(answer)[:2] == (409, "conflict")
    assert "approval void" in answer.json()["title"]


def test_a_decision_takes_a_note_and_nothing_else(api_as: As, review: Review) -> None:
    for field in ("status", "decided_by", "package_sha256", "evidence_sha256", "gates", "requested_by"):
        answer = api_as("reviewer").post(f"/api/reviews/{review.pk}/approve/", {"note": "", field: "x"})
        assert problem_of(answer) == (400, "invalid", field)
    assert Review.objects.get(pk=review.pk).status == "PENDING"


# rolling back -----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_roll_back(api_as: As, signing_keys: Path, role: str) -> None:
    old = make_version(stage="archived")
    champion = make_version(old.registered_model, stage="champion")
    endpoint = make_endpoint(model=old.registered_model)
    make_deployment(endpoint, version=champion)
    answer = api_as(role).post(f"/api/endpoints/{endpoint.pk}/roll-back/", {"version": 1})
    if role not in ("reviewer", "operator"):
        assert problem_of(answer)[0] == 403
        return
    assert answer.status_code == 201
    assert (answer.json()["version"], answer.json()["seq"], answer.json()["is_rollback"]) == ("v1", 2, True)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (400, "invalid", "version")),
        ({"version": "v1"}, (400, "invalid", "version")),
        ({"version": 10**12}, (400, "invalid", "version")),
        ({"version": True}, (400, "invalid", "version")),
        ({"version": 9}, (422, "invalid-input", "version")),
        ({"version": 2}, (409, "conflict", None)),
        ({"version": 1, "seq": 99}, (400, "invalid", "seq")),
    ],
)
def test_a_rollback_that_cannot_be(
    api_as: As, signing_keys: Path, body: dict[str, Any], expected: tuple[int, str, str | None]
) -> None:
    champion = make_version(stage="champion")
    make_version(champion.registered_model)
    endpoint = make_endpoint(model=champion.registered_model)
    assert problem_of(api_as("operator").post(f"/api/endpoints/{endpoint.pk}/roll-back/", body)) == expected


# everything else is closed ----------------------------------------------------------------------

#: what a POST makes; whatever it sends beside the fields of the resource is refused
WRITABLE = {"runs", "feature-sets", "schedules"}
#: rows that are changed and taken away through their services, which know who may and what must stay
SERVED = {"feature-sets": {"patch", "delete"}, "schedules": {"patch", "delete"}}


@pytest.mark.parametrize("name", [*LISTS, "audit"])
def test_rows_cannot_be_written_straight(api_as: As, name: str, signing_keys: Path) -> None:
    champion = make_version(stage="champion")
    make_deployment(version=champion)
    make_review(comparison=make_comparison())
    make_run()
    api = api_as(["data_scientist", "reviewer", "operator", "admin"])
    first = api.get(f"/api/{name}/").json()["results"]
    paths = [f"/api/{name}/", *(f"/api/{name}/{row['id']}/" for row in first[:1])]
    for path in paths:
        for method in ("post", "put", "patch", "delete"):
            is_row = path != f"/api/{name}/"
            if method == "post" and not is_row and name in WRITABLE:
                continue
            if is_row and method in SERVED.get(name, ()):
                continue
            answer = getattr(api, method)(path, {"stage": "CHAMPION", "status": "APPROVED", "state": "LIVE"})
            assert problem_of(answer)[:2] == (405, "method-not-allowed"), (method, path)
    assert ModelVersion.objects.champions().get() == champion
