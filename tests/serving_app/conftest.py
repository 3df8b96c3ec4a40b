"""Heartbeats as a worker process writes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.utils import timezone

from apps.serving.models import Deployment


@pytest.fixture
def beat(shelf: redis.Redis, settings: Any) -> Callable[..., None]:
    """Let a worker say what it serves: `beat("w1", deployment)`, or `beat("w1")` for nothing yet."""

    def say(
        worker_id: str,
        serves: Deployment | None = None,
        *,
        refuses: Deployment | None = None,
        reason: str = "",
    ) -> None:
        endpoint = (serves or refuses).endpoint.name if serves or refuses else None
        report = {
            "seq": serves.seq if serves else 0,
            "version": serves.version.label if serves else "",
            "package_sha256": serves.package_sha256 if serves else "",
            "state": "refused" if refuses else "serving",
            "reason": reason,
            "target_seq": (refuses or serves).seq if serves or refuses else 0,
            "requests": 7,
        }
        now = timezone.now().isoformat(timespec="milliseconds")
        heartbeat = {
            "worker_id": worker_id,
            "host": "score-01",
            "pid": 4711,
            "port": 9000,
            "started_at": now,
            "at": now,
            "endpoints": {endpoint: report} if endpoint else {},
        }
        shelf.set(f"{settings.REDIS_PREFIX}:worker:{worker_id}", json.dumps(heartbeat), ex=10)

    return say
