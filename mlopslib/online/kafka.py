"""Messages from a Kafka topic, by a consumer group.

Offsets are committed by hand after the write. Between two polls nothing is uncommitted, so partitions that
are taken away in a rebalance (which happens inside a poll) need no care. Bad messages go to ``<topic>.dead``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from mlopslib.errors import InvalidInput, OnlineStoreError
from mlopslib.online.stream import Message

#: a commit that came too late: the messages are read again by whoever holds their partition now
_LOST = {
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError._STATE,
    KafkaError._NO_OFFSET,
}
#: what librdkafka gets over by itself
_PASSING = {
    KafkaError._PARTITION_EOF,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError._MAX_POLL_EXCEEDED,
}
_ANSWER_SECONDS = 10.0
#: settings that the promise "at least once" hangs on
_OURS = {"enable.auto.commit", "enable.auto.offset.store", "group.id", "bootstrap.servers"}


class KafkaSource:
    """See `mlopslib.online.stream.StreamSource`."""

    def __init__(
        self, brokers: str, topic: str, *, group: str, consumer: str, config: Mapping[str, str] | None = None
    ) -> None:
        self.name = f"kafka://{brokers}/{topic}?group={group}"
        self._topic = topic
        self._is_assigned = False
        common = {"bootstrap.servers": brokers, "client.id": consumer, "log_level": 3, **(config or {})}
        own = {
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
        }
        of_consumers = {
            "session.timeout.ms",
            "max.poll.interval.ms",
            "auto.offset.reset",
            "group.instance.id",
        }
        producing = {name: value for name, value in common.items() if name not in of_consumers}
        try:
            self._consumer = Consumer({**own, **common})
            self._producer = Producer({**producing, "enable.idempotence": True})
            self._consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked)
        except (KafkaException, ValueError, TypeError) as error:
            raise InvalidInput(
                f"the Kafka source cannot be set up: {_text(error)}", field="source"
            ) from error

    @classmethod
    def at(cls, url: str, *, group: str, consumer: str, options: Mapping[str, str]) -> KafkaSource:
        parts = urlsplit(url)
        topic = unquote(parts.path.strip("/"))
        if not parts.netloc or not topic or "/" in topic:
            raise InvalidInput(
                "a Kafka source names its brokers and topic: kafka://broker:9092/topic?group=g",
                field="source",
            )
        config = _read_config(options["config"]) if "config" in options else {}
        config |= {name: value for name, value in options.items() if name != "config"}
        for name in config:
            if name in _OURS or "." not in name:
                raise InvalidInput(
                    f"{name!r} cannot be set here: use group, config, or an option of librdkafka such as "
                    "session.timeout.ms",
                    field="source",
                )
        return cls(parts.netloc, topic, group=group, consumer=consumer, config=config)

    def poll(self, n: int, *, seconds: float) -> list[Message]:
        found, faults = [], []
        try:
            received = self._consumer.consume(n, timeout=seconds)
        except KafkaException as error:
            raise OnlineStoreError(f"Kafka refused: {_text(error)}") from error
        for message in received:
            fault = message.error()
            if fault is None:
                place = (message.topic(), message.partition(), message.offset())
                found.append(Message(place, message.value()))
            elif fault.fatal() or fault.code() not in _PASSING:
                faults.append(fault.str())
        if faults and not found:
            raise OnlineStoreError(f"Kafka refused: {faults[0]}")
        return found

    def commit(self, messages: Sequence[Message]) -> None:
        """The offset after the last message of each partition."""
        last: dict[tuple[str, int], int] = {}
        for message in messages:
            topic, partition, offset = message.at
            last[topic, partition] = max(offset, last.get((topic, partition), -1))
        offsets = [
            TopicPartition(topic, partition, offset + 1) for (topic, partition), offset in last.items()
        ]
        # bad messages are safe before their offsets are given up
        if self._producer.flush(_ANSWER_SECONDS):
            raise OnlineStoreError("Kafka did not take the bad messages in time")
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() not in _LOST:
                raise OnlineStoreError(f"Kafka refused the commit: {_text(error)}") from error

    def reject(self, message: Message, reason: str) -> None:
        topic, partition, offset = message.at
        headers: dict[str, str | bytes | None] = {"reason": reason, "from": f"{topic}[{partition}]@{offset}"}
        self._producer.produce(f"{self._topic}.dead", value=message.body, headers=headers)
        self._producer.poll(0)

    def is_drained(self) -> bool:
        return self._is_assigned and self.lag() == 0

    def lag(self) -> int | None:
        """Messages beyond what is committed, in the partitions of this consumer; None before it has any."""
        if not self._is_assigned:
            return None
        try:
            waiting = 0
            for place in self._consumer.committed(self._consumer.assignment(), timeout=_ANSWER_SECONDS):
                low, high = self._consumer.get_watermark_offsets(place, timeout=_ANSWER_SECONDS)
                waiting += high - (place.offset if place.offset >= 0 else low)
        except KafkaException:
            return None
        return waiting

    def close(self) -> None:
        self._producer.flush(_ANSWER_SECONDS)
        # its threads end with it
        del self._producer
        self._consumer.close()

    def _assigned(self, consumer: Any, partitions: list[Any]) -> None:
        self._is_assigned = True

    def _revoked(self, consumer: Any, partitions: list[Any]) -> None:
        self._is_assigned = False


def _read_config(path: str) -> dict[str, str]:
    """Lines ``name=value`` of a file, so that a password does not stand in a command line."""
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the file {path} cannot be read: {error}", field="source") from error
    pairs = (line.split("=", 1) for line in lines if line.strip() and not line.lstrip().startswith("#"))
    return {pair[0].strip(): pair[-1].strip() for pair in pairs if len(pair) == 2}


def _text(error: Exception) -> str:
    inner = error.args[0] if error.args else error
    return inner.str() if isinstance(inner, KafkaError) else str(inner)
