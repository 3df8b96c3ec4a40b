"""Every list and detail, for everybody who holds a role and nobody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from apps.common.audit import record
from apps.pipelines.services import add_schedule
from tests.factories import (
    PASSWORD,
    make_comparison,
    make_deployment,
    make_feature_set,
    make_profiles,
    make_review,
    make_run,
    make_user,
    make_version,
    make_worker,
)

pytestmark = pytest.mark.django_db

LISTS = [
    "feature-sets",
    "features",
    "models",
    "versions",
    "comparisons",
    "reviews",
    "pipelines",
    "runs",
    "schedules",
    "endpoints",
    "deployments",
]
ROLES = ["viewer", "data_scientist", "reviewer", "operator", "admin"]

As = Callable[..., APIClient]


@pytest.fixture
def everything() -> dict[str, Any]:
    """One of each."""
    comparison = make_comparison()
    review = make_review(comparison=comparison)
    deployment = make_deployment(version=comparison.champion)
    make_worker(deployment)
    run = make_run(status="SUCCEEDED", version=comparison.challenger)
    add_schedule(actor=run.pipeline.owner, pipeline=run.pipeline, day_of_month=3, hour=2)
    make_profiles(comparison.registered_model.feature_sets.first())
    record(review.requested_by, "test.happened", review)
    return {"comparison": comparison, "review": review, "deployment": deployment, "run": run}


@pytest.mark.parametrize("name", LISTS)
def test_every_list_and_detail_reads(everything: dict[str, Any], api_as: As, name: str) -> None:
    api = api_as("viewer")
    body = api.get(f"/api/{name}/").json()
    assert body["count"] >= 1
    first = body["results"][0]
    detail = api.get(f"/api/{name}/{first['id']}/")
    assert detail.status_code == 200
    assert detail.json()["id"] == first["id"]
    assert api.get(f"/api/{name}/{first['id']}").status_code == 200, "the last slash may be left out"


@pytest.mark.parametrize("name", [*LISTS, "audit"])
def test_reading_needs_a_role(api_as: As, name: str) -> None:
    answer = api_as([]).get(f"/api/{name}/")
    assert (answer.status_code, answer["content-type"]) == (403, "application/problem+json")
    assert "role" in answer.json()["title"]


@pytest.mark.parametrize(
    "path", ["", "schema/", "docs/", "runs/", "runs/1/", "reviews/1/approve/", "nowhere"]
)
def test_nobody_reads_without_a_log_in(client: Client, path: str) -> None:
    answer = client.get(f"/api/{path}")
    assert answer.status_code == 401
    assert answer.json()["status"] == 401


@pytest.mark.parametrize("role", ROLES)
def test_the_audit_trail_is_for_those_who_may_see_it(
    everything: dict[str, Any], api_as: As, role: str
) -> None:
    answer = api_as(role).get("/api/audit/")
    if role in ("reviewer", "operator", "admin"):
        assert answer.json()["results"][0]["action"] == "test.happened"
    else:
        assert (answer.status_code, answer.json()["type"]) == (403, "access-denied")


def test_password_log_in_works_for_programs(client: Client) -> None:
    import base64

    user = make_user("viewer", username="robot")
    token = base64.b64encode(f"{user.username}:{PASSWORD}".encode()).decode()
    assert client.get("/api/runs/", headers={"Authorization": f"Basic {token}"}).status_code == 200
    wrong = base64.b64encode(b"robot:wrong").decode()
    assert client.get("/api/runs/", headers={"Authorization": f"Basic {wrong}"}).status_code == 401


def test_what_a_version_shows(everything: dict[str, Any], api_as: As) -> None:
    version = everything["comparison"].challenger
    body = api_as().get(f"/api/versions/{version.pk}/").json()
    assert (body["model"], body["label"], body["stage"]) == ("loan_needs", "v2", "CHALLENGER")
    assert body["package_sha256"] == version.package_sha256
    assert {row["dataset"] for row in body["evaluations"]} == {"TRAIN", "TEST", "OOT"}
    assert body["card"]["parity"]["rows"] == 412


def test_what_a_review_shows(everything: dict[str, Any], api_as: As) -> None:
    body = api_as().get(f"/api/reviews/{everything['review'].pk}/").json()
    assert (body["model"], body["version"], body["incumbent"]) == ("loan_needs", "v2", "v1")
    assert (body["status"], body["decided_by"]) == ("PENDING", None)
    assert [gate["passed"] for gate in body["gates"]] == [True] * 4


def test_what_an_endpoint_and_a_deployment_show(everything: dict[str, Any], api_as: As) -> None:
    api, deployment = api_as(), everything["deployment"]
    endpoint = api.get(f"/api/endpoints/{deployment.endpoint_id}/").json()
    assert [worker["state"] for worker in endpoint["workers"]] == ["serving"]
    body = api.get(f"/api/deployments/{deployment.pk}/").json()
    assert (body["endpoint"], body["version"], body["state"]) == ("loan-needs", "v1", "LIVE")


def test_filters_of_the_pages(everything: dict[str, Any], api_as: As) -> None:
    api = api_as()
    counts = {
        "versions/?stage=CHAMPION": 1,
        "versions/?stage=CHAMPION&stage=CHALLENGER": 2,
        "versions/?model=nobody": 0,
        "reviews/?status=PENDING": 1,
        "runs/?status=SUCCEEDED&base_ym=202606": 1,
        "runs/?status=FAILED": 0,
        "features/?q=balance": 3,
        "features/?dtype=category": 1,
        "comparisons/?verdict=BETTER": 1,
        "deployments/?state=LIVE&endpoint=loan-needs": 1,
        "feature-sets/?is_current=false": 0,
    }
    assert {query: api.get(f"/api/{query}").json()["count"] for query in counts} == counts


@pytest.mark.parametrize(
    "query",
    [
        "runs/?status=SPLENDID",
        "versions/?stage=champion",
        "features/?dtype=number",
        "features/?sort=owner__password",
        "runs/?sort=pipeline__owner__password",
        "reviews/?status=1%00",
        "models/?q=%00",
        "audit/?since=yesterday",
    ],
)
def test_a_wrong_filter_is_a_problem(api_as: As, query: str) -> None:
    answer = api_as("operator").get(f"/api/{query}")
    assert (answer.status_code, answer["content-type"]) == (400, "application/problem+json")
    assert answer.json()["field"] in query


@pytest.mark.parametrize("query", ["q=%C2%B2", "q=" + "9" * 5000, "q=%F0%9F%98%80", "q=%ff", "base_ym=%27OR"])
def test_an_odd_search_finds_nothing_and_breaks_nothing(api_as: As, query: str) -> None:
    for name in [*LISTS, "audit"]:
        assert api_as("operator").get(f"/api/{name}/?{query}").status_code == 200, name


def test_fifty_to_a_page(api_as: As) -> None:
    model = make_version(figures=False).registered_model
    for _ in range(50):
        make_version(model, figures=False)
    api = api_as()
    first = api.get("/api/versions/").json()
    assert (first["count"], len(first["results"])) == (51, 50)
    assert len(api.get("/api/versions/?page=2").json()["results"]) == 1
    for page in ("3", "0", "-1", "x", "9" * 30):
        answer = api.get(f"/api/versions/?page={page}")
        assert (answer.status_code, answer.json()["type"]) == (404, "not-found")


@pytest.mark.parametrize("pk", ["0", "99999", "9" * 25, "abc", "1.5", "-1", "%00", "1%20OR%201=1"])
def test_an_unknown_id_is_not_found(api_as: As, pk: str) -> None:
    api = api_as("operator")
    for name in [*LISTS, "audit"]:
        answer = api.get(f"/api/{name}/{pk}/")
        assert (answer.status_code, answer["content-type"]) == (404, "application/problem+json"), name


def test_an_unknown_address_is_a_problem(api_as: As) -> None:
    for method in ("get", "post", "put", "delete"):
        answer = getattr(api_as(), method)("/api/no/such/thing")
        assert (answer.status_code, answer["content-type"]) == (404, "application/problem+json")


def test_the_root_lists_what_there_is(api_as: As) -> None:
    body = api_as().get("/api/").json()
    assert set(body) == {*LISTS, "audit"}


@pytest.mark.parametrize("name", LISTS)
def test_lists_take_the_same_queries_however_long(
    api_as: As, name: str, django_assert_max_num_queries: Any
) -> None:
    make_review(comparison=make_comparison())
    deployment = make_deployment()
    for index in range(4):
        version = make_version(deployment.endpoint.registered_model)
        make_run(status="SUCCEEDED", version=version)
        make_review(version)
        make_worker(make_deployment(version=version))
        make_feature_set(f"set_{index}")
    api = api_as()
    with django_assert_max_num_queries(6):
        assert api.get(f"/api/{name}/").status_code == 200
