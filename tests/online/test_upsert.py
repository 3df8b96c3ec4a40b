"""Streamed values: in any order, as often as they come, across publications."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime, timedelta

import pytest

from mlopslib.errors import InvalidInput
from mlopslib.online import Event
from tests.online.conftest import JUNE, SPEC, rows

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


def look(online, entity):
    return online.get(SPEC.name, SPEC.version, [entity])[0]


def write(online, entity, when, **values):
    (answer,) = online.upsert_many(SPEC, [Event(entity, when, values)], now=LATER + timedelta(days=400))
    return answer


def test_a_streamed_value_stands_before_the_published_one(online):
    online.publish(SPEC, "202606", rows(["a", "b"], [1.0, 2.0]), JUNE)
    assert write(online, "a", NOON, bal_avg=7.5) is True
    row = look(online, "a")
    assert row.values == {"bal_avg": 7.5, "grade": "A"}
    assert row.streamed == {"bal_avg": NOON}
    assert row.event_time == JUNE
    assert look(online, "b").values == {"bal_avg": 2.0, "grade": "A"}


def test_an_event_that_comes_twice_changes_nothing(online):
    assert write(online, "a", NOON, bal_avg=1.0) is True
    assert write(online, "a", NOON, bal_avg=1.0) is False


def test_a_late_event_does_not_overwrite_a_newer_one(online):
    write(online, "a", LATER, bal_avg=2.0)
    assert write(online, "a", NOON, bal_avg=1.0) is False
    assert look(online, "a").values["bal_avg"] == 2.0


def test_an_event_before_the_end_of_the_published_month_does_not_show(online):
    online.publish(SPEC, "202606", rows(["a"], [1.0]), JUNE)
    write(online, "a", JUNE - timedelta(seconds=1), bal_avg=9.0)
    assert look(online, "a").values["bal_avg"] == 1.0
    assert look(online, "a").streamed == {}


def test_partial_events_merge_feature_by_feature(online):
    write(online, "a", LATER, grade="B")
    assert write(online, "a", NOON, bal_avg=1.0, grade="A") is True
    row = look(online, "a")
    assert row.values == {"bal_avg": 1.0, "grade": "B"}
    assert row.event_time == NOON


def test_a_feature_that_nobody_wrote_is_missing(online):
    write(online, "a", NOON, grade=None)
    row = look(online, "a")
    assert (row.values, row.status) == ({"bal_avg": None, "grade": None}, "ok")


def test_age_is_counted_for_each_feature(online):
    online.publish(SPEC, "202606", rows(["a"], [1.0]), JUNE)
    write(online, "a", NOON, bal_avg=2.0)
    (row,) = online.get(SPEC.name, SPEC.version, ["a"], max_age_seconds=3600, now=NOON + timedelta(minutes=5))
    assert (row.status, row.stale, row.values) == ("stale", ("grade",), {"bal_avg": 2.0, "grade": None})


def test_the_same_events_in_any_order_and_number_end_the_same(online):
    """Three features' worth of events with equal times and different values among them."""
    chance = random.Random(7)
    events = [
        Event(
            "x", NOON + timedelta(seconds=chance.randrange(4)), {chance.choice(["bal_avg"]): chance.random()}
        )
        for _ in range(20)
    ]
    events += [Event("x", NOON + timedelta(seconds=chance.randrange(4)), {"grade": c}) for c in "ABCD"]
    ends = set()
    for number in range(12):
        shuffled = [Event(f"e{number}", e.event_time, e.values) for e in events + chance.sample(events, 8)]
        chance.shuffle(shuffled)
        online.upsert_many(SPEC, shuffled, now=LATER)
        row = look(online, f"e{number}")
        ends.add((row.values["bal_avg"], row.values["grade"], *sorted(row.streamed.items())))
    assert len(ends) == 1


