"""A month goes online whole, at once, or not at all."""

from __future__ import annotations

import math
import random
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from mlopslib.errors import Conflict, DataError, EmptyMonth, InvalidInput, NotOnline, OnlineStoreError
from mlopslib.online import open_online, publishing
from tests.conftest import free_port
from tests.online.conftest import JUNE, SPEC, rows


def values_of(online, entities):
    return [row.values for row in online.get(SPEC.name, SPEC.version, entities)]


def row_keys(redis_server, online) -> list[bytes]:
    """Every key of rows of generations, whatever the store believes that there is."""
    start = f"{online.prefix}:fs:{SPEC.name}:{SPEC.version}:".encode()
    found = redis_server.client.scan_iter(match=f"{online.prefix}:*", count=10_000)
    return [key for key in found if key.removeprefix(start).split(b":")[0].isdigit()]


def test_numbers_texts_and_missing_values_come_back_exactly(online):
    balances = [0.1, -0.0, 5e-324, 1.7976931348623157e308, None, math.nan, math.inf, 1 / 3]
    grades = ["A", "", "한글 🙂", "a\x00b", "line\nbreak", None, "</script><script>", "'; DROP"]
    online.publish(SPEC, "202606", rows(list(range(8)), balances, grades), JUNE)
    found = values_of(online, list(range(8)))
    assert [row["grade"] for row in found] == grades
    assert [row["bal_avg"] for row in found] == [
        0.1,
        -0.0,
        5e-324,
        1.7976931348623157e308,
        None,
        None,
        None,
        1 / 3,
    ]
    assert math.copysign(1, found[1]["bal_avg"]) == -1


def test_whole_numbers_beyond_two_to_the_53_stay_exact(online):
    big = [2**53 + 1, -(2**63), 2**63 - 1]
    online.publish(SPEC, "202606", rows(["a", "b", "c"], big), JUNE)
    assert [row["bal_avg"] for row in values_of(online, ["a", "b", "c"])] == big


def test_entities_are_told_apart_whatever_characters_they_hold(online):
    names = [
        "42",
        "i42",
        "t42",
        "a:b",
        "a",
        "a:b:c",
        "",
        " ",
        "s:x",
        "현수",
        "a\x00",
        "*",
        "{x}",
        "%s",
        "x" * 1000,
    ]
    online.publish(SPEC, "202606", rows(names), JUNE)
    assert [row["bal_avg"] for row in values_of(online, names)] == [float(i) for i in range(len(names))]
    assert values_of(online, ["i4"]) == [None]


def test_a_number_is_not_a_text(online):
    online.publish(SPEC, "202606", rows([42, -7, 2**63 - 1]), JUNE)
    assert values_of(online, [-7, 2**63 - 1, 42])[0]["bal_avg"] == 1.0
    with pytest.raises(InvalidInput, match="are whole numbers; '42' is not") as refused:
        online.get(SPEC.name, SPEC.version, [42, "42"])
    assert refused.value.field == "entities[1]"


@pytest.mark.parametrize("entity", [True, 1.5, None, b"x", ["a"], 2**63, "\ud800", "x" * 1001])
def test_what_cannot_name_an_entity_is_refused(online, entity):
    online.publish(SPEC, "202606", rows(["a"]), JUNE)
    with pytest.raises(InvalidInput) as refused:
        online.get(SPEC.name, SPEC.version, ["a", entity])
    assert refused.value.field == "entities[1]"


def test_a_second_publication_replaces_the_first_and_leaves_nothing_of_it(online, redis_server):
    online.publish(SPEC, "202605", rows(["a", "b", "gone"]), JUNE)
    second = online.publish(SPEC, "202606", rows(["a", "b"], [10.0, 11.0]), JUNE)
    assert second.generation == 2
    assert values_of(online, ["a", "gone"]) == [{"bal_avg": 10.0, "grade": "A"}, None]
    assert len(row_keys(redis_server, online)) == 2
    assert online.current(SPEC.name, SPEC.version) == second


def test_versions_do_not_meet(online):
    online.publish(SPEC, "202606", rows(["a"]), JUNE)
    with pytest.raises(NotOnline, match="cust_balance v4 is not in the online store: publish"):
        online.get(SPEC.name, 4, ["a"])


