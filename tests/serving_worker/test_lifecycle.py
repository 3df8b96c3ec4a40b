"""Start, stop, crash: with Redis away, with a child killed, with the parent killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.serving_worker.conftest import (
    HTTP,
    ROOT,
    Desk,
    Packages,
    RedisServer,
    free_port,
    is_running,
    talk_rows,
    wait_for,
)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    server.start()
    yield server
    server.stop()


def test_redis_away_changes_nothing_and_a_restart_serves_the_same(
    packages: Packages, own_redis: RedisServer, tmp_path: Path
) -> None:
    desk = Desk(packages, own_redis, tmp_path, prefix="away")
    desk.start(processes=2)
    desk.deploy(3, "v1")
    wait_for(lambda: len(desk.heartbeats()) == 2 and desk.all_serve(3), "both processes")
    scores = desk.score(talk_rows()).json()["responses"]
    own_redis.stop()
    for _ in range(20):
        assert desk.score(talk_rows()).json()["responses"] == scores
    assert desk.stop() == 0

    desk.start(processes=2, artifacts=tmp_path / "no-such-store")
    assert desk.get("/ready").status_code == 200
    answer = desk.score(talk_rows()).json()
    assert (answer["version"], answer["responses"]) == ("v1", scores)

    # an older manifest is no way back, not even for a worker that was restarted
    own_redis.start()
    desk.publish(desk.signed(2, "v2"))
    assert "not newer than 3" in desk.refusal(2)
    assert desk.stop() == 0
    assert desk.heartbeats() == []


def test_a_package_damaged_on_this_host_is_copied_again(desk: Desk) -> None:
    desk.start()
    desk.deploy(1, "v1")
    wait_for(lambda: (desk.home / "state" / "recent" / "loan-needs.json").is_file(), "the kept manifest")
    assert desk.stop() == 0
    for path in (desk.home / "state" / "packages" / "objects").glob("*/*"):
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    desk.start()
    assert desk.score(talk_rows()).json()["version"] == "v1"


def test_an_unsigned_manifest_on_this_hosts_disk_is_not_served(desk: Desk) -> None:
    desk.start()
    desk.deploy(1, "v1")
    kept = desk.home / "state" / "endpoints" / "loan-needs.json"
    wait_for(kept.is_file, "the kept manifest")
    assert desk.stop() == 0
    kept.write_bytes(kept.read_bytes().replace(b'"v1"', b'"v9"'))
    desk.redis.client.delete(f"{desk.prefix}:manifest:loan-needs")
    desk.start()
    assert desk.score(talk_rows()).status_code == 503
    assert desk.get("/ready").status_code == 503
    assert "signature does not fit" in desk.refusal(1)
    # the portal's own manifest heals it
    desk.deploy(1, "v1")
    assert desk.get("/ready").status_code == 200


def test_a_killed_process_is_replaced_and_answers_at_once(desk: Desk) -> None:
    desk.publish(desk.signed(1, "v1"))
    desk.start(processes=2)
    wait_for(lambda: len(desk.heartbeats()) == 2 and desk.all_serve(1), "both processes")
    first, second = desk.child_pids()
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: len(desk.child_pids()) == 2 and first not in desk.child_pids(), "a new process")
    wait_for(lambda: {beat["pid"] for beat in desk.heartbeats()} == set(desk.child_pids()), "its heartbeat")
    assert second in desk.child_pids()
    # whichever of the two takes the connection
    assert {desk.score(talk_rows()).status_code for _ in range(30)} == {200}


def test_a_killed_parent_leaves_no_process(desk: Desk) -> None:
    desk.publish(desk.signed(1, "v1"))
    desk.start(processes=2)
    wait_for(lambda: desk.get("/ready").status_code == 200, "readiness")
    pids = desk.child_pids()
    assert len(pids) == 2
    assert desk.worker is not None
    desk.worker.kill()
    desk.worker.wait()
    wait_for(lambda: not any(map(is_running, pids)), "the end of the children")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", desk.port), timeout=2)


def test_sigterm_drains_without_a_failed_request(desk: Desk) -> None:
    desk.publish(desk.signed(1, "v1"))
    desk.start(processes=2, drain_seconds=1.5)
    wait_for(lambda: len(desk.heartbeats()) == 2 and desk.all_serve(1), "both processes")
    statuses: set[int] = set()
    stop = threading.Event()

    def call() -> None:
        # like a caller behind a load balancer: goes elsewhere once it is told to close
        while not stop.is_set():
            with httpx.Client(timeout=10) as client:
                statuses.add(client.post(desk.score_url, json={"requests": talk_rows()}).status_code)

    assert desk.worker is not None
    with ThreadPoolExecutor(3) as pool:
        callers = [pool.submit(call) for _ in range(3)]
        wait_for(lambda: statuses, "answers")
        desk.worker.send_signal(signal.SIGTERM)
        response = wait_for(lambda: (r := desk.get("/ready")).status_code == 503 and r, "draining")
        assert response.json()["status"] == "draining"
        assert response.headers["connection"] == "close"
        # within the drain they are still answered, and then the balancer has seen it
        stop.set()
        for caller in callers:
            caller.result()
    assert statuses == {200}
    assert desk.stop() == 0
    assert desk.heartbeats() == []


def test_more_than_may_be_in_flight_is_told_to_come_back(desk: Desk) -> None:
    desk.publish(desk.signed(1, "v1"))
    desk.start(max_in_flight=2)
    wait_for(lambda: desk.get("/ready").status_code == 200, "readiness")
    body = {"requests": (talk_rows() * 67)[:1000]}
    with ThreadPoolExecutor(12) as pool:
        responses = list(pool.map(lambda _: HTTP.post(desk.score_url, json=body), range(60)))
    statuses = {response.status_code for response in responses}
    assert statuses == {200, 503}
    refused = next(response for response in responses if response.status_code == 503)
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["type"] == "busy"
    assert desk.score(talk_rows()).status_code == 200


def test_metrics_are_on_a_port_of_their_own(desk: Desk) -> None:
    port = free_port()
    desk.publish(desk.signed(1, "v1"))
    desk.start(metrics_port=port)
    wait_for(lambda: desk.get("/ready").status_code == 200, "readiness")
    assert desk.score(talk_rows()).status_code == 200
    text = HTTP.get(f"http://127.0.0.1:{port}/metrics").text
    assert 'gijun_rows_total{endpoint="loan-needs",version="v1"} 15' in text
    assert 'gijun_served_seq{endpoint="loan-needs",version="v1"} 1' in text
    assert "gijun_ready 1" in text
    assert desk.get("/metrics").status_code == 404


def test_a_port_that_is_taken_is_an_error_at_once(desk: Desk) -> None:
    desk.start()
    command = [sys.executable, "-m", "apps.serving.worker", "--port", str(desk.port)]
    command += ["--public-keys", str(desk.packages.keys), "--state", str(desk.home / "other")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{desk.port}" in done.stderr


def test_a_worker_that_cannot_start_says_so_and_ends(desk: Desk) -> None:
    (desk.home / "file").write_text("")
    command = [sys.executable, "-m", "apps.serving.worker", "--port", str(desk.port), "--processes", "1"]
    command += ["--public-keys", str(desk.packages.keys), "--state", str(desk.home / "file")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "no serving process starts" in done.stderr
