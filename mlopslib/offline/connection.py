"""Whether the offline store can be used, step by step, and what is wrong where it cannot."""

from __future__ import annotations

import os
import secrets
import socket
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from mlopslib.errors import ConnectionFault, GijunError, OfflineStoreError
from mlopslib.offline import OfflineStore, open_store
from mlopslib.offline.limits import Limits

#: in this order; a step that fails ends the check
STEPS = ("address", "port", "handshake", "database", "read", "write")
_QUERY_SECONDS = 60.0


@dataclass(frozen=True)
class ConnectionStep:
    name: str
    ok: bool
    message: str
    seconds: float


@dataclass
class ConnectionReport:
    """What was tried. `engine` and `server_version` are empty where the server was not reached."""

    steps: list[ConnectionStep] = field(default_factory=list)
    #: without the password
    url: str = ""
    engine: str = ""
    server_version: str = ""
    tables: int | None = None

    @property
    def ok(self) -> bool:
        return bool(self.steps) and all(step.ok for step in self.steps)

    @property
    def untried(self) -> tuple[str, ...]:
        """Steps that were left out because one before them failed."""
        return () if self.ok else STEPS[len(self.steps) :]


def check_connection(url: str) -> ConnectionReport:
    """Try what the portal needs of an offline store: reach it, log in, find the database, read, write.

    Nothing is raised: the first step that fails says why, and the later ones are not tried. What the check
    writes it removes again. The embedded engine has no port and no login; these steps look at its directory.

    Examples
    --------
    >>> report = check_connection("impala://bank.invalid/risk")
    >>> [(step.name, step.ok) for step in report.steps]
    [('address', True), ('port', False)]
    """
    report = ConnectionReport()
    check = _Embedded(report) if urlsplit(url).scheme == "delta" else _Cluster(report)
    for name in STEPS:
        started = time.monotonic()
        try:
            message = check.address(url) if name == "address" else getattr(check, name)()
            ok = True
        except GijunError as error:
            ok, message = False, error.message
        except OSError as error:
            ok, message = False, f"{error.filename or urlsplit(url).path}: {error.strerror or error}"
        report.steps.append(ConnectionStep(name, ok, message, time.monotonic() - started))
        if not ok:
            break
    return report


class _Check:
    """The steps that every engine has in common; each returns what it found or raises."""

    store: OfflineStore

    def __init__(self, report: ConnectionReport) -> None:
        self.report = report

    def address(self, url: str) -> str:
        self.store = open_store(url, limits=Limits(seconds=_QUERY_SECONDS))
        self.report.url = self.store.url
        return self.store.url

    def read(self) -> str:
        self.store.read_sql("select 1 as one")
        self.report.tables = len(self.store.list_tables())
        return f"{self.report.tables:,} tables"

    def write(self) -> str:
        name = f"gijun_check_{secrets.token_hex(6)}"
        try:
            self.store.create_table(name, pa.table({"one": [1]}))
            answer = self.store.read_sql(f"select one from {name}").to_pylist()  # noqa: S608
            if answer != [{"one": 1}]:
                raise OfflineStoreError(f"a row was written and {answer} was read")
        except ConnectionFault:
            raise
        except GijunError as error:
            raise OfflineStoreError(f"a table cannot be made: {error.message}") from error
        finally:
            if self.store.table_exists(name):
                self.store.drop_table(name)
        return "a table was made, read and dropped"


class _Embedded(_Check):
    def port(self) -> str:
        return "no port: the engine runs in this process"

    def handshake(self) -> str:
        import deltalake
        import duckdb

        self.report.engine = "duckdb"
        self.report.server_version = duckdb.__version__
        return f"DuckDB {duckdb.__version__}, Delta Lake {deltalake.__version__}"

    def database(self) -> str:
        root = Path(unquote(urlsplit(self.store.url).path))
        nearest = next(path for path in (root, *root.parents) if path.exists())
        if not nearest.is_dir():
            raise ConnectionFault(f"{nearest} is a file, not a directory")
        if not os.access(nearest, os.R_OK | os.W_OK | os.X_OK):
            raise ConnectionFault(f"the directory {nearest} cannot be read and written by this process")
        return str(root) if nearest == root else f"{root} will be made with the first table"


class _Cluster(_Check):
    def address(self, url: str) -> str:
        from mlopslib.offline.hiveserver2 import parse_address

        shown = super().address(url)
        # the check finds out by itself whom it talks to
        self.given = parse_address(url)
        return shown

    def port(self) -> str:
        from mlopslib.offline.hiveserver2.faults import connection_fault

        address = self.given
        try:
            found = socket.create_connection((address.host, address.port), timeout=min(address.timeout, 10))
        except OSError as error:
            raise connection_fault(error, replace(address, timeout=10), at="port") from error
        found.close()
        return f"{address.host}:{address.port} answers"

    def handshake(self) -> str:
        from mlopslib.offline.hiveserver2.session import greet

        engine, version = greet(self.given)
        self.report.engine, self.report.server_version = engine, version
        if self.given.dialect not in (None, engine):
            raise ConnectionFault(
                f"the server says that it is {engine}, the address that it is {self.given.dialect}: use "
                f"{'impala' if engine == 'impala' else 'hive'}://{self.given.host}:{self.given.port}/.."
            )
        who = f" as {self.given.user}" if self.given.user else ""
        return f"{engine} {version}, auth={self.given.auth}{who}".replace("  ", " ")

    def database(self) -> str:
        self.store.list_tables()
        return self.given.database

    def write(self) -> str:
        from mlopslib.offline.hiveserver2.uploader import open_uploader

        uploader = open_uploader(self.given.uploader, user=self.given.user)
        if uploader is not None:
            uploader.check()
        done = super().write()
        if uploader is None:
            return f"{done}, as text: without an uploader, 50,000 rows are the most of one write"
        return f"{done}, through the uploader"
