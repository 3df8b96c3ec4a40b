"""Messages from a Redis stream, by a consumer group.

The field ``data`` of an entry holds the message. Entries that a consumer read and never acknowledged, because
it was killed, are taken over by the others after `claim_seconds`. Bad messages go to ``<stream>:dead``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import redis

from mlopslib.errors import InvalidInput
from mlopslib.online.connection import connect, masked, told
from mlopslib.online.stream import Message

_FIELD = b"data"
#: bad messages that are kept
_DEAD_KEPT = 100_000


class RedisStreamSource:
    """See `mlopslib.online.stream.StreamSource`."""

    def __init__(
        self, server: str, stream: str, *, group: str, consumer: str, claim_seconds: float = 30.0
    ) -> None:
        self.name = f"{masked(server)}/{stream}?group={group}"
        self._server = server
        self._stream = stream
        self._group = group
        self._consumer = consumer
        self._claim_seconds = claim_seconds
        self._claimed_at = 0.0
        self._claim_from: Any = "0-0"
        self._connection = connect(server, answer_seconds=15.0, retries=0)
        self._make_group()

    @classmethod
    def at(cls, url: str, *, group: str, consumer: str, options: Mapping[str, str]) -> RedisStreamSource:
        parts = urlsplit(url)
        number, _, stream = parts.path.lstrip("/").partition("/")
        unknown = sorted(set(options) - {"claim_seconds"})
        if not number.isdecimal() or not stream:
            raise InvalidInput(
                "a Redis source names its database and stream: redis://host:6379/0/stream?group=g",
                field="source",
            )
        if unknown:
            raise InvalidInput(
                f"a Redis source has no option {unknown[0]!r}; it has claim_seconds", field="source"
            )
        try:
            claim_seconds = float(options.get("claim_seconds", "30"))
        except ValueError as error:
            raise InvalidInput("claim_seconds is a number of seconds", field="source") from error
        server = urlunsplit((parts.scheme, parts.netloc, f"/{number}", "", ""))
        return cls(server, unquote(stream), group=group, consumer=consumer, claim_seconds=claim_seconds)

    def poll(self, n: int, *, seconds: float) -> list[Message]:
        with told(self._server):
            try:
                return self._claimed(n) or self._fresh(n, seconds)
            except redis.ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise
                # the stream was deleted under us; a new one of that name is read from its start
                self._make_group()
                return []

    def _claimed(self, n: int) -> list[Message]:
        """Messages whose consumer has not been heard of for `claim_seconds`."""
        if time.monotonic() - self._claimed_at < self._claim_seconds / 3:
            return []
        idle = int(self._claim_seconds * 1000)
        answer = self._connection.xautoclaim(
            self._stream, self._group, self._consumer, min_idle_time=idle, start_id=self._claim_from, count=n
        )
        self._claim_from = answer[0]
        if answer[0] in (b"0-0", "0-0"):
            self._claimed_at = time.monotonic()
        return [_message(at, fields) for at, fields in answer[1] if at is not None]

    def _fresh(self, n: int, seconds: float) -> list[Message]:
        answer = self._connection.xreadgroup(
            self._group, self._consumer, {self._stream: ">"}, count=n, block=max(int(seconds * 1000), 1)
        )
        return [_message(at, fields) for _stream, entries in answer or [] for at, fields in entries]

    def commit(self, messages: Sequence[Message]) -> None:
        with told(self._server):
            self._connection.xack(self._stream, self._group, *(message.at for message in messages))

    def reject(self, message: Message, reason: str) -> None:
        entry = {"data": message.body or b"", "reason": reason, "id": message.at, "group": self._group}
        with told(self._server):
            self._connection.xadd(f"{self._stream}:dead", entry, maxlen=_DEAD_KEPT, approximate=True)

    def is_drained(self) -> bool:
        with told(self._server):
            return int(self._connection.xpending(self._stream, self._group)["pending"]) == 0

    def lag(self) -> int | None:
        """Known from Redis 7 on: messages not yet delivered, and those delivered and not acknowledged."""
        with told(self._server):
            groups = self._connection.xinfo_groups(self._stream)
        own = next((group for group in groups if group["name"] == self._group.encode()), None)
        if own is None or own.get("lag") is None:
            return None
        return int(own["lag"]) + int(own["pending"])

    def close(self) -> None:
        self._connection.close()

    def _make_group(self) -> None:
        with told(self._server):
            try:
                self._connection.xgroup_create(self._stream, self._group, id="0", mkstream=True)
            except redis.ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise


def _message(at: bytes, fields: Mapping[bytes, bytes] | None) -> Message:
    """An entry that was trimmed while it was pending has no fields."""
    return Message(at.decode(), None if fields is None else fields.get(_FIELD))
