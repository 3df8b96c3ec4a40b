"""Publishing a feature query by REST."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rest_framework.test import APIClient

from apps.features.models import FeatureSet
from mlopslib.offline import open_store
from tests.api.test_write import problem_of

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
