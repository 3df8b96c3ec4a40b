"""Consumers of Redis streams and of Kafka topics: nothing lost, nothing twice, whatever is killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from mlopslib.errors import InvalidInput
from mlopslib.online import open_online
from mlopslib.online.stream import consume, open_source, parse_message
from tests.conftest import RedisServer
from tests.online.conftest import JUNE, SPEC, rows

START = datetime(2026, 7, 1, tzinfo=UTC)


def message(entity, seconds, **values) -> bytes:
    when = (START + timedelta(seconds=seconds)).isoformat()
    return json.dumps({"entity": entity, "event_time": when, "values": values}).encode()


def shuffled_events(count: int, entities: int, seed: int = 3) -> tuple[list[bytes], dict[str, dict]]:
    """Messages with late and repeated events among them, and what must stand at the end."""
    chance = random.Random(seed)
    events = [
        (f"c{chance.randrange(entities)}", number, {"bal_avg": float(number)})
        if number % 3
        else (f"c{chance.randrange(entities)}", number, {"grade": f"g{number}"})
        for number in range(count)
    ]
    sent = events + chance.sample(events, count // 10)
    # late by up to some hundred places
    sent.sort(key=lambda event: event[1] + chance.uniform(0, 300))
    final: dict[str, dict] = {}
    for entity, _number, values in events:
        final.setdefault(entity, {"bal_avg": None, "grade": None}).update(values)
    return [message(entity, number, **values) for entity, number, values in sent], final


def state(online, final) -> dict[str, dict]:
    return {row.entity: row.values for row in online.get(SPEC.name, SPEC.version, sorted(final))}


class Redis:
    """A stream on the Redis of the tests."""

    def __init__(self, server: RedisServer, prefix: str) -> None:
        self.client, self.stream = server.client, f"{prefix}:events"
        self.url = f"{server.url}/{self.stream}?group=g&claim_seconds=1"

    def send(self, bodies: list[bytes]) -> None:
        pipeline = self.client.pipeline(transaction=False)
        for body in bodies:
            pipeline.xadd(self.stream, {"data": body})
        pipeline.execute()

    def dead(self, count: int) -> list[tuple[bytes, str]]:
        return [(f[b"data"], f[b"reason"].decode()) for _at, f in self.client.xrange(f"{self.stream}:dead")]


class Kafka:
    """A topic on librdkafka's mock cluster, which other processes reach as they would a broker."""

    def __init__(self, brokers: str, topic: str) -> None:
        self.brokers, self.topic = brokers, topic
        self.url = f"kafka://{brokers}/{topic}?group=g&session.timeout.ms=6000"

    def send(self, bodies: list[bytes]) -> None:
        producer = Producer({"bootstrap.servers": self.brokers})
        for body in bodies:
            producer.produce(self.topic, value=body, key=body[:20])
            producer.poll(0)
        assert producer.flush(20) == 0

    def dead(self, count: int) -> list[tuple[bytes, str]]:
        reader = Consumer({"bootstrap.servers": self.brokers, "group.id": "look"})
        # without a group: joining one takes seconds
        reader.assign([TopicPartition(f"{self.topic}.dead", partition, 0) for partition in range(4)])
        found, deadline = [], time.monotonic() + 20
        while len(found) < count and time.monotonic() < deadline:
            found += [m for m in reader.consume(count, timeout=0.5) if m.error() is None]
        reader.close()
        return [(m.value(), dict(m.headers())["reason"].decode()) for m in found]


@pytest.fixture(scope="module")
def brokers() -> Iterator[str]:
    cluster = AdminClient({"bootstrap.servers": "127.0.0.1:1", "test.mock.num.brokers": 1})
    (broker,) = cluster.list_topics(timeout=10).brokers.values()
    yield f"{broker.host}:{broker.port}"


@pytest.fixture(params=["redis", "kafka"])
def stream(request, online, redis_server, brokers):
    return Redis(redis_server, online.prefix) if request.param == "redis" else Kafka(brokers, online.prefix)


def drain(stream, online, **options):
    source = open_source(stream.url, consumer="me")
    try:
        return consume(source, online, SPEC, consumer="me", once=True, **options)
    finally:
        source.close()


def test_every_event_is_taken_once_and_bad_ones_are_laid_aside(stream, online):
    online.publish(SPEC, "202606", rows(["a", "b"], [1.0, 2.0]), JUNE)
    bad = [
        b"",
        b"\xff",
        b"[]",
        b'{"entity": "a"}',
        message("a", 1, nope=1),
        message(7, 1, grade="A"),
        b"[" * 9999,
    ]
    bad += [b'{"entity": "a", "event_time": "2026-07-01T00:00:00", "values": {"grade": "B"}}']
    bad += [
        b'{"entity": "a", "event_time": "soon", "values": {"grade": "B"}}',
        message("a", 1, bal_avg=float("nan")),
    ]
    good = [message("a", 5, bal_avg=5.0), message("a", 4, bal_avg=4.0), message("a", 5, bal_avg=5.0)]
    stream.send([*bad[:5], *good[:1], *bad[5:], *good[1:], message("new", 1, grade="C")])
    lines: list[str] = []
    counts = drain(stream, online, on_log=lines.append)
    assert (counts.read, counts.bad) == (len(bad) + 4, len(bad))
    assert counts.written + counts.known == 4
    assert [row.values for row in online.get(SPEC.name, SPEC.version, ["a", "b", "new"])] == [
        {"bal_avg": 5.0, "grade": "A"},
        {"bal_avg": 2.0, "grade": "A"},
        {"bal_avg": None, "grade": "C"},
    ]
    laid_aside = stream.dead(len(bad))
    assert sorted(body or b"" for body, _reason in laid_aside) == sorted(bad)
    reasons = " | ".join(reason for _body, reason in laid_aside)
    for words in (
        "not JSON that can be read",
        "has no zone",
        "'soon' is not a time",
        "no feature 'nope'",
        "are texts",
    ):
        assert words in reasons
    assert len([line for line in lines if line.startswith("bad message at")]) == len(bad)


