"""The connection test names the fault: who refused, and what would work."""

from __future__ import annotations

import io
import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from mlopslib.errors import ConnectionFault
from mlopslib.offline import open_store
from mlopslib.offline.connection import STEPS, ConnectionReport, check_connection
from tests.conftest import free_port


def fault(report: ConnectionReport) -> tuple[str, str]:
    assert not report.ok
    last = report.steps[-1]
    assert not last.ok
    assert len(report.steps) + len(report.untried) == len(STEPS)
    return last.name, last.message


def plain(spark_url: str) -> str:
    """The address up to its options."""
    return spark_url.partition("?")[0]


@pytest.fixture
def hangs_up() -> Iterator[int]:
    """The port of a server that takes a connection and ends it at the first bytes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.recv(1)
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def test_the_embedded_store_passes_and_leaves_nothing(tmp_path: Path) -> None:
    report = check_connection(f"delta://{tmp_path}/offline")
    assert report.ok
    assert [step.name for step in report.steps] == list(STEPS)
    assert (report.engine, report.tables) == ("duckdb", 0)
    assert open_store(report.url).list_tables() == []


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    name, message = fault(check_connection(f"delta://{tmp_path}/file/offline"))
    assert name == "database"
    assert "is a file, not a directory" in message


def test_a_port_where_nobody_listens_is_named() -> None:
    port = free_port()
    name, message = fault(check_connection(f"impala://127.0.0.1:{port}/risk"))
    assert (name, message) == (
        "port",
        f"127.0.0.1:{port} refused the connection: does the server run, and on this port?",
    )


def test_a_host_that_is_not_known_is_named() -> None:
    name, message = fault(check_connection("impala://bank.invalid/risk"))
    assert name == "port"
    assert "'bank.invalid' is not known" in message


def test_a_wrong_address_is_named() -> None:
    name, message = fault(check_connection("impala://h/risk?auth=none"))
    assert name == "address"
    assert "auth=NONE is not known" in message


@pytest.mark.parametrize(("auth", "other"), [("NOSASL", "PLAIN"), ("PLAIN", "NOSASL")])
def test_a_server_that_hangs_up_wants_another_mechanism(hangs_up: int, auth: str, other: str) -> None:
    name, message = fault(check_connection(f"impala://ada:hunter2@127.0.0.1:{hangs_up}/risk?auth={auth}"))
    assert name == "handshake"
    assert f"it expects another auth than {auth}; try auth={other}" in message
    assert "hunter2" not in message


def test_a_store_whose_server_is_away_says_so(caplog: pytest.LogCaptureFixture) -> None:
    store = open_store(f"impala://ada:hunter2@127.0.0.1:{free_port()}/risk")
    with caplog.at_level(logging.DEBUG), pytest.raises(ConnectionFault, match="refused"):
        store.list_tables()
    assert "hunter2" not in caplog.text


@pytest.mark.spark
def test_a_real_server_passes_every_step(spark_url: str) -> None:
    report = check_connection(spark_url)
    assert report.ok, report.steps
    assert (report.engine, report.server_version[:2]) == ("spark", "4.")
    assert "through the uploader" in report.steps[-1].message
    assert not any("gijun" in name for name in open_store(spark_url).list_tables())


@pytest.mark.spark
def test_a_real_server_is_recognised_without_being_told(spark_url: str) -> None:
    report = check_connection(f"{plain(spark_url)}?auth=NOSASL")
    assert report.ok
    assert "without an uploader" in report.steps[-1].message
    assert open_store(f"{plain(spark_url)}?auth=NOSASL").engine == "spark"


@pytest.mark.spark
@pytest.mark.parametrize("auth", ["PLAIN", "LDAP"])
def test_a_real_server_without_logins_hangs_up_on_a_login(spark_url: str, auth: str) -> None:
    address = plain(spark_url).replace("tester@", "tester:hunter2@")
    name, message = fault(check_connection(f"{address}?auth={auth}"))
    assert name == "handshake"
    assert f"another auth than {auth}; try auth=NOSASL" in message


@pytest.mark.spark
def test_a_database_that_is_not_there_is_named(spark_url: str) -> None:
    name, message = fault(check_connection(spark_url.replace("/default?", "/no_such_database?")))
    assert name == "database"
    assert "'no_such_database' cannot be used" in message
    assert "Exception" not in message


@pytest.mark.spark
def test_another_engine_than_the_address_says_is_named(spark_url: str) -> None:
    address = plain(spark_url).replace("hive://", "impala://")
    name, message = fault(check_connection(f"{address}?auth=NOSASL"))
    assert name == "handshake"
    assert "the server says that it is spark, the address that it is impala: use hive://" in message


@pytest.mark.spark
def test_an_uploader_that_cannot_be_used_is_named(spark_url: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for uploader, words in (
        (f"file://{tmp_path}/file/staging", "cannot be written"),
        (f"webhdfs://127.0.0.1:{free_port()}/staging", "cannot be reached"),
    ):
        name, message = fault(check_connection(f"{plain(spark_url)}?auth=NOSASL&uploader={uploader}"))
        assert name == "write"
        assert words in message


def test_the_command_prints_the_steps_and_its_exit_code_tells(tmp_path: Path) -> None:
    said = io.StringIO()
    call_command("check_offline", f"delta://{tmp_path}/offline", stdout=said)
    assert said.getvalue().count("ok  ") == len(STEPS)
    said = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("check_offline", f"impala://127.0.0.1:{free_port()}/x", stdout=said)
    assert caught.value.returncode == 1
    assert "FAIL  port" in said.getvalue()
    assert "not tried" in said.getvalue()
