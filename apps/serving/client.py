"""What the portal and the serving workers say to each other through Redis.

Redis is a shelf, not the truth: manifests on it are signed and come from the database, heartbeats on it die
by themselves. Where Redis is away, readers get nothing and a flag; nobody gets an exception.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import redis
from django.conf import settings

logger = logging.getLogger(__name__)

#: a page waits this long for Redis, not longer
_CONNECT_SECONDS = 0.5
_ANSWER_SECONDS = 1.0


@dataclass(frozen=True)
class EndpointReport:
    """What one worker says of one endpoint."""

    seq: int
    version: str
    package_sha256: str
    state: str
    reason: str
    target_seq: int
    requests: int


@dataclass(frozen=True)
class WorkerHeartbeat:
    """The last sign of life of one worker process."""

    worker_id: str
    host: str
    pid: int
    port: int
    started_at: datetime
    at: datetime
    endpoints: Mapping[str, EndpointReport] = field(default_factory=dict)


@dataclass(frozen=True)
class WorkersView:
    """All workers alive; `is_available` is False where Redis could not be asked."""

    is_available: bool
    workers: tuple[WorkerHeartbeat, ...] = ()


def read_workers() -> WorkersView:
    """Every worker whose heartbeat has not died. Never raises."""
    pattern = f"{_escaped(settings.REDIS_PREFIX)}:worker:*"
    try:
        connection = _connection(settings.REDIS_URL)
        keys = sorted(connection.scan_iter(match=pattern, count=500))
        values = connection.mget(keys) if keys else []
    except (redis.RedisError, OSError) as error:
        logger.warning("Redis is away: workers cannot be seen (%s)", type(error).__name__)
        return WorkersView(is_available=False)
    heartbeats = (_heartbeat(value) for value in values if value is not None)
    return WorkersView(True, tuple(each for each in heartbeats if each is not None))


def write_manifests(manifests: Mapping[str, Mapping[str, Any]]) -> bool:
    """Lay signed manifests on the shelf, by endpoint, and ring for those that changed.

    Writing what is there already does nothing. False where Redis is away. Never raises.
    """
    prefix = settings.REDIS_PREFIX
    names = sorted(manifests)
    if not names:
        return True
    wanted = {name: json.dumps(manifests[name], sort_keys=True, ensure_ascii=False) for name in names}
    try:
        connection = _connection(settings.REDIS_URL)
        present = connection.mget([f"{prefix}:manifest:{name}" for name in names])
        for name, before in zip(names, present, strict=True):
            if before == wanted[name].encode():
                continue
            connection.set(f"{prefix}:manifest:{name}", wanted[name])
            connection.publish(f"{prefix}:manifests", name)
    except (redis.RedisError, OSError) as error:
        logger.warning("Redis is away: manifests wait for the next round (%s)", type(error).__name__)
        return False
    return True


@lru_cache(maxsize=4)
def _connection(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url, socket_connect_timeout=_CONNECT_SECONDS, socket_timeout=_ANSWER_SECONDS, health_check_interval=15
    )


def _escaped(prefix: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in prefix)


def _heartbeat(raw: bytes) -> WorkerHeartbeat | None:
    """A heartbeat, or None for bytes that are not one."""
    try:
        data = json.loads(raw)
        reports = {
            str(name): EndpointReport(
                seq=_whole(report.get("seq")),
                version=str(report.get("version") or "")[:20],
                package_sha256=str(report.get("package_sha256") or ""),
                state=str(report.get("state") or "loading")[:20],
                reason=str(report.get("reason") or "")[:2000],
                target_seq=_whole(report.get("target_seq")),
                requests=_whole(report.get("requests")),
            )
            for name, report in data["endpoints"].items()
        }
        return WorkerHeartbeat(
            worker_id=str(data["worker_id"])[:64],
            host=str(data["host"])[:120],
            pid=_whole(data["pid"]),
            port=_whole(data["port"]),
            started_at=_moment(data["started_at"]),
            at=_moment(data["at"]),
            endpoints=reports,
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        logger.warning("a heartbeat does not parse (%s)", type(error).__name__)
        return None


def _whole(value: Any) -> int:
    return max(int(value or 0), 0)


def _moment(value: Any) -> datetime:
    """A time given as ISO 8601 text or as seconds since 1970."""
    if isinstance(value, str):
        moment = datetime.fromisoformat(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return datetime.fromtimestamp(float(value), tz=UTC)


def alive(
    workers: Iterable[WorkerHeartbeat], endpoint: str
) -> list[tuple[WorkerHeartbeat, EndpointReport | None]]:
    """Each worker with what it says of one endpoint: None where it has not heard of it yet."""
    return [(worker, worker.endpoints.get(endpoint)) for worker in workers]