def nothing_pending(stream) -> bool:
    return isinstance(stream, Kafka) or stream.client.xpending(stream.stream, "g")["pending"] == 0


SCRIPT = """
import sys
from mlopslib.online import open_online
from mlopslib.online.stream import consume, open_source
from tests.online.conftest import SPEC
url, prefix, source_url, name = sys.argv[1:]
online = open_online(url, prefix)
source = open_source(source_url, consumer=name)
say = lambda line: print(line, flush=True)
consume(source, online, SPEC, consumer=name, batch=20, log_seconds=0, on_log=say)
"""


@pytest.fixture
def start(online, stream) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def run(name: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SCRIPT, online.url, online.prefix, stream.url, name]
        environment = {**os.environ, "PYTHONPATH": "."}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_two_consumers_killed_in_the_middle_leave_exactly_the_right_state(stream, online, start):
    bodies, final = shuffled_events(4_000, 200)
    stream.send(bodies)
    # joining a Kafka group after a death takes the session's six seconds
    for round_number in range(2 if isinstance(stream, Redis) else 1):
        pair = [start(f"first-{round_number}"), start(f"second-{round_number}")]
        # killed while at work: after a line of one of them, so some batch is written and not committed
        assert pair[0].stdout.readline() or pair[1].stdout.readline()
        time.sleep(0.05)
        for process in pair:
            process.send_signal(signal.SIGKILL)
            process.wait()
    counts = drain(stream, online)
    # at least once: the dead had written some batches, and may have committed none of them
    assert 0 < counts.read <= len(bodies)
    assert counts.known > 0 or counts.read < len(bodies)
    assert nothing_pending(stream)
    assert state(online, final) == final


def test_publishing_while_streaming_loses_nothing(redis_server, online):
    stream = Redis(redis_server, online.prefix)
    bodies, final = shuffled_events(2_000, 50)
    for number in range(4):
        stream.send(bodies[number::4])
        drain(stream, online, batch=100)
        online.publish(SPEC, "202606", rows(sorted(final)), JUNE)
    found = state(online, final)
    assert {entity: row["bal_avg"] for entity, row in found.items()} == {
        entity: row["bal_avg"] for entity, row in final.items()
    }


def test_a_redis_that_comes_back_is_written_to_again(redis_server, online, tmp_path):
    """The stream stays; the online store is away for a while. The batch in hand is kept."""
    stream = Redis(redis_server, online.prefix)
    away = RedisServer(tmp_path)
    elsewhere = open_online(away.url, "p")
    stream.send([message("a", 1, bal_avg=1.0), message("b", 2, bal_avg=2.0)])
    lines: list[str] = []

    def log(line: str) -> None:
        lines.append(line)
        if len(lines) == 2:
            away.start()

    try:
        counts = drain(stream, elsewhere, on_log=log)
        assert "there is no Redis at" in lines[0]
        assert (counts.read, counts.written) == (2, 2)
        assert elsewhere.get(SPEC.name, SPEC.version, ["b"])[0].values["bal_avg"] == 2.0
    finally:
        away.stop()


def test_a_stream_that_was_deleted_is_made_again(redis_server, online):
    stream = Redis(redis_server, online.prefix)
    source = open_source(stream.url, consumer="me")
    stream.client.delete(stream.stream)
    assert source.poll(10, seconds=0.05) == []
    stream.send([message("a", 1, bal_avg=1.0)])
    assert len(source.poll(10, seconds=1)) == 1
    source.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://h:6379/0/s", "needs a group"),
        ("redis://h:6379/s?group=g", "names its database and stream"),
        ("redis://h:6379/0/?group=g", "names its database and stream"),
        ("redis://h:6379/0/s?group=g&claim_seconds=x", "number of seconds"),
        ("redis://h:6379/0/s?group=g&color=red", "no option 'color'"),
        ("kafka://h:9092?group=g", "names its brokers and topic"),
        ("kafka://h:9092/t?group=g&enable.auto.commit=true", "cannot be set here"),
        ("kafka://h:9092/t?group=g&no.such.option=1", "No such configuration property"),
        ("kafka://h:9092/t?group=g&config=/no/such/file", "cannot be read"),
        ("amqp://h/t?group=g", "begins with redis"),
    ],
)
def test_an_address_that_says_too_little_or_something_unknown_is_refused(url, words):
    with pytest.raises(InvalidInput, match=words):
        open_source(url, consumer="me")


def test_a_message_is_read_with_its_zone():
    event = parse_message(
        b'{"entity": 7, "event_time": "2026-07-01T09:30:00+09:00", "values": {"grade": null}}'
    )
    assert (event.entity, event.values) == (7, {"grade": None})
    assert event.event_time == datetime(2026, 7, 1, 0, 30, tzinfo=UTC)
