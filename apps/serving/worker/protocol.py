"""uvicorn's HTTP protocol with the deadlines and limits that it lacks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

#: a request line with its headers must be whole within this time
HEAD_SECONDS = 5.0
HEAD_BYTES = 64 * 1024


@dataclass
class Gauge:
    """What is under way in this process."""

    #: requests whose body has not come whole; slow senders must not use up the room of the others
    reading: int = 0
    #: bytes of those bodies
    reading_bytes: int = 0


class LimitedProtocol(HttpToolsProtocol):
    """Closes connections that never finish their headers.

    uvicorn itself waits for ever for the rest of a request, so a few hundred idle connections
    would hold a worker.
    """

    gauge = Gauge()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head_timer is None:
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
            self._refuse(431, "headers-too-large", f"the headers are larger than {HEAD_BYTES} bytes")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._head_arrived()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "http-invalid", "this is not HTTP/1.1 as RFC 9112 has it")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # tasks wait for their turn from here on: the only place where a queue can be seen
        cycle.scope["state"]["in_flight"] = len(self.tasks) - self.gauge.reading
        super()._start_asgi_task(cycle, app)

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_bytes = 0
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, status: int, code: str, title: str) -> None:
        body = msgspec.json.encode({"type": code, "title": title, "status": status})
        reason = {400: b"Bad Request", 431: b"Request Header Fields Too Large"}[status]
        self.transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: application/problem+json\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n%b" % (status, reason, len(body), body)
        )
        self.transport.close()


def protocol_with(gauge: Gauge) -> type[LimitedProtocol]:
    """uvicorn takes a class and makes its objects: the gauge has to be on the class."""
    return type("GaugedProtocol", (LimitedProtocol,), {"gauge": gauge})
