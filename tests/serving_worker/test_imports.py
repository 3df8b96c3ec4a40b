"""The worker's process stays small: what it must not import is not there, not even after scoring."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.serving_worker.conftest import ENDPOINT, ROOT, Desk, talk_rows

FORBIDDEN = {
    "django",
    "pandas",
    "sklearn",
    "celery",
    "pypmml",
    "lightgbm",
    "sklearn2pmml",
    "starlette",
    "scipy",
}

_PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from apps.serving.worker import __main__, process
from apps.serving.worker.app import Application
from apps.serving.worker.loader import Loader
from apps.serving.worker.manifest import read_manifest
from apps.serving.worker.metrics import Metrics
from apps.serving.worker.protocol import Gauge
from apps.serving.worker.served import Slots
from apps.serving.worker.state import LocalState
from mlopslib.artifacts import ArtifactStore

given = json.load(sys.stdin)

async def main():
    slots = Slots(is_settled=True)
    loader = Loader(ArtifactStore(given["artifacts"]), LocalState(Path(given["state"])))
    manifest = read_manifest(json.dumps(given["manifest"]).encode(), given["endpoint"], Path(given["keys"]))
    slots.swap(await loader.load(manifest))
    application = Application(slots, Gauge(), Metrics(), max_in_flight=8)
    body = json.dumps({"requests": given["rows"]}).encode()
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    path = f"/v1/endpoints/{given['endpoint']}/score"
    scope = {"type": "http", "method": "POST", "path": path, "headers": [], "state": {"in_flight": 1}}
    await application(scope, receive, send)
    modules = sorted({name.split(".")[0] for name in sys.modules})
    print(json.dumps({"status": sent[0]["status"], "modules": modules}))

asyncio.run(main())
"""


def test_nothing_heavy_is_imported_at_start_or_by_scoring(desk: Desk) -> None:
    given = {
        "artifacts": str(desk.packages.store.root),
        "state": str(desk.home / "state"),
        "keys": str(desk.packages.keys),
        "manifest": desk.signed(1, "v1"),
        "endpoint": ENDPOINT,
        "rows": talk_rows(),
    }
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
        timeout=60,
    )
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["status"] == 200
    assert FORBIDDEN & set(result["modules"]) == set()