@pytest.mark.parametrize("size", [1, publishing.CHUNK, 3 * publishing.CHUNK + 7])
def test_readers_never_see_two_generations_mixed(online, size):
    """Every value of a generation is its number; three readers look while it is published again and again."""
    entities = [f"c{i}" for i in range(size)]
    online.publish(SPEC, "202606", rows(entities, [0.0] * size), JUNE)
    seen, stop, mixed = set(), threading.Event(), []

    def read() -> None:
        reader = open_online(online.url, online.prefix, read_seconds=5)
        while not stop.is_set():
            asked = random.sample(entities, min(15, size))
            answer = {
                row.values and row.values["bal_avg"] for row in reader.get(SPEC.name, SPEC.version, asked)
            }
            seen.update(answer)
            if len(answer) > 1 or None in answer:
                mixed.append(answer)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(1, 9):
        online.publish(SPEC, "202606", rows(entities, [float(number)] * size), JUNE)
    stop.set()
    for reader in readers:
        reader.join()
    assert mixed == []
    assert len(seen) > 2


def test_two_publishers_at_once_end_at_the_newer_generation(online, redis_server):
    """The older one gives up, and takes its rows with it."""
    reached, go_on = threading.Event(), threading.Event()
    failed = []

    def slow_rows():
        yield from rows(["a", "old"], [1.0, 1.0])
        reached.set()
        assert go_on.wait(10)
        yield from rows(["b"], [1.0])

    def publish_slowly() -> None:
        try:
            online.publish(SPEC, "202605", slow_rows(), JUNE)
        except Conflict as error:
            failed.append(error.message)

    slow = threading.Thread(target=publish_slowly)
    slow.start()
    assert reached.wait(10)
    quick = open_online(online.url, online.prefix).publish(SPEC, "202606", rows(["a", "b"], [2.0, 2.0]), JUNE)
    go_on.set()
    slow.join()
    assert quick.generation == 2
    assert failed == ["generation 1 of cust_balance was given up: a newer one is published already"]
    assert [row["bal_avg"] for row in values_of(online, ["a", "b"])] == [2.0, 2.0]
    assert len(row_keys(redis_server, online)) == 2


def test_a_publisher_killed_half_way_changes_nothing_and_is_swept_by_the_next(online, redis_server, tmp_path):
    online.publish(SPEC, "202605", rows(["a", "b"], [1.0, 1.0]), JUNE)
    script = tmp_path / "publish.py"
    script.write_text(f"""
import time
from mlopslib.online import open_online
from tests.online.conftest import JUNE, SPEC, rows
def endless():
    yield from rows([f"x{{i}}" for i in range(5_000)])
    print("half", flush=True)
    time.sleep(60)
open_online({online.url!r}, {online.prefix!r}).publish(SPEC, "202606", endless(), JUNE)
""")
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, env={"PYTHONPATH": "."})
    assert process.stdout is not None
    assert process.stdout.readline() == b"half\n"
    process.kill()
    process.wait()
    process.stdout.close()
    assert online.current(SPEC.name, SPEC.version).generation == 1
    assert values_of(online, ["a", "x1"]) == [{"bal_avg": 1.0, "grade": "A"}, None]
    assert len(row_keys(redis_server, online)) == 5_002
    assert online.publish(SPEC, "202606", rows(["a"], [3.0]), JUNE).generation == 3
    assert len(row_keys(redis_server, online)) == 1
    assert redis_server.client.keys(f"{online.prefix}:*:chunks:2") == []


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ([], EmptyMonth, "no rows"),
        (rows([]), DataError, "type null"),
        (rows(["a", "b", "a"]), DataError, "repeat a customer_id"),
        (rows(["a"]) + rows(["b", "a"]), DataError, "repeat a customer_id"),
        (rows(["a", None]), DataError, "has no customer_id"),
        (rows([1.5, 2.5]), DataError, "CAST it to BIGINT or STRING"),
        ([pa.table({"customer_id": ["a"], "grade": ["A"]})], DataError, "lack bal_avg"),
        (
            [pa.table({"customer_id": ["a"], "bal_avg": ["x"], "grade": ["A"]})],
            DataError,
            "'bal_avg' is numeric",
        ),
        ([pa.table({"bal_avg": [1.0], "grade": ["A"]})], DataError, "lack customer_id"),
    ],
)
def test_a_refused_publication_leaves_the_one_before(online, redis_server, given, error, words):
    online.publish(SPEC, "202605", rows(["a"], [9.0]), JUNE)
    with pytest.raises(error, match=words):
        online.publish(SPEC, "202606", given, JUNE)
    assert values_of(online, ["a"])[0]["bal_avg"] == 9.0
    assert len(row_keys(redis_server, online)) == 1


