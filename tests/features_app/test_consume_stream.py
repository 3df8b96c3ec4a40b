"""The command that reads a stream into the online store, as the process that it is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from mlopslib.online import open_online
from tests.factories import make_feature_set
from tests.parts import ROOT
from tests.pipelines.conftest import database_url


def event(entity: str, amount: float) -> dict[str, bytes]:
    body = {"entity": entity, "event_time": "2026-07-01T09:00:00+09:00", "values": {"txn_amt_3m": amount}}
    return {"data": json.dumps(body).encode()}


@pytest.fixture
def source(shelf, settings) -> str:
    return f"{settings.ONLINE_URL}/{settings.REDIS_PREFIX}:events?group=portal&claim_seconds=1"


def command(source: str, *more: str) -> list[str]:
    return [
        sys.executable,
        "manage.py",
        "consume_stream",
        "--feature-set",
        "cust_txn",
        "--source",
        source,
        *more,
    ]


@pytest.fixture
def environment(settings, tmp_path: Path, transactional_db: None) -> dict[str, str]:
    mine = {
        "DATABASE_URL": database_url(),
        "GIJUN_HOME": str(tmp_path / "home"),
        "ONLINE_URL": settings.ONLINE_URL,
        "REDIS_PREFIX": settings.REDIS_PREFIX,
        "SECRET_KEY": "only-for-tests",
        "DJANGO_SETTINGS_MODULE": "portal.settings",
    }
    return {**os.environ, **mine}


def test_sigterm_finishes_the_batch_in_hand_and_says_what_was_done(shelf, source, environment, settings):
    row = make_feature_set("cust_txn")
    stream = f"{settings.REDIS_PREFIX}:events"
    for number in range(30):
        shelf.xadd(stream, event(f"c{number}", float(number)))
    process = subprocess.Popen(
        command(source, "--batch", "7"), cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    online = open_online(settings.ONLINE_URL, settings.REDIS_PREFIX)
    deadline = time.monotonic() + 60
    while not (found := online.last_streamed(row.name, row.version)) or found[1] < 30:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "stopped: 30 read, 30 written, 0 known already or late, 0 bad" in said
    assert shelf.xpending(stream, "portal")["pending"] == 0
    (facts,) = online.streams(row.name, row.version).values()
    assert (facts["read"], facts["is_running"]) == (30, False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--feature-set", "none"], "no published feature set none"),
        (["--feature-set", "cust_txn", "--set-version", "9"], "no published feature set cust_txn 9"),
        (["--feature-set", "cust_txn", "--batch", "0"], "from 1 to 10000"),
        (["--feature-set", "cust_txn", "--source", "file:///x?group=g"], "begins with redis://"),
        (
            ["--feature-set", "cust_txn", "--source", "redis://127.0.0.1:1/0/s?group=g"],
            "there is no Redis at",
        ),
    ],
)
def test_what_cannot_be_read_is_said_at_once(db, shelf, source, arguments, words):
    make_feature_set("cust_txn")
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with pytest.raises(CommandError, match=words):
            call_command(
                "consume_stream", *(["--source", source] if "--source" not in arguments else []), *arguments
            )
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
