"""Learns what to serve: from this host's disk first, then from Redis, for as long as it runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
from collections.abc import Iterable

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from apps.serving.worker.background import in_background
from apps.serving.worker.errors import DeploymentRefused, TryAgain
from apps.serving.worker.heartbeat import Heartbeat
from apps.serving.worker.loader import Loader
from apps.serving.worker.manifest import ENDPOINT, MAX_BYTES, DeploymentManifest, claimed_seq, read_manifest
from apps.serving.worker.metrics import Metrics
from apps.serving.worker.options import Options
from apps.serving.worker.served import Slot, Slots
from apps.serving.worker.state import LocalState
from mlopslib.artifacts import sha256_of
from mlopslib.errors import ArtifactMissing, GijunError

log = logging.getLogger(__name__)

POLL_SECONDS = 3.0
#: names that no hint told of are looked for at every fifth poll
_POLLS_PER_SEARCH = 5
#: a load that ends for want of time or memory is tried this often
MAX_ATTEMPTS = 3
_REASON_CHARACTERS = 500
_AWAY = (RedisError, OSError, TimeoutError)


class Watcher:
    """Keeps the slots as the newest good manifests say."""

    def __init__(
        self,
        options: Options,
        slots: Slots,
        loader: Loader,
        state: LocalState,
        heartbeat: Heartbeat,
        metrics: Metrics,
        client: aioredis.Redis,
    ) -> None:
        self._options = options
        self._slots = slots
        self._loader = loader
        self._state = state
        self._heartbeat = heartbeat
        self._metrics = metrics
        self._client = client
        self._wake = asyncio.Event()
        self._hinted: set[str] = set()
        self._polls = 0
        self._is_connected = True

    async def load_local(self) -> None:
        """Serve what this host served last; needs nothing but its disk."""
        for endpoint, raw in self._state.current().items():
            slot = self._slots.of(endpoint)
            slot.is_required = True
            await self._consider(slot, raw)
        self._slots.is_settled = bool(self._slots.served)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._poll_for_ever())
            group.create_task(self._listen_for_ever())
            group.create_task(self._heartbeat.run())

    async def _poll_for_ever(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._poll()
                self._say_connected(True)
            except _AWAY as error:
                self._say_connected(False, error)
            self._slots.is_settled = True
            # spread out, so that the workers of a bank do not all ask at once
            seconds = POLL_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), seconds)

    async def _poll(self) -> None:
        hinted, self._hinted = self._hinted, set()
        names = hinted | set(self._slots.by_name)
        if self._polls % _POLLS_PER_SEARCH == 0:
            names |= await self._search()
        self._polls += 1
        for endpoint, raw in (await self._read(sorted(names))).items():
            await self._consider(self._slots.of(endpoint), raw)

    async def _search(self) -> set[str]:
        prefix = f"{self._options.prefix}:manifest:"
        pattern = re.sub(r"([*?\[\]\\])", r"\\\1", prefix) + "*"
        found = {
            bytes(key).decode(errors="replace").removeprefix(prefix)
            async for key in self._client.scan_iter(match=pattern, count=1000)
        }
        return {name for name in found if ENDPOINT.match(name)}

    async def _read(self, names: Iterable[str]) -> dict[str, bytes]:
        names = list(names)
        if not names:
            await self._client.ping()
            return {}
        pipe = self._client.pipeline(transaction=False)
        for name in names:
            # one byte more than allowed is enough to know that it is too much
            pipe.getrange(f"{self._options.prefix}:manifest:{name}", 0, MAX_BYTES)
        values = await pipe.execute()
        return {name: bytes(raw) for name, raw in zip(names, values, strict=True) if raw}

    async def _listen_for_ever(self) -> None:
        """Hints come at most once and may be lost: they only shorten the wait for the next poll."""
        while True:
            with contextlib.suppress(*_AWAY):
                await self._listen()
            await asyncio.sleep(random.uniform(0.5, 1.5))  # noqa: S311 - no secret

    async def _listen(self) -> None:
        async with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe(f"{self._options.prefix}:manifests")
            while True:
                message = await pubsub.get_message(timeout=10.0)
                if message is None:
                    await pubsub.ping()
                    continue
                name = bytes(message["data"]).decode(errors="replace") if message["type"] == "message" else ""
                if ENDPOINT.match(name):
                    self._hinted.add(name)
                    self._wake.set()

    async def _consider(self, slot: Slot, raw: bytes) -> None:
        """Bring a slot to what a manifest asks for, or say why not."""
        digest = sha256_of(raw)
        if digest == slot.refused_digest:
            return
        try:
            manifest = read_manifest(raw, slot.endpoint, self._options.public_keys)
            if not _is_news(slot, manifest):
                return
        except GijunError as error:
            self._refuse(slot, error, digest=digest, seq=claimed_seq(raw))
            return
        if manifest.seq != slot.target_seq:
            slot.attempts, slot.reason = 0, ""
        slot.state, slot.target_seq = "loading", manifest.seq
        self._heartbeat.send_now()
        try:
            served = await self._loader.load(manifest)
        except (ArtifactMissing, OSError) as error:
            self._wait(slot, error)
            return
        except TryAgain as error:
            slot.attempts += 1
            if slot.attempts < MAX_ATTEMPTS:
                self._wait(slot, error)
                return
            slot.refused_seq = manifest.seq
            self._refuse(slot, error, digest=digest, seq=manifest.seq)
            return
        except Exception as error:
            # whatever the package did to the loader, what is served now goes on
            if not isinstance(error, GijunError):
                log.exception("%s: manifest %s cannot be loaded", slot.endpoint, manifest.seq)
            slot.refused_seq = manifest.seq
            self._refuse(slot, error, digest=digest, seq=manifest.seq)
            return
        self._slots.swap(served)
        slot.refused_digest = ""
        log.info("%s serves %s (manifest %s)", slot.endpoint, served.version, served.seq)
        self._heartbeat.send_now()
        await self._keep(manifest, raw)

    async def _keep(self, manifest: DeploymentManifest, raw: bytes) -> None:
        try:
            async with self._state.lock():
                await in_background(self._state.keep, manifest.endpoint, raw, manifest.package_sha256)
                await in_background(self._state.prune)
        except (TryAgain, OSError) as error:
            log.error("%s: served, but not kept for the next start: %s", manifest.endpoint, error)

    def _refuse(self, slot: Slot, error: Exception, *, digest: str, seq: int) -> None:
        reason = error.message if isinstance(error, GijunError) else f"{type(error).__name__}: {error}"
        reason = reason[:_REASON_CHARACTERS]
        slot.state, slot.reason, slot.target_seq = "refused", reason, seq
        slot.refused_digest, slot.attempts = digest, 0
        self._metrics.count_refusal()
        log.warning("%s: manifest %s is refused: %s", slot.endpoint, seq, reason)
        self._heartbeat.send_now()

    def _wait(self, slot: Slot, error: Exception) -> None:
        reason = f"{error}; trying again"
        if slot.reason != reason:
            log.warning("%s: manifest %s: %s", slot.endpoint, slot.target_seq, reason)
        slot.state, slot.reason = "loading", reason
        self._heartbeat.send_now()

    def _say_connected(self, is_connected: bool, error: Exception | None = None) -> None:
        if is_connected is not self._is_connected:
            log.warning("Redis is %s", "back" if is_connected else f"away, serving goes on: {error}")
        self._is_connected = is_connected


def _is_news(slot: Slot, manifest: DeploymentManifest) -> bool:
    """Whether a verified manifest asks for something else than what is. Raises DeploymentRefused."""
    served = slot.served
    if served is None:
        # the newest that this host has seen may be loaded once more, an older one may not
        if manifest.seq < slot.floor_seq:
            raise DeploymentRefused(f"manifest {manifest.seq} is older than {slot.floor_seq}", field="seq")
        slot.floor_seq = manifest.seq
        return manifest.seq > slot.refused_seq
    if (manifest.seq, manifest.package_sha256) == (served.seq, served.package_sha256):
        # back at what is served: whatever was refused in between is gone
        slot.state, slot.reason, slot.target_seq = "serving", "", served.seq
        slot.refused_digest = ""
        return False
    if manifest.seq <= served.seq:
        raise DeploymentRefused(
            f"manifest {manifest.seq} is not newer than {served.seq}, which is served", field="seq"
        )
    return manifest.seq > slot.refused_seq
