"""The page of the online store: what is published, look-up, consistency, and a Redis that is away."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from apps.features.models import OnlinePublication
from apps.features.records import record_publication
from mlopslib.definition import FeatureSpec
from mlopslib.offline import open_store
from mlopslib.online import open_online
from mlopslib.online.consistency import check_consistency
from mlopslib.online.keys import Keys
from tests.factories import make_feature_set, make_profiles, make_user

PAGE = "/features/sets/cust_grade/online/"
JUNE = datetime(2026, 6, 30, 14, 59, 59, 999999, tzinfo=UTC)
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
FEATURES = (FeatureSpec("bal_avg", "numeric"), FeatureSpec("grade", "category"))


@pytest.fixture
def feature_set(db, tmp_path, settings):
    settings.OFFLINE_URL = f"delta://{tmp_path / 'offline'}"
    row = make_feature_set("cust_grade", features=FEATURES)
    make_profiles(row, months=("202605", "202606"))
    return row


@pytest.fixture
def published(shelf, settings, feature_set):
    """Three customers of 2026-06, one of them with a hostile name and grade."""
    data = pa.table(
        {
            "customer_id": ["c1", "c2", HOSTILE],
            "bal_avg": pa.array([0.1 + 0.2, None, 1234567.5]),
            "grade": ["A", "B", HOSTILE],
        }
    )
    spec = feature_set.to_spec()
    store = open_store(settings.OFFLINE_URL)
    store.overwrite_partition(spec.table, data, column="base_ym", value="202606")
    online = open_online(settings.ONLINE_URL, settings.REDIS_PREFIX)
    publication = online.publish(spec, "202606", [data], JUNE)
    found = check_consistency(store, online, spec)
    facts = {"base_ym": "202606", "generation": 1, "entities": 3, "seconds": publication.seconds}
    record_publication(feature_set=feature_set, publication={**facts, "consistency": found.to_dict()})
    return online


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_what_is_published_and_how_far_it_agrees_is_shown(published, client_as):
    page = client_as("viewer").get(PAGE).content.decode()
    words = text_of(page)
    assert "Online month 2026-06 generation 1" in words
    assert "Equal to the offline month 3 / 3 no difference" in words
    assert "Whole month 3 offline, 3 online" in words
    assert "Check again" not in words
    assert 'aria-current="page">Online</a>' in page


def test_a_look_up_gives_exact_values_with_type_and_age(published, feature_set, client_as):
    published.upsert(feature_set.to_spec(), "c2", {"bal_avg": 77.25}, datetime(2026, 7, 2, tzinfo=UTC))
    words = text_of(client_as("viewer").get(PAGE, {"entity": "c1\r\nc2\r\nnobody"}).content.decode())
    assert "0.30000000000000004" in words
    assert re.search(r"bal_avg number 77\.25 .{0,40}stream", words)
    assert "knows nothing of this entity" in words
    old = text_of(client_as("viewer").get(PAGE, {"entity": "c1", "max_age_hours": "1"}).content.decode())
    assert "too old: given as missing" in old
    assert "0.3000" not in old


def test_texts_of_entities_and_values_are_escaped(published, client_as):
    page = client_as("operator").get(PAGE, {"entity": HOSTILE}).content.decode()
    assert "&lt;img src=x onerror=alert(2)&gt;" in page
    assert "<script>alert" not in page
    assert "<img" not in page


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"entity": "c1", "max_age_hours": "soon"}, "number of hours above 0"),
        ({"entity": "c1", "max_age_hours": "-1"}, "above 0"),
        ({"entity": "c1", "max_age_hours": "nan"}, "above 0"),
        ({"entity": "\n".join(f"c{i}" for i in range(21))}, "20 entities at a time"),
        ({"entity": "x" * 2000}, "characters at most"),
    ],
)
def test_a_wrong_question_is_answered_in_words(published, client_as, query, words):
    response = client_as("viewer").get(PAGE, query)
    assert response.status_code == 200
    page = response.content.decode()
    assert words in page
    assert 'aria-invalid="true"' in page


def test_whole_numbers_are_asked_for_as_such(shelf, settings, feature_set, client_as):
    online = open_online(settings.ONLINE_URL, settings.REDIS_PREFIX)
    data = pa.table({"customer_id": [17, 42], "bal_avg": [1.5, 2.5], "grade": ["A", "B"]})
    online.publish(feature_set.to_spec(), "202606", [data], JUNE)
    words = text_of(client_as("viewer").get(PAGE, {"entity": "42, 17"}).content.decode())
    assert "2.5" in words
    assert "1.5" in words
    wrong = client_as("viewer").get(PAGE, {"entity": "42 c1"}).content.decode()
    assert "&#x27;c1&#x27; is not a whole number" in wrong


def test_checking_again_finds_what_changed_meanwhile(published, shelf, settings, client_as, feature_set):
    keys = Keys(settings.REDIS_PREFIX, "cust_grade", feature_set.version)
    shelf.delete(keys.rows(1) + b"tc1")
    response = client_as("data_scientist").post(f"{PAGE}check/", follow=True)
    words = text_of(response.content.decode())
    assert "2 of 3 entities checked are equal." in words
    assert "Equal to the offline month 2 / 3 differences found" in words
    assert OnlinePublication.objects.get().consistency["missing"] == 1
    assert client_as("viewer").post(f"{PAGE}check/").status_code == 403


def test_a_redis_that_is_away_is_a_notice(feature_set, client_as):
    client = client_as("data_scientist")
    for query in ({}, {"entity": "c1"}):
        response = client.get(PAGE, query)
        assert response.status_code == 200
        assert "The online store does not answer" in response.content.decode()
    response = client.post(f"{PAGE}check/", follow=True)
    assert "there is no Redis at" in response.content.decode()


def test_a_redis_that_was_emptied_is_told(published, shelf, feature_set, client_as):
    published.remove("cust_grade", feature_set.version)
    page = client_as("viewer").get(PAGE).content.decode()
    assert "holds nothing of what was published" in page


def test_an_empty_page_says_what_would_be_here_and_offers_the_newest_month(shelf, feature_set, client_as):
    page = client_as("data_scientist").get(PAGE).content.decode()
    assert "Nothing of this version is online" in page
    assert 'action="/runs/start/online/cust_grade/"' in page
    assert 'name="base_ym" value="202606"' in page
    assert "Publish 2026-06 online" in text_of(page)
    assert "/runs/start/" not in client_as("viewer").get(PAGE).content.decode()


def test_a_newer_month_offline_is_told(published, feature_set, client_as):
    make_profiles(feature_set, months=("202607",))
    words = text_of(client_as("operator").get(PAGE).content.decode())
    assert "2026-06 is online; 2026-07 stands in the offline store" in words


def test_consumers_tell_what_they_do(published, feature_set, client_as):
    facts = {
        "source": HOSTILE,
        "read": 1200,
        "written": 1100,
        "known": 90,
        "bad": 10,
        "lag": 35,
        "newest": "",
    }
    published.report_stream("cust_grade", feature_set.version, "host-1", {**facts, "is_running": True})
    page = client_as("viewer").get(PAGE).content.decode()
    assert "Written 1,100 of 1,200 read" in text_of(page)
    assert "<script>alert" not in page


def test_a_person_without_a_role_sees_nothing(published, client_as):
    assert client_as(make_user([])).get(PAGE).status_code == 403
    assert client_as("viewer").get("/features/sets/none/online/").status_code == 404
