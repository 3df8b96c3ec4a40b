"""What streams write: values with an event time each, in any order, as often as they come."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgpack

from mlopslib.definition import FeatureSetSpec
from mlopslib.errors import InvalidInput
from mlopslib.online import scripts
from mlopslib.online.connection import told
from mlopslib.online.keys import Entity, Keys, encode_entity, kind_of
from mlopslib.online.values import (
    FUTURE_SECONDS,
    Schema,
    check_entities,
    from_micros,
    pack_event,
    to_micros,
)

#: after this long a consumer's last sign of life is forgotten
_FORGOTTEN_SECONDS = 7 * 86_400


@dataclass(frozen=True)
class Event:
    """New values of some features of one entity."""

    entity: Entity
    event_time: datetime
    values: Mapping[str, object]


@dataclass
class Overlay:
    """The streamed values of one feature-set version."""

    connection: Any
    url: str
    keys: Keys

    def upsert(
        self, feature_set: FeatureSetSpec, events: Sequence[Event], now: datetime
    ) -> list[bool | InvalidInput]:
        answers: list[bool | InvalidInput] = []
        sent: list[int] = []
        script = self.connection.register_script(scripts.UPSERT)
        with told(self.url):
            pipeline = self.connection.pipeline(transaction=False)
            for position, event in enumerate(events):
                answers.append(False)
                try:
                    arguments = _arguments(feature_set, event, now)
                except InvalidInput as error:
                    answers[position] = error
                    continue
                keys = [self.keys.overlay + arguments[2], self.keys.schema, self.keys.streamed]
                script(keys=keys, args=arguments, client=pipeline)
                sent.append(position)
            changes = pipeline.execute() if sent else []
        for position, changed in zip(sent, changes, strict=True):
            answers[position] = changed > 0 if changed >= 0 else self._refusal(feature_set, events[position])
        return answers

    def _refusal(self, feature_set: FeatureSetSpec, event: Event) -> InvalidInput:
        """Why the schema that stands online does not take this event."""
        with told(self.url):
            raw = self.connection.get(self.keys.schema)
        try:
            check_entities([event.entity], Schema.read(raw) if raw else None, feature_set.name)
        except InvalidInput as error:
            return InvalidInput(error.message, field="entity")
        return InvalidInput(
            f"{feature_set.name} v{feature_set.version} stands online with other features: publish it again",
            field="values",
        )

    def newest(self) -> tuple[datetime, int] | None:
        """Event time of the newest value, and how many entities have one; None where none has."""
        with told(self.url):
            pipeline = self.connection.pipeline(transaction=False)
            pipeline.zrange(self.keys.streamed, 0, 0, desc=True, withscores=True)
            pipeline.zcard(self.keys.streamed)
            newest, count = pipeline.execute()
        return (from_micros(int(newest[0][1])), int(count)) if newest else None

    def report(self, consumer: str, facts: Mapping[str, Any]) -> None:
        with told(self.url):
            self.connection.hset(self.keys.streams, consumer, msgpack.packb({**facts, "at": time.time()}))

    def consumers(self) -> dict[str, dict[str, Any]]:
        with told(self.url):
            found = self.connection.hgetall(self.keys.streams)
            heard = {name.decode(): dict(msgpack.unpackb(raw)) for name, raw in sorted(found.items())}
            gone = [name for name, facts in heard.items() if time.time() - facts["at"] > _FORGOTTEN_SECONDS]
            if gone:
                self.connection.hdel(self.keys.streams, *gone)
        return {name: facts for name, facts in heard.items() if name not in gone}


def _arguments(feature_set: FeatureSetSpec, event: Event, now: datetime) -> list[Any]:
    """What the script is given. Raises InvalidInput."""
    code = encode_entity(event.entity)
    event_us = to_micros(event.event_time)
    if event_us > to_micros(now) + FUTURE_SECONDS * 1_000_000:
        raise InvalidInput(
            f"the event time {event.event_time.isoformat()} is in the future: "
            "later events would be lost behind it",
            field="event_time",
        )
    schema = Schema.of(feature_set, kind_of(event.entity)).pack()
    pairs = pack_event(feature_set, event.values)
    return [schema, event_us, code, *(part for pair in pairs for part in pair)]


def now_utc() -> datetime:
    return datetime.now(UTC)
