"""Read events from a stream into the online store: at least once, and never stopped by a bad message.

A message is JSON::

    {"entity": 17, "event_time": "2026-07-01T09:30:00+09:00", "values": {"bal_avg_3m": 1250.5}}

`values` may hold some of the features. Messages are written first and committed after, so a consumer that is
killed in between reads them again; the store knows them by their event time and does nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from mlopslib.definition import FeatureSetSpec
from mlopslib.errors import InvalidInput, OnlineStoreError
from mlopslib.online.overlay import Event
from mlopslib.online.store import OnlineStore

#: bytes of one message
LONGEST_MESSAGE = 1 << 20
#: seconds between two signs of life
_REPORT_SECONDS = 2.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0
#: bad messages that are told in the log; all of them are laid aside
_BAD_SHOWN = 20


@dataclass(frozen=True)
class Message:
    """`at` is the source's own word for where the message stands."""

    at: Any
    body: bytes | None


class StreamSource(Protocol):
    """Where messages come from. One thread uses it."""

    #: for people: without passwords
    name: str

    def poll(self, n: int, *, seconds: float) -> list[Message]:
        """Up to `n` messages; [] where none came within `seconds`."""
        ...

    def commit(self, messages: Sequence[Message]) -> None:
        """These need not be read again."""
        ...

    def reject(self, message: Message, reason: str) -> None:
        """Lay a message aside, with the reason, where a person finds it."""
        ...

    def is_drained(self) -> bool:
        """Whether nothing is left that this group of consumers has not committed."""
        ...

    def lag(self) -> int | None:
        """Messages that wait; None where that is not known."""
        ...

    def close(self) -> None: ...


@dataclass
class Counts:
    """What a consumer did so far. `known`: repeated, or older than what stands."""

    read: int = 0
    written: int = 0
    known: int = 0
    bad: int = 0
    newest: datetime | None = None

    def __str__(self) -> str:
        return (
            f"{self.read:,} read, {self.written:,} written, {self.known:,} known already or late, "
            f"{self.bad:,} bad"
        )


def parse_message(body: bytes | None) -> Event:
    """The event of a message. Raises InvalidInput."""
    if body is None:
        raise InvalidInput("the message is empty: it must be JSON with entity, event_time and values")
    if len(body) > LONGEST_MESSAGE:
        raise InvalidInput(f"the message has {len(body):,} bytes; {LONGEST_MESSAGE:,} at most are read")
    try:
        data = json.loads(body.decode(), parse_constant=_refuse_constant)
    except RecursionError as error:
        raise InvalidInput("the message is not JSON that can be read: nested too deep") from error
    except ValueError as error:
        raise InvalidInput(f"the message is not JSON that can be read: {error}") from error
    wanted = {"entity", "event_time", "values"}
    if not isinstance(data, dict) or set(data) != wanted:
        raise InvalidInput("the message must be an object with entity, event_time and values, and no more")
    if not isinstance(data["values"], dict):
        raise InvalidInput("values must be an object of features", field="values")
    try:
        event_time = datetime.fromisoformat(data["event_time"])
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"{data['event_time']!r} is not a time: write 2026-07-01T09:30:00+09:00", field="event_time"
        ) from error
    return Event(data["entity"], event_time, data["values"])


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def consume(
    source: StreamSource,
    online: OnlineStore,
    feature_set: FeatureSetSpec,
    *,
    consumer: str,
    batch: int = 500,
    once: bool = False,
    should_stop: Callable[[], bool] = lambda: False,
    on_log: Callable[[str], None] = lambda text: None,
    log_seconds: float = 5.0,
    patience_seconds: float = 300.0,
) -> Counts:
    """Read until `should_stop` (with `once`: until nothing is left), batch by batch.

    While Redis or the stream is away the batch in hand is tried again and nothing is committed.

    Raises
    ------
    OnlineStoreError
        Nothing went for `patience_seconds`.
    """
    counts = Counts()
    in_hand: list[Message] = []
    went = reported = logged = time.monotonic()
    pause = _FIRST_PAUSE
    while not should_stop():
        try:
            in_hand = in_hand or source.poll(batch, seconds=1.0)
            is_idle = not in_hand
            if in_hand:
                _take(source, online, feature_set, in_hand, counts, on_log)
                in_hand = []
            went, pause = time.monotonic(), _FIRST_PAUSE
            if went - reported >= _REPORT_SECONDS:
                reported = went
                _report(source, online, feature_set, consumer, counts)
            if not is_idle and went - logged >= log_seconds:
                logged = went
                on_log(_line(counts, source.lag()))
            if once and is_idle and source.is_drained():
                break
        except OnlineStoreError as error:
            if time.monotonic() - went > patience_seconds:
                raise
            on_log(f"{error.message}; again in {pause:.1f} s")
            _wait(pause, should_stop)
            pause = min(pause * 2, _LONGEST_PAUSE)
    _report(source, online, feature_set, consumer, counts, is_running=False)
    return counts


