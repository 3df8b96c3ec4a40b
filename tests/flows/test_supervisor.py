"""One command starts everything and Ctrl-C stops all of it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts import ROOT


def sessions_of(home: Path) -> set[int]:
    """Ids of the processes whose environment names this home."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if f"GIJUN_HOME={home}".encode() in environment.split(b"\0"):
                found.add(int(entry.name))
    return found


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    unwanted = {"SECRET_KEY", "DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"}
    env = {name: value for name, value in os.environ.items() if name not in unwanted}
    return subprocess.Popen(
        [sys.executable, "-m", "portal.supervisor", *arguments],
        cwd=ROOT,
        env={**env, "GIJUN_HOME": str(home), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def read_until_ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if found := re.match(r"Gijun is ready: (http://127\.0\.0\.1:\d+)$", line):
            return found[1]
    raise AssertionError("".join(lines))


def test_it_starts_on_a_free_port_restarts_the_dead_and_stops_all(tmp_path: Path, busy_port: int) -> None:
    process = start(tmp_path, "--port", str(busy_port))
    try:
        url = read_until_ready(process)
        assert not url.endswith(f":{busy_port}")
        second = start(tmp_path)
        assert f"Gijun runs on {tmp_path} already: {url}" in second.communicate(timeout=30)[0]

        beat = next(
            pid for pid in sessions_of(tmp_path) if b"beat" in Path(f"/proc/{pid}/cmdline").read_bytes()
        )
        os.kill(beat, signal.SIGKILL)
        assert process.stdout is not None
        assert "beat ended; starting it again" in process.stdout.readline()
    finally:
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=60)[0]
    assert "Gijun has stopped" in rest
    assert process.returncode == 0
    deadline = time.monotonic() + 5
    while sessions_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert sessions_of(tmp_path) == set()
