"""The ASGI application: scores, what is served, live and ready."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from apps.serving.worker.body import Disconnected, Receive, busy, read_body
from apps.serving.worker.errors import RequestRefused
from apps.serving.worker.metrics import Metrics
from apps.serving.worker.protocol import Gauge
from apps.serving.worker.rows import Row
from apps.serving.worker.served import Served, Slots
from mlopslib.errors import RequestInvalid

log = logging.getLogger(__name__)

#: more rows than this are scored in a thread, so that small requests need not wait for them
ROWS_IN_LOOP = 64
_ENDPOINT = re.compile(r"^/v1/endpoints/(?P<name>[^/]*)(?P<score>/score)?\Z")
_REQUEST_ID = re.compile(rb"^[A-Za-z0-9._-]{1,64}\Z")
_encode = msgspec.json.Encoder().encode

Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Application:
    """Raw ASGI: one object, no routing table beyond five addresses."""

    def __init__(self, slots: Slots, gauge: Gauge, metrics: Metrics, *, max_in_flight: int) -> None:
        self._slots = slots
        self._gauge = gauge
        self._metrics = metrics
        self._max_in_flight = max_in_flight
        # one thread: a scorer is used by one caller at a time there, and never by two cores' worth
        self._large = ThreadPoolExecutor(max_workers=1, thread_name_prefix="large")

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given.decode() if _REQUEST_ID.match(given) else uuid.uuid4().hex
        try:
            answer = await self._answer(scope, headers, receive, request_id)
        except RequestRefused as error:
            answer = _problem(error, request_id)
        except Disconnected:
            return
        except Exception:
            log.exception("request %s failed", request_id)
            answer = _problem(
                RequestRefused(500, "internal", "this request could not be answered"), request_id
            )
        self._metrics.count_answer(answer.status, time.perf_counter() - started)
        head = [
            (b"content-type", answer.content_type),
            (b"content-length", str(len(answer.body)).encode()),
            (b"x-request-id", request_id.encode()),
            *answer.headers,
        ]
        if self._slots.is_draining:
            head.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": answer.status, "headers": head})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(
        self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes], receive: Receive, request_id: str
    ) -> Answer:
        path, method = scope["path"], scope["method"]
        if match := _ENDPOINT.match(path):
            if match["score"]:
                _allow(method, "POST")
                if scope["state"]["in_flight"] > self._max_in_flight:
                    raise busy("too many requests are in work; try again")
                return await self._score(self._served(match["name"]), headers, receive, request_id)
            _allow(method, "GET", "HEAD")
            return Answer(200, _encode(self._describe(self._served(match["name"]))))
        if path not in ("/v1/endpoints", "/live", "/ready"):
            raise RequestRefused(404, "not-found", "there is nothing at this address")
        _allow(method, "GET", "HEAD")
        if path == "/v1/endpoints":
            return Answer(200, _encode({"endpoints": self._list()}))
        if path == "/live":
            return Answer(200, b'{"status":"live"}')
        return self._ready()

    def _served(self, name: str) -> Served:
        served = self._slots.served.get(name)
        if served is not None:
            return served
        slot = self._slots.by_name.get(name)
        if slot is None:
            raise RequestRefused(404, "endpoint-not-found", f"there is no endpoint {name[:63]!r} here")
        raise RequestRefused(
            503,
            "endpoint-not-loaded",
            f"endpoint {name!r} has no version in service yet",
            headers=((b"retry-after", b"3"),),
        )

    async def _score(
        self, served: Served, headers: Mapping[bytes, bytes], receive: Receive, request_id: str
    ) -> Answer:
        rows = served.decoder.decode(await read_body(receive, headers, self._gauge))
        try:
            if len(rows) <= ROWS_IN_LOOP:
                scores = served.scorer.score(rows)
            else:
                loop = asyncio.get_running_loop()
                scores = await loop.run_in_executor(self._large, served.scorer.score, rows)
        except RequestInvalid as error:
            raise RequestRefused(422, error.code, error.message, field=error.field) from None
        if not np.isfinite(scores).all():
            raise ValueError(f"{served.endpoint} {served.version} gave a score that is not finite")
        self._slots.of(served.endpoint).requests += 1
        self._metrics.count_rows(served.endpoint, served.version, len(rows))
        body = {
            "responses": _responses(rows, scores.tolist(), served.echo),
            "model": served.model,
            "version": served.version,
            "requestId": request_id,
        }
        return Answer(200, _encode(body))

    def _list(self) -> list[dict[str, Any]]:
        return [
            {
                "name": slot.endpoint,
                "model": slot.served.model if slot.served else None,
                "version": slot.served.version if slot.served else None,
                "seq": slot.served.seq if slot.served else 0,
                "state": slot.state,
            }
            for slot in self._slots.by_name.values()
        ]

    def _describe(self, served: Served) -> dict[str, Any]:
        return {
            "name": served.endpoint,
            "model": served.model,
            "version": served.version,
            "seq": served.seq,
            "packageSha256": served.package_sha256,
            "identifiers": list(served.identifiers),
            "echo": list(served.echo),
            "contract": served.contract,
            "example": {"requests": [served.example]},
        }

    def _ready(self) -> Answer:
        slots = self._slots
        state = "ready" if slots.is_ready else "not ready"
        if slots.is_ready and slots.is_degraded:
            state = "degraded"
        body = {
            "status": "draining" if slots.is_draining else state,
            "endpoints": {name: slot.state for name, slot in slots.by_name.items()},
        }
        return Answer(200 if slots.is_ready else 503, _encode(body))


def _responses(rows: list[Row], scores: list[float], echo: tuple[str, ...]) -> list[Row]:
    """The identifiers that came, then the score, row by row."""
    responses = []
    for row, score in zip(rows, scores, strict=True):
        response = {name: row[name] for name in echo if name in row}
        response["score"] = score
        responses.append(response)
    return responses


def _allow(method: str, *allowed: str) -> None:
    if method not in allowed:
        names = ", ".join(allowed)
        raise RequestRefused(
            405, "method-not-allowed", f"use {names} here", headers=((b"allow", names.encode()),)
        )


def _problem(error: RequestRefused, request_id: str) -> Answer:
    body = {"type": error.code, "title": error.message, "status": error.status, "requestId": request_id}
    if error.field:
        body["field"] = error.field
    return Answer(error.status, _encode(body), b"application/problem+json", error.headers)
