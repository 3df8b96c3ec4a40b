"""A real HiveServer2 for the tests that are marked `spark`."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlopslib.offline.hiveserver2 import HiveServer2Store, open_hiveserver2
from tests.engines.spark_server import shared_server, spark_home
from tests.parts import absent


@pytest.fixture(scope="session")
def spark_ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """Ports of the session's Spark Thrift Server: HiveServer2, and its pages."""
    if spark_home() is None:
        absent("no pyspark in this environment (pip install -r requirements-spark.txt)")
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    with shared_server(shared / "spark") as ports:
        yield ports


@pytest.fixture(scope="session")
def spark_url(spark_ports: tuple[int, int], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the session's Spark; its database is `default`."""
    staging = tmp_path_factory.mktemp("staging")
    host = f"127.0.0.1:{spark_ports[0]}"
    return f"hive://tester@{host}/default?auth=NOSASL&dialect=spark&uploader=file://{staging}"


@pytest.fixture(scope="module")
def spark_store(spark_url: str) -> Iterator[HiveServer2Store]:
    """A store in a fresh database of its own on Spark."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    default = open_hiveserver2(spark_url)
    default.run(f"CREATE DATABASE {name}")
    yield open_hiveserver2(spark_url.replace("/default?", f"/{name}?"))
    default.run(f"DROP DATABASE {name} CASCADE")


@pytest.fixture(scope="session")
def staging_folder(spark_url: str) -> Path:
    """The folder of the server's uploader."""
    return Path(spark_url.rpartition("file://")[2])
