"""Late: a month that a schedule was due to make does not stand in the store."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from apps.features.freshness import due_months, freshness
from apps.features.models import FeatureSet
from apps.pipelines.models import Schedule
from tests.factories import make_feature_set, make_pipeline, make_profiles

SEOUL = ZoneInfo("Asia/Seoul")
NOW = datetime(2026, 8, 10, 9, 0, tzinfo=SEOUL)


@pytest.fixture(autouse=True)
def _zone(settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Seoul"


def schedule(row: FeatureSet, *, since: datetime, **fields: Any) -> Schedule:
    pipeline = make_pipeline("materialise", feature_set=row)
    made = Schedule.objects.create(pipeline=pipeline, owner=row.owner, **fields)
    Schedule.objects.filter(pk=made.pk).update(created_at=since)
    return made


def test_a_schedule_owes_the_months_since_it_was_made():
    since = datetime(2026, 5, 20, tzinfo=SEOUL)
    assert list(due_months(3, 2, 1, since, NOW)) == ["202605", "202606", "202607"]
    # the day of this month has not come
    assert list(due_months(11, 2, 1, since, NOW)) == ["202605", "202606"]
    # an hour before and at the hour, in the zone of the portal
    assert list(due_months(10, 9, 1, datetime(2026, 8, 1, tzinfo=SEOUL), NOW)) == ["202607"]
    assert list(due_months(10, 10, 1, datetime(2026, 8, 1, tzinfo=SEOUL), NOW)) == []
    # what was due before the schedule was made was nobody's wish
    assert list(due_months(3, 2, 1, datetime(2026, 8, 3, 3, tzinfo=SEOUL), NOW)) == []


def test_months_of_long_ago_are_no_news():
    months = list(due_months(3, 2, 1, datetime(2020, 1, 1, tzinfo=SEOUL), NOW))
    assert (months[0], months[-1], len(months)) == ("202507", "202607", 13)


@pytest.mark.django_db
def test_each_set_is_on_schedule_late_or_not_scheduled():
    since = datetime(2026, 5, 20, tzinfo=SEOUL)
    fine, late, free, off = (make_feature_set(name) for name in ("fine", "late", "free", "off"))
    make_profiles(fine, months=["202605", "202606", "202607"])
    make_profiles(late, months=["202605", "202607"])
    make_profiles(free, months=["202601"])
    for row in (fine, late):
        schedule(row, since=since)
    schedule(off, since=since, is_enabled=False)
    known = freshness(NOW)
    assert [known.of(row.pk) for row in (fine, late, free, off)] == [
        "on_schedule",
        "late",
        "not_scheduled",
        "not_scheduled",
    ]
    assert known.late == {late.pk: "202606"}


@pytest.mark.django_db
def test_the_page_filters_and_counts_by_freshness(client_as):
    row, other = make_feature_set("cust_balance"), make_feature_set("cust_txn")
    schedule(row, since=datetime(2026, 1, 1, tzinfo=SEOUL))
    client = client_as("viewer")
    page = client.get("/features/?freshness=late").content.decode()
    assert "bal_avg_3m" in page
    assert "txn_cnt_3m" not in page
    assert client.get("/features/?tab=late").content.decode().count('class="name"') == 3
    page = client.get("/features/?freshness=not_scheduled").content.decode()
    assert "txn_cnt_3m" in page
    assert "bal_avg_3m" not in page
    assert other.features.count() == 2
