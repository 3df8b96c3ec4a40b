"""Counters in Prometheus' text format, on a port of their own."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

from apps.serving.worker.served import Slots

#: seconds; upper edges of the latency histogram
_EDGES = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class Metrics:
    """Counted by the event loop only, so plain numbers do."""

    def __init__(self) -> None:
        self._answers: Counter[int] = Counter()
        self._rows: Counter[tuple[str, str]] = Counter()
        self._buckets = [0] * (len(_EDGES) + 1)
        self._seconds = 0.0
        self._refusals = 0

    def count_answer(self, status: int, seconds: float) -> None:
        self._answers[status] += 1
        self._buckets[bisect_left(_EDGES, seconds)] += 1
        self._seconds += seconds

    def count_rows(self, endpoint: str, version: str, rows: int) -> None:
        self._rows[endpoint, version] += rows

    def count_refusal(self) -> None:
        self._refusals += 1

    def lines(self, slots: Slots) -> Iterator[str]:
        yield "# TYPE gijun_answers_total counter"
        for status, count in sorted(self._answers.items()):
            yield f'gijun_answers_total{{status="{status}"}} {count}'
        yield "# TYPE gijun_rows_total counter"
        for (endpoint, version), count in sorted(self._rows.items()):
            yield f'gijun_rows_total{{endpoint="{endpoint}",version="{version}"}} {count}'
        yield "# TYPE gijun_answer_seconds histogram"
        total = 0
        for edge, count in zip((*_EDGES, "+Inf"), self._buckets, strict=True):
            total += count
            yield f'gijun_answer_seconds_bucket{{le="{edge}"}} {total}'
        yield f"gijun_answer_seconds_sum {self._seconds:.6f}"
        yield f"gijun_answer_seconds_count {total}"
        yield "# TYPE gijun_deployments_refused_total counter"
        yield f"gijun_deployments_refused_total {self._refusals}"
        yield "# TYPE gijun_ready gauge"
        yield f"gijun_ready {int(slots.is_ready)}"
        yield "# TYPE gijun_served_seq gauge"
        for name, served in sorted(slots.served.items()):
            yield f'gijun_served_seq{{endpoint="{name}",version="{served.version}"}} {served.seq}'


async def serve_metrics(metrics: Metrics, slots: Slots, host: str, port: int) -> asyncio.Server:
    """Whatever is asked on this port, the answer is the figures."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(5):
                await reader.readuntil(b"\r\n\r\n")
            body = "".join(line + "\n" for line in metrics.lines(slots)).encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\n"
                b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(body), body)
            )
            await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(answer, host, port)
