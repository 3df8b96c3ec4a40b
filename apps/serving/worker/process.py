"""One serving process: the socket, the application, the watcher. The parent starts it; people do not."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager

import redis.asyncio as aioredis
import uvicorn
import uvloop

from apps.serving.worker.app import Application
from apps.serving.worker.heartbeat import Heartbeat
from apps.serving.worker.lifeline import leave_with_parent
from apps.serving.worker.loader import Loader
from apps.serving.worker.metrics import Metrics, serve_metrics
from apps.serving.worker.options import ENV_PREFIX, Options
from apps.serving.worker.protocol import Gauge, protocol_with
from apps.serving.worker.served import Slots
from apps.serving.worker.state import LocalState
from apps.serving.worker.watcher import Watcher
from mlopslib.artifacts import ArtifactStore

log = logging.getLogger(__name__)

#: callers' pools keep connections longer than uvicorn's five seconds
KEEP_ALIVE_SECONDS = 75
DRAIN_REQUESTS_SECONDS = 10
BACKLOG = 1024
_REDIS_SECONDS = 2.0


class _Server(uvicorn.Server):
    """Signals are ours: the first one starts the drain, not the end."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def serve(options: Options, index: int, ready_fd: int) -> int:
    """Serve until SIGTERM; returns the exit code."""
    slots, gauge, metrics = Slots(), Gauge(), Metrics()
    state = LocalState(options.state)
    client = aioredis.Redis.from_url(
        options.redis_url,
        socket_timeout=_REDIS_SECONDS,
        socket_connect_timeout=_REDIS_SECONDS,
        health_check_interval=15,
    )
    heartbeat = Heartbeat(options, index, slots, client)
    loader = Loader(ArtifactStore(options.artifacts), state)
    watcher = Watcher(options, slots, loader, state, heartbeat, metrics, client)
    stop, hurry = asyncio.Event(), asyncio.Event()
    _listen_to_signals(stop, hurry)

    # before the socket: a process that was restarted must not get requests that it cannot answer yet
    await watcher.load_local()
    application = Application(slots, gauge, metrics, max_in_flight=options.max_in_flight)
    server = _Server(
        uvicorn.Config(
            application,
            http=protocol_with(gauge),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=DRAIN_REQUESTS_SECONDS,
        )
    )
    if options.metrics_port:
        await serve_metrics(metrics, slots, options.host, options.metrics_port + index)
    serving = asyncio.create_task(server.serve(sockets=[_listen(options.host, options.port)]))
    watching = asyncio.create_task(watcher.run())
    stopping = asyncio.create_task(stop.wait())
    while not (server.started or serving.done()):
        await asyncio.sleep(0.01)
    # what lives now lives long: the collector need not look at it again
    gc.freeze()
    os.write(ready_fd, b".")
    os.close(ready_fd)
    await asyncio.wait({serving, watching, stopping}, return_when=asyncio.FIRST_COMPLETED)

    slots.is_draining = True
    if stop.is_set():
        await _wait(hurry, options.drain_seconds)
    server.should_exit = True
    await serving
    code = 0
    if watching.done():
        log.error("the watcher failed", exc_info=watching.exception())
        code = 1
    watching.cancel()
    await asyncio.wait({watching})
    await heartbeat.say_goodbye()
    return code


def _listen_to_signals(stop: asyncio.Event, hurry: asyncio.Event) -> None:
    """SIGTERM may come twice, from the parent and from whoever ends us all; only SIGINT means hurry."""

    def interrupt() -> None:
        if stop.is_set():
            hurry.set()
        stop.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, interrupt)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # the kernel spreads connections over the processes
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host, port))
    return listener


def main() -> int:
    leave_with_parent(sys.stdin.fileno())
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    options = Options.from_env()
    index, ready_fd = int(os.environ[ENV_PREFIX + "INDEX"]), int(os.environ[ENV_PREFIX + "READY_FD"])
    return uvloop.run(serve(options, index, ready_fd))


if __name__ == "__main__":
    exit_code = main()
    logging.shutdown()
    # threads that load or watch must not hold the process back
    os._exit(exit_code)
