"""Conditions that come again every day or every year end nothing, however rarely they hold."""

from __future__ import annotations

import pytest

from mlopslib.sql.leaks import check_static

SCHEMA = {"events": {"id": "varchar", "event_ts": "timestamp", "amount": "double"}}
_SELECT = "select id, sum(amount) as f from events where {} group by id"
_BOUND = "event_ts < to_timestamp('{af_1m_dt}', 'yyyyMMdd')"

RECURRING = [
    "hour(event_ts) between 2 and 5",
    "hour(event_ts) = 3 and minute(event_ts) = 17",
    "extract(hour from event_ts) = 3",
    "date_part('hour', event_ts) = 3",
    "from_timestamp(event_ts, 'HHmm') = '0317'",
    "unix_timestamp(event_ts) % 86400 between 100 and 200",
    "month(event_ts) = 12 and day(event_ts) between 24 and 26",
    "from_timestamp(event_ts, 'MMdd') = '0720'",
    "dayofweek(event_ts) = 6 and day(event_ts) = 13",
]


def _is_clean(condition: str) -> bool:
    return check_static(_SELECT.format(condition), "202401", schema=SCHEMA, timeless={}).is_clean


@pytest.mark.parametrize("condition", RECURRING)
def test_what_comes_again_is_no_bound(condition):
    assert not _is_clean(condition)


@pytest.mark.parametrize("condition", RECURRING)
def test_a_bound_stays_one_beside_what_comes_again(condition):
    assert _is_clean(f"{_BOUND} and {condition}")


@pytest.mark.parametrize("condition", RECURRING)
def test_or_opens_the_bound(condition):
    assert not _is_clean(f"({_BOUND} or ({condition}))")


def test_a_time_that_is_written_with_its_day_is_a_bound():
    assert _is_clean("from_timestamp(event_ts, 'yyyyMMddHHmmss') <= '{base_dt}235959'")