def _line(counts: Counts, lag: int | None) -> str:
    return f"{counts}" if lag is None else f"{counts}; {lag:,} wait"


def _wait(seconds: float, should_stop: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not should_stop():
        time.sleep(0.05)


def _take(
    source: StreamSource,
    online: OnlineStore,
    feature_set: FeatureSetSpec,
    messages: Sequence[Message],
    counts: Counts,
    on_log: Callable[[str], None],
) -> None:
    """Write a batch, lay its bad messages aside, commit it; only then it is counted."""
    events: list[Event] = []
    places: list[int] = []
    reasons: dict[int, str] = {}
    for place, message in enumerate(messages):
        try:
            events.append(parse_message(message.body))
            places.append(place)
        except InvalidInput as error:
            reasons[place] = error.message
    answers = online.upsert_many(feature_set, events)
    good: list[tuple[Event, bool]] = []
    for place, event, answer in zip(places, events, answers, strict=True):
        if isinstance(answer, InvalidInput):
            reasons[place] = answer.message
        else:
            good.append((event, answer))
    for place, reason in sorted(reasons.items()):
        source.reject(messages[place], reason)
    source.commit(messages)
    for shown, (place, reason) in enumerate(sorted(reasons.items()), start=counts.bad):
        if shown < _BAD_SHOWN:
            on_log(f"bad message at {messages[place].at}: {reason}")
    counts.read += len(messages)
    counts.written += sum(is_new for _event, is_new in good)
    counts.known += sum(not is_new for _event, is_new in good)
    counts.bad += len(reasons)
    times = [event.event_time for event, _is_new in good]
    counts.newest = max(filter(None, [counts.newest, *times]), default=None)


def _report(
    source: StreamSource,
    online: OnlineStore,
    feature_set: FeatureSetSpec,
    consumer: str,
    counts: Counts,
    *,
    is_running: bool = True,
) -> None:
    facts = {
        "source": source.name,
        "read": counts.read,
        "written": counts.written,
        "known": counts.known,
        "bad": counts.bad,
        "newest": counts.newest.isoformat() if counts.newest else "",
        "is_running": is_running,
    }
    # a sign of life is not worth stopping for; the next batch says that Redis is away
    with suppress(OnlineStoreError):
        online.report_stream(feature_set.name, feature_set.version, consumer, {**facts, "lag": source.lag()})


def open_source(url: str, *, consumer: str) -> StreamSource:
    """A source by its address.

    Parameters
    ----------
    url
        ``redis://host:6379/0/stream?group=g`` (options: ``claim_seconds``) or
        ``kafka://broker:9092,broker:9092/topic?group=g`` (options: ``config=FILE`` with lines
        ``name=value``, and any option of librdkafka with a dot in its name).
    consumer
        The name of this process within the group.

    Raises
    ------
    InvalidInput
        The address says too little or something unknown.
    OnlineStoreError
        The server is away.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    group = options.pop("group", "")
    if not group:
        raise InvalidInput("the source needs a group: end its address with ?group=NAME", field="source")
    if parts.scheme in {"redis", "rediss"}:
        from mlopslib.online.redis_stream import RedisStreamSource

        return RedisStreamSource.at(url, group=group, consumer=consumer, options=options)
    if parts.scheme == "kafka":
        from mlopslib.online.kafka import KafkaSource

        return KafkaSource.at(url, group=group, consumer=consumer, options=options)
    raise InvalidInput(
        "a source begins with redis://, rediss:// or kafka://, as in redis://host:6379/0/stream?group=g",
        field="source",
    )
