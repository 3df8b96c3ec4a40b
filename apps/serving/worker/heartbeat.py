"""What a worker process says of itself, every two seconds and at once when it changes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from datetime import UTC, datetime
from typing import Any

import msgspec
import redis.asyncio as aioredis
from redis.exceptions import RedisError

from apps.serving.worker.options import Options
from apps.serving.worker.served import Slot, Slots

SECONDS = 2.0
LIVES_SECONDS = 10


class Heartbeat:
    """Writes the key `<prefix>:worker:<worker_id>`, which dies by itself when the process does."""

    def __init__(self, options: Options, index: int, slots: Slots, client: aioredis.Redis) -> None:
        host = socket.gethostname()[:40]
        # the same name after a restart, so that a new process takes the place of the dead one
        self.worker_id = f"{host}:{options.port}:{index}"
        self._key = f"{options.prefix}:worker:{self.worker_id}"
        self._slots = slots
        self._client = client
        self._about = {
            "worker_id": self.worker_id,
            "host": host,
            "pid": os.getpid(),
            "port": options.port,
            "started_at": _now(),
        }
        self._changed = asyncio.Event()

    def send_now(self) -> None:
        self._changed.set()

    async def run(self) -> None:
        while True:
            self._changed.clear()
            # Redis away: the portal sees the silence, the callers notice nothing
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await self._client.set(self._key, msgspec.json.encode(self._content()), ex=LIVES_SECONDS)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), SECONDS)

    async def say_goodbye(self) -> None:
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            await self._client.delete(self._key)

    def _content(self) -> dict[str, Any]:
        endpoints = {name: _report(slot) for name, slot in self._slots.by_name.items()}
        return {**self._about, "at": _now(), "endpoints": endpoints}


def _report(slot: Slot) -> dict[str, Any]:
    served = slot.served
    return {
        "seq": served.seq if served else 0,
        "version": served.version if served else "",
        "package_sha256": served.package_sha256 if served else "",
        "state": slot.state,
        "reason": slot.reason,
        "target_seq": slot.target_seq,
        "requests": slot.requests,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
