"""Publishing a feature query by REST."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rest_framework.test import APIClient

from apps.features.models import FeatureSet, LeakProof
from mlopslib.offline import open_store
from tests.api.test_write import problem_of
from tests.factories import make_feature_set, make_model

pytestmark = pytest.mark.django_db

As = Callable[..., APIClient]


@pytest.fixture
def store(tmp_path: Path, settings: Any) -> None:
    settings.OFFLINE_URL = f"delta://{tmp_path / 'offline'}"
    table = pa.table({"customer_id": ["1"], "base_ym": ["202401"], "balance": [1.5]})
    open_store(settings.OFFLINE_URL).create_table("balances", table)


def new_set(**changes: Any) -> dict[str, Any]:
    sql = (
        "SELECT customer_id, SUM(balance) AS bal FROM balances "
        "WHERE base_ym = '{base_ym}' GROUP BY customer_id"
    )
    return {
        "name": "cust_balance",
        "title": "Balances",
        "entity": "customer",
        "entity_key": "customer_id",
        "sql": sql,
    } | changes


def test_publish_a_feature_set(api_as: As, store: None) -> None:
    api = api_as("data_scientist")
    feature = {"name": "bal", "dtype": "numeric", "description": "sum of balances"}
    answer = api.post("/api/feature-sets/", new_set(features=[feature]))
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert (body["owner"], body["version"], body["source_tables"]) == (api.user.username, 1, ["balances"])
    assert body["features"][0]["description"] == "sum of balances"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"sql": "DROP TABLE balances"}, "sql-rejected"),
        ({"sql": "SELECT 1; SELECT 2"}, "sql-rejected"),
        ({"sql": new_set()["sql"].replace("base_ym}", "base_yn}")}, "unknown-parameter"),
        ({"sql": "SELECT customer_id, x FROM nowhere"}, "table-not-found"),
        ({"sql": "SELECT customer_id, no_such FROM balances"}, None),
        ({"entity_key": "account_id"}, "definition-invalid"),
        ({"features": [{"name": "gone", "dtype": "numeric"}]}, "definition-invalid"),
    ],
)
def test_sql_that_cannot_be_published_names_its_fault(
    api_as: As, store: None, change: dict[str, Any], code: str | None
) -> None:
    status, found, field = problem_of(api_as("data_scientist").post("/api/feature-sets/", new_set(**change)))
    assert status == 422
    assert code in (None, found)
    assert field in {"sql", *change}
    assert not FeatureSet.objects.exists()


@pytest.mark.parametrize("field", ["owner", "version", "is_current", "sql_sha256", "source_tables", "id"])
def test_no_field_is_assigned_from_outside(api_as: As, store: None, field: str) -> None:
    answer = api_as("data_scientist").post("/api/feature-sets/", new_set(**{field: 7}))
    assert problem_of(answer) == (400, "invalid", field)


@pytest.mark.parametrize("role", ["viewer", "reviewer", "operator", "admin"])
def test_publishing_needs_a_data_scientist(api_as: As, store: None, role: str) -> None:
    assert problem_of(api_as(role).post("/api/feature-sets/", new_set()))[0] == 403


# drafts, checks, previews, the end ------------------------------------------------------------------


def test_a_draft_is_kept_changed_and_published(api_as: As, store: None) -> None:
    api = api_as("data_scientist")
    body = new_set(publish=False, tags=["deposits"])
    draft = api.post("/api/feature-sets/", body).json()
    assert (draft["status"], draft["is_current"], draft["tags"]) == ("DRAFT", False, ["deposits"])
    address = f"/api/feature-sets/{draft['id']}/"
    changed = api.patch(address, {"title": "Sums", "seen_at": draft["updated_at"]}).json()
    assert (changed["title"], changed["sql"], changed["tags"]) == ("Sums", body["sql"], ["deposits"])
    stale = api.patch(address, {"title": "Mine", "seen_at": draft["updated_at"]})
    assert problem_of(stale)[:2] == (409, "conflict")
    done = api.post(f"{address}publish/", {})
    assert (done.status_code, done.json()["status"], done.json()["is_current"]) == (200, "PUBLISHED", True)
    assert problem_of(api.patch(address, {"title": "Late"}))[:2] == (409, "conflict")
    assert problem_of(api.post(f"{address}publish/", {}))[:2] == (409, "conflict")
    assert problem_of(api.patch(address, {"name": "other"})) == (400, "invalid", "name")


def test_what_reads_the_future_is_not_published(api_as: As, store: None) -> None:
    api = api_as("data_scientist")
    future = new_set(sql=new_set()["sql"].replace("= '{base_ym}'", "<= '{af_1m_ym}'"))
    assert problem_of(api.post("/api/feature-sets/", future)) == (422, "definition-invalid", "sql")
    open_end = new_set(sql=new_set()["sql"].replace("= '{base_ym}'", ">= '{base_ym}'"))
    assert problem_of(api.post("/api/feature-sets/", open_end)) == (422, "definition-invalid", "acknowledge")
    assert api.post("/api/feature-sets/", open_end | {"acknowledge": "cut by its view"}).status_code == 201


def test_a_check_tells_everything_without_saving(api_as: As, store: None) -> None:
    api = api_as("data_scientist")
    good = api.post("/api/feature-sets/check/", {"sql": new_set()["sql"], "entity_key": "customer_id"}).json()
    assert (good["is_ok"], good["tables"]) == (True, ["balances"])
    assert [(column["name"], column["is_key"]) for column in good["columns"]] == [
        ("customer_id", True),
        ("bal", False),
    ]
    assert good["sources"][0]["status"] == "bounded"
    bad = api.post("/api/feature-sets/check/", {"sql": "SELECT x FROM nowhere WHERE ym = '{bas_ym}'"}).json()
    assert (bad["is_ok"], len(bad["findings"]), bad["sources"]) == (False, 2, [])
    assert problem_of(api.post("/api/feature-sets/check/", {"sql": "SELECT 1", "base_ym": "2026"}))[0] == 400
    assert not FeatureSet.objects.exists()


def test_a_preview_gives_rows_and_the_count_of_the_key(api_as: As, store: None) -> None:
    api = api_as("data_scientist")
    body = {"sql": new_set()["sql"], "entity_key": "customer_id", "base_ym": "2024-01"}
    answer = api.post("/api/feature-sets/preview/", body).json()
    assert (answer["columns"], answer["rows"]) == (["customer_id", "bal"], [["1", "1.5"]])
    assert answer["key"] == {"rows": 1, "missing": 0, "entities": 1, "is_unique": True}
    assert problem_of(api.post("/api/feature-sets/preview/", body | {"sql": "DROP TABLE x"}))[0] == 422
    none = api.post("/api/feature-sets/cancel-query/", {"query_id": "7f0b1b0a-8f9f-4a57-8a5e-8a3b0c1d2e3f"})
    assert none.json() == {"asked": False}


def test_deprecate_restore_and_delete(api_as: As, store: None) -> None:
    api = api_as("data_scientist")
    row = api.post("/api/feature-sets/", new_set()).json()
    address = f"/api/feature-sets/{row['id']}/"
    body = api.post(f"{address}deprecate/", {"reason": "it ends in May"}).json()
    assert (body["status"], body["deprecation_reason"]) == ("DEPRECATED", "it ends in May")
    assert api.post(f"{address}restore/", {}).json()["status"] == "PUBLISHED"
    model = make_model(feature_sets=[FeatureSet.objects.get()])
    assert api.get(f"{address}uses/").json() == [{"kind": "model", "name": model.name, "version": 1}]
    refused = api.delete(address)
    assert problem_of(refused)[:2] == (409, "conflict")
    assert model.name in refused.json()["title"]
    model.feature_sets.clear()
    assert api.delete(address).status_code == 204
    assert problem_of(api.get(address))[:2] == (404, "not-found")
    assert api.get("/api/feature-sets/").json()["count"] == 0


def test_proofs_are_read_by_month(api_as: As) -> None:
    row = make_feature_set()
    for month in ("202605", "202604"):
        LeakProof.objects.create(feature_set=row, base_ym=month, outcome="PROVED", sentence="fine")
    body = api_as("viewer").get(f"/api/feature-sets/{row.pk}/proofs/").json()
    assert [(item["base_ym"], item["outcome"]) for item in body] == [
        ("202604", "PROVED"),
        ("202605", "PROVED"),
    ]


@pytest.mark.parametrize("role", ["viewer", "reviewer", "operator", "admin"])
def test_changing_anything_needs_a_data_scientist(api_as: As, store: None, role: str) -> None:
    api, row = api_as(role), make_feature_set()
    address = f"/api/feature-sets/{row.pk}/"
    answers = [
        api.patch(address, {"title": "x"}),
        api.delete(address),
        api.post(f"{address}publish/", {}),
        api.post(f"{address}deprecate/", {"reason": "x"}),
        api.post(f"{address}restore/", {}),
        api.post("/api/feature-sets/check/", {"sql": "SELECT 1"}),
        api.post("/api/feature-sets/preview/", {"sql": "SELECT 1", "base_ym": "202401"}),
    ]
    assert [problem_of(answer)[:2] for answer in answers] == [(403, "access-denied")] * len(answers)
