"""The newest values of entities by REST."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from rest_framework.test import APIClient

from apps.features.models import FeatureSet
from mlopslib.definition import FeatureSpec
from mlopslib.online import OnlineStore, open_online
from tests.api.test_write import problem_of
from tests.factories import make_feature_set, make_user

pytestmark = pytest.mark.django_db

As = Callable[..., APIClient]
ADDRESS = "/api/online/get"
FEATURES = (FeatureSpec("bal_avg", "numeric"), FeatureSpec("grade", "category"))


@pytest.fixture
def online(shelf: Any, settings: Any) -> OnlineStore:
    row = make_feature_set("cust_grade", features=FEATURES)
    store = open_online(settings.ONLINE_URL, settings.REDIS_PREFIX)
    data = pa.table(
        {"customer_id": ["c1", "c2"], "bal_avg": [0.1 + 0.2, None], "grade": ["A", "한글 </script>"]}
    )
    store.publish(row.to_spec(), "202606", [data], datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC))
    return store


def ask(**changes: Any) -> dict[str, Any]:
    return {"feature_set": "cust_grade", "entities": ["c1", "c2", "c3"]} | changes


def test_known_and_unknown_entities_in_the_order_asked_for(api_as: As, online: OnlineStore) -> None:
    streamed_at = datetime(2026, 7, 1, 12, tzinfo=UTC)
    online.upsert(FeatureSet.objects.get().to_spec(), "c2", {"bal_avg": 5}, streamed_at)
    answer = api_as("viewer").post(ADDRESS, ask())
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert (body["feature_set"], body["version"]) == ("cust_grade", 1)
    first, second, third = body["rows"]
    assert first["values"] == {"bal_avg": 0.30000000000000004, "grade": "A"}
    assert (first["status"], first["stale"], first["streamed"]) == ("ok", [], {})
    assert datetime.fromisoformat(first["event_time"]) == datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC)
    assert second["values"] == {"bal_avg": 5, "grade": "한글 </script>"}
    assert datetime.fromisoformat(second["streamed"]["bal_avg"]) == streamed_at
    assert (third["entity"], third["status"], third["values"], third["event_time"]) == (
        "c3",
        "missing",
        None,
        None,
    )


def test_some_features_and_a_maximum_age(api_as: As, online: OnlineStore) -> None:
    body = api_as("viewer").post(ADDRESS, ask(entities=["c1"], features=["grade"], max_age_seconds=60)).json()
    (row,) = body["rows"]
    assert (row["status"], row["stale"], row["values"]) == ("stale", ["grade"], {"grade": None})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"entities": []}, (400, "invalid", "entities")),
        ({"entities": ["c"] * 1001}, (400, "invalid", "entities")),
        ({"entities": [1.5]}, (400, "invalid", "entities")),
        ({"entities": [True]}, (400, "invalid", "entities")),
        ({"entities": "c1"}, (400, "invalid", "entities")),
        ({"entities": [17]}, (422, "invalid-input", "entities[0]")),
        ({"entities": ["c1", "x" * 1001]}, (422, "invalid-input", "entities[1]")),
        ({"entities": [2**70]}, (422, "invalid-input", "entities[0]")),
        ({"features": ["nope"]}, (422, "invalid-input", "features")),
        ({"max_age_seconds": -1}, (422, "invalid-input", "max_age_seconds")),
        ({"feature_set": "nowhere"}, (422, "invalid-input", "feature_set")),
        ({"version": 9}, (422, "invalid-input", "version")),
        ({"color": "red"}, (400, "invalid", "color")),
    ],
)
def test_a_wrong_question_names_its_fault(
    api_as: As, online: OnlineStore, changes: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    assert problem_of(api_as("viewer").post(ADDRESS, ask(**changes))) == expected


def test_what_is_not_online_is_said(api_as: As, online: OnlineStore) -> None:
    make_feature_set("cust_txn")
    answer = api_as("viewer").post(ADDRESS, ask(feature_set="cust_txn"))
    assert problem_of(answer) == (422, "not-online", "feature_set")


def test_a_redis_that_is_away_is_worth_another_try(api_as: As) -> None:
    make_feature_set("cust_grade", features=FEATURES)
    assert problem_of(api_as("viewer").post(ADDRESS, ask())) == (503, "online-store", None)


def test_a_draft_is_not_served_and_a_role_is_needed(api_as: As, online: OnlineStore) -> None:
    assert api_as(make_user([])).post(ADDRESS, ask()).status_code == 403
    FeatureSet.objects.update(status="DRAFT", is_current=False)
    assert problem_of(api_as("viewer").post(ADDRESS, ask())) == (422, "invalid-input", "feature_set")