def test_numbers_survive_the_script_exactly(online):
    for number in (0.1, 1e308, 5e-324, 2**53 + 1, 2**64 - 1, -(2**63), 3, 3.0, -0.0):
        write(online, f"n{number!r}", NOON, bal_avg=number, grade="\x00한글🙂")
        row = look(online, f"n{number!r}")
        assert row.values == {"bal_avg": number, "grade": "\x00한글🙂"}
        assert isinstance(row.values["bal_avg"], type(number))
    precise = datetime(2026, 7, 1, 12, 0, 0, 123457, tzinfo=UTC)
    write(online, "p", precise, bal_avg=1.0)
    assert look(online, "p").event_time == precise


def test_a_publication_keeps_newer_streamed_values_and_drops_overtaken_ones(online, redis_server):
    july = datetime(2026, 7, 31, 23, 59, 59, tzinfo=UTC)
    write(online, "old", NOON, bal_avg=1.0)
    write(online, "new", july + timedelta(seconds=1), bal_avg=2.0)
    write(online, "outside", NOON, bal_avg=3.0)
    online.publish(SPEC, "202607", rows(["old", "new"], [100.0, 100.0]), july)
    assert look(online, "old").values["bal_avg"] == 100.0
    assert look(online, "new").values["bal_avg"] == 2.0
    assert look(online, "outside").values["bal_avg"] == 3.0
    assert online.last_streamed(SPEC.name, SPEC.version) == (july + timedelta(seconds=1), 2)
    assert redis_server.client.keys(f"{online.prefix}:*:s:told") == []


def test_nothing_that_is_streamed_during_publications_is_lost(online):
    stop, written = threading.Event(), 0

    def publish() -> None:
        while not stop.is_set():
            online.publish(SPEC, "202606", rows([f"c{i}" for i in range(50)]), JUNE)

    publisher = threading.Thread(target=publish)
    publisher.start()
    for number in range(400):
        written += write(online, f"c{number % 60}", NOON + timedelta(seconds=number), bal_avg=float(number))
    stop.set()
    publisher.join()
    assert written == 400
    for entity in range(60):
        newest = max(n for n in range(400) if n % 60 == entity)
        assert look(online, f"c{entity}").values["bal_avg"] == float(newest)


@pytest.mark.parametrize(
    ("entity", "when", "values", "field", "words"),
    [
        ("a", NOON, {}, "values", "no values"),
        ("a", NOON, {"bal": 1.0}, "values.bal", "has no feature 'bal'; it has bal_avg, grade"),
        ("a", NOON, {"bal_avg": "1"}, "values.bal_avg", "give a finite number, or null"),
        ("a", NOON, {"bal_avg": True}, "values.bal_avg", "finite number"),
        ("a", NOON, {"bal_avg": float("inf")}, "values.bal_avg", "finite number"),
        ("a", NOON, {"bal_avg": 2**64}, "values.bal_avg", "finite number"),
        ("a", NOON, {"grade": 3}, "values.grade", "give a text"),
        ("a", NOON, {"grade": "\ud800"}, "values.grade", "give a text"),
        ("a", NOON, {"grade": "x" * 40_000}, "values.grade", "give a text"),
        ("a", NOON.replace(tzinfo=None), {"grade": "A"}, "event_time", "has no zone"),
        ("a", LATER + timedelta(hours=2), {"grade": "A"}, "event_time", "is in the future"),
        (7, NOON, {"grade": "A"}, "entity", "are texts; 7 is not"),
        (1.5, NOON, {"grade": "A"}, "entity", "whole number or a text"),
    ],
)
def test_a_bad_event_is_refused_in_words_and_stops_no_other(online, entity, when, values, field, words):
    online.publish(SPEC, "202606", rows(["a"]), JUNE)
    bad, good = online.upsert_many(
        SPEC, [Event(entity, when, values), Event("a", NOON, {"bal_avg": 5.0})], now=LATER
    )
    assert isinstance(bad, InvalidInput)
    assert bad.field == field
    assert words in bad.message
    assert good is True
    assert look(online, "a").values["bal_avg"] == 5.0