def test_rows_that_redis_dropped_are_noticed_before_the_flip(online, redis_server):
    online.publish(SPEC, "202605", rows(["a"], [9.0]), JUNE)

    def evicting():
        yield from rows(["a", "b"])
        redis_server.client.delete(*[k for k in row_keys(redis_server, online) if k.endswith(b":2:tb")])

    with pytest.raises(OnlineStoreError, match=r"2 rows were written and 1 are there.*noeviction"):
        online.publish(SPEC, "202606", evicting(), JUNE)
    assert values_of(online, ["a"])[0]["bal_avg"] == 9.0


def test_generation_numbers_go_on_after_redis_lost_its_data(online, redis_server):
    online.publish(SPEC, "202605", rows(["a"]), JUNE)
    online.remove(SPEC.name, SPEC.version)
    assert row_keys(redis_server, online) == []
    with pytest.raises(NotOnline):
        online.get(SPEC.name, SPEC.version, ["a"])
    redis_server.client.delete(f"{online.prefix}:fs:{SPEC.name}:{SPEC.version}:counter")
    assert online.publish(SPEC, "202606", rows(["a"]), JUNE, after=41).generation == 42


def test_what_is_older_than_the_maximum_age_is_missing_and_said_so(online):
    online.publish(SPEC, "202606", rows(["a"]), JUNE)
    later = datetime(2026, 7, 2, tzinfo=UTC)
    (fresh,) = online.get(SPEC.name, SPEC.version, ["a"], max_age_seconds=2 * 86_400, now=later)
    assert (fresh.status, fresh.stale, fresh.event_time) == ("ok", (), JUNE)
    (old, nobody) = online.get(SPEC.name, SPEC.version, ["a", "z"], max_age_seconds=86_400, now=later)
    assert (old.status, old.stale, old.values) == (
        "stale",
        ("bal_avg", "grade"),
        {"bal_avg": None, "grade": None},
    )
    assert (nobody.status, nobody.values, nobody.event_time) == ("missing", None, None)
    for age in (0, -1, math.nan, math.inf):
        with pytest.raises(InvalidInput, match="maximum age"):
            online.get(SPEC.name, SPEC.version, ["a"], max_age_seconds=age)


def test_only_the_features_asked_for_are_given(online):
    online.publish(SPEC, "202606", rows(["a"]), JUNE)
    (row,) = online.get(SPEC.name, SPEC.version, ["a"], features=["grade"])
    assert row.values == {"grade": "A"}
    with pytest.raises(InvalidInput, match="no feature 'x'; it has bal_avg, grade"):
        online.get(SPEC.name, SPEC.version, ["a"], features=["x"])


def test_a_redis_that_is_away_is_named_without_its_password():
    store = open_online(f"redis://reader:secret@127.0.0.1:{free_port()}/0")
    started = time.monotonic()
    for call in (
        lambda: store.get(SPEC.name, 1, ["a"]),
        lambda: store.publish(SPEC, "202606", rows(["a"]), JUNE),
        lambda: store.upsert(SPEC, "a", {"bal_avg": 1.0}, JUNE),
    ):
        with pytest.raises(OnlineStoreError, match=r"no Redis at redis://reader:.*ONLINE_URL") as away:
            call()
        assert "secret" not in away.value.message
    assert time.monotonic() - started < 3


def test_a_redis_that_hangs_is_given_up_soon(redis_server):
    import socket

    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        store = open_online(f"redis://127.0.0.1:{deaf.getsockname()[1]}/0", read_seconds=0.3)
        started = time.monotonic()
        with pytest.raises(OnlineStoreError, match="did not answer in time"):
            store.get(SPEC.name, 1, ["a"])
        assert time.monotonic() - started < 2


@pytest.mark.parametrize("url", ["", "http://x", "127.0.0.1:6379", "redis://h:port/0"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(OnlineStoreError, match="is not the address of a Redis"):
        open_online(url)


def test_a_serving_worker_needs_neither_pandas_nor_django_nor_arrow():
    script = (
        "import sys, mlopslib.online; mlopslib.online.open_online('redis://h/0');"
        "sys.exit(sorted({'pandas', 'django', 'pyarrow', 'confluent_kafka'} & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
