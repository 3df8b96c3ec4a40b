"""Keeps N serving processes on one port: starts them, starts the dead again, ends them together."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from apps.serving.worker.options import ENV_PREFIX, Options

_ROOT = Path(__file__).resolve().parents[3]
_TICK_SECONDS = 0.1
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 10.0
#: a worker none of whose processes ever listened ends after this many starts of one of them
_STARTS_BEFORE_GIVING_UP = 3
#: a process that lived this long did not die of its start
_HEALTHY_SECONDS = 30.0
#: beyond the drain and the last requests
_STOP_SLACK_SECONDS = 15.0


@dataclass
class _Child:
    index: int
    process: subprocess.Popen[bytes] | None = None
    #: read end of a pipe; one byte comes when the process listens
    ready: int = -1
    is_listening: bool = False
    starts: int = 0
    started_at: float = 0.0
    pause: float = _FIRST_PAUSE_SECONDS
    restart_at: float = 0.0


class Parent:
    """Needs neither Redis nor a package; it only minds the processes."""

    def __init__(self, options: Options) -> None:
        self._held = _hold_port(options.host, options.port)
        self._options = replace(options, port=self._held.getsockname()[1])
        self._children = [_Child(index) for index in range(options.processes)]
        self._is_stopping = False
        self._is_announced = False

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        for child in self._children:
            self._start(child)
        while not self._is_stopping:
            self._wait_for_news()
            for child in self._children:
                self._look_after(child)
            if self._is_hopeless:
                print("no serving process starts; see above", file=sys.stderr)
                return max(self._stop(), 1)
        return self._stop()

    @property
    def _is_hopeless(self) -> bool:
        return not self._is_announced and any(
            child.process is None and child.starts >= _STARTS_BEFORE_GIVING_UP for child in self._children
        )

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._is_stopping:
            # asked twice: no drain
            self._signal_all(signal.SIGINT)
        self._is_stopping = True

    def _start(self, child: _Child) -> None:
        reader, writer = os.pipe()
        environment = {
            **os.environ,
            **self._options.to_env(),
            ENV_PREFIX + "INDEX": str(child.index),
            ENV_PREFIX + "READY_FD": str(writer),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")])),
        }
        child.process = subprocess.Popen(
            [sys.executable, "-m", "apps.serving.worker.process"],
            env=environment,
            # its end tells the process that we are gone, however we went
            stdin=subprocess.PIPE,
            pass_fds=(writer,),
        )
        os.close(writer)
        child.ready, child.is_listening, child.started_at = reader, False, time.monotonic()
        child.starts += 1

    def _wait_for_news(self) -> None:
        waiting = [child for child in self._children if child.ready >= 0]
        readable, _, _ = select.select([child.ready for child in waiting], [], [], _TICK_SECONDS)
        for child in waiting:
            if child.ready in readable:
                child.is_listening = os.read(child.ready, 1) != b""
                os.close(child.ready)
                child.ready = -1
        if not self._is_announced and all(child.is_listening for child in self._children):
            host = f"[{self._options.host}]" if ":" in self._options.host else self._options.host
            count = len(self._children)
            print(
                f"Gijun serving worker is listening on http://{host}:{self._options.port} "
                f"({count} {'process' if count == 1 else 'processes'})",
                flush=True,
            )
            self._is_announced = True

    def _look_after(self, child: _Child) -> None:
        now = time.monotonic()
        if child.process is None:
            if now >= child.restart_at:
                self._start(child)
            return
        if child.process.poll() is None:
            return
        if now - child.started_at > _HEALTHY_SECONDS:
            child.pause = _FIRST_PAUSE_SECONDS
        print(
            f"serving process {child.index} (pid {child.process.pid}) ended with code "
            f"{child.process.returncode}; starting again in {child.pause:.1f} s",
            file=sys.stderr,
            flush=True,
        )
        self._forget(child)
        child.restart_at = now + child.pause
        child.pause = min(child.pause * 2, _LONGEST_PAUSE_SECONDS)

    def _forget(self, child: _Child) -> None:
        if child.process is not None and child.process.stdin is not None:
            child.process.stdin.close()
        child.process = None
        if child.ready >= 0:
            os.close(child.ready)
            child.ready = -1

    def _stop(self) -> int:
        self._signal_all(signal.SIGTERM)
        deadline = time.monotonic() + self._options.drain_seconds + _STOP_SLACK_SECONDS
        code = 0
        for child in self._children:
            if child.process is None:
                continue
            try:
                child.process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
                code = 1
            self._forget(child)
        self._held.close()
        return code

    def _signal_all(self, number: signal.Signals) -> None:
        for child in self._children:
            if child.process is not None and child.process.poll() is None:
                child.process.send_signal(number)


def _hold_port(host: str, port: int) -> socket.socket:
    """Bind without listening, so that the port stays ours while processes come and go.

    Raises OSError where another program has it: with SO_REUSEPORT alone two installations could share
    one port and answer for each other.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        port = probe.getsockname()[1]
    held = socket.socket(family)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind((host, port))
    return held
