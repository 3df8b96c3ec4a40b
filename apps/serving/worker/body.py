"""The bytes of a request, within size and time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from apps.serving.worker.errors import RequestRefused
from apps.serving.worker.protocol import Gauge

MAX_BODY_BYTES = 1 << 20
BODY_SECONDS = 10.0
#: bodies that are still on their way may hold this much memory together
READING_BYTES = 32 << 20
#: of a refused body this much is read and dropped, so that its sender gets to read the answer
_DISCARD_BYTES = 16 << 20
_DISCARD_SECONDS = 2.0
_CLOSE = ((b"connection", b"close"),)

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class Disconnected(Exception):
    """The caller went away; nobody is there to be answered."""


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], gauge: Gauge) -> bytes:
    """The whole body. Raises RequestRefused, Disconnected."""
    gauge.reading += 1
    try:
        return await _read_body(receive, headers, gauge)
    finally:
        gauge.reading -= 1


async def _read_body(receive: Receive, headers: Mapping[bytes, bytes], gauge: Gauge) -> bytes:
    encoding = headers.get(b"content-encoding", b"identity").lower()
    declared = headers.get(b"content-length", b"0")
    refusal: RequestRefused | None = None
    if encoding != b"identity":
        refusal = RequestRefused(
            415, "encoding-unsupported", "send the body as it is, without Content-Encoding", headers=_CLOSE
        )
    # more digits than int() may take are too large without asking it
    elif len(declared) > 12 or int(declared) > MAX_BODY_BYTES:
        refusal = _too_large()
    if refusal is not None:
        await _discard(receive)
        raise refusal
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _collect(receive, gauge)
    except TimeoutError:
        message = f"the body did not arrive within {BODY_SECONDS:.0f} s"
        raise RequestRefused(408, "body-too-slow", message, headers=_CLOSE) from None


async def _collect(receive: Receive, gauge: Gauge) -> bytes:
    body, held = b"", 0
    try:
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise Disconnected
            chunk: bytes = message.get("body", b"")
            body = body + chunk if body else chunk
            if len(body) > MAX_BODY_BYTES:
                await _discard(receive)
                raise _too_large()
            if not message.get("more_body", False):
                return body
            held += len(chunk)
            gauge.reading_bytes += len(chunk)
            if gauge.reading_bytes > READING_BYTES:
                raise busy("too many large bodies are on their way", close=True)
    finally:
        gauge.reading_bytes -= held


def busy(message: str, *, close: bool = False) -> RequestRefused:
    headers = ((b"retry-after", b"1"), *(_CLOSE if close else ()))
    return RequestRefused(503, "busy", message, headers=headers)


def _too_large() -> RequestRefused:
    return RequestRefused(
        413, "body-too-large", f"the body is larger than {MAX_BODY_BYTES} bytes", headers=_CLOSE
    )


async def _discard(receive: Receive) -> None:
    """Read on for a while: a connection closed with unread data loses the answer on its way."""
    size, more = 0, True
    try:
        async with asyncio.timeout(_DISCARD_SECONDS):
            while more and size < _DISCARD_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                more = message.get("more_body", False)
    except TimeoutError:
        return
