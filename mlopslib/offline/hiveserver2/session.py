"""One connection to a HiveServer2: statements under a watch, and nothing left running behind.

A session belongs to one thread: the protocol breaks when two share it. Parameters of impyla are never used
(they are put into the text as text), and nothing is fetched after a statement that gives no rows: Spark
says that there are some.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

import pyarrow as pa
from impala import error as impala_error
from impala import hiveserver2
from impala._thrift_gen.TCLIService.ttypes import TGetInfoReq, TGetInfoType, TOperationState
from thrift.Thrift import TException

from mlopslib.errors import ConnectionFault, QueryFailed
from mlopslib.offline.base import Column
from mlopslib.offline.hiveserver2.address import Address, Dialect
from mlopslib.offline.hiveserver2.arrow import Described, column_of, to_arrow
from mlopslib.offline.hiveserver2.faults import connection_fault, query_fault
from mlopslib.offline.limits import POLL_SECONDS, Limits, Watch, memory_bytes

# what matters of its messages is raised here as an error; the rest would fill the portal's log
logging.getLogger("impala").setLevel(logging.CRITICAL)
logging.getLogger("thrift").setLevel(logging.CRITICAL)

_FETCH_ROWS = 100_000
#: the name that a server without logins gets
_NOBODY = "gijun"
_FIRST_POLL_SECONDS = 0.01
_FAULTS = (impala_error.Error, TException, OSError, EOFError)
#: a session of Spark behaves as Impala's SQL needs it, whatever the server's defaults are
_SPARK_SESSION = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "false",
    # a text that holds ${..} must stay as it is
    "spark.sql.variable.substitute": "false",
    # each write gets a staging directory of its own: an overwritten partition is replaced when its files are
    # complete, not emptied first, and two writers to one table do not remove each other's files
    "spark.sql.hive.convertInsertingPartitionedTable": "false",
    "spark.sql.hive.convertInsertingUnpartitionedTable": "false",
    "spark.sql.hive.convertMetastoreCtas": "false",
    "hive.exec.dynamic.partition": "true",
    "hive.exec.dynamic.partition.mode": "nonstrict",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
}
_HIVE_SESSION = (
    "SET hive.variable.substitute=false",
    "SET hive.exec.dynamic.partition=true",
    "SET hive.exec.dynamic.partition.mode=nonstrict",
)


class Session:
    """An open session in the address's database; a context manager that closes it.

    Raises ConnectionFault that names what is wrong, where it cannot be opened.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._service = connect(address)
        try:
            self.engine: Dialect = address.dialect or self._detect()
            self._session = self._enter()
        except BaseException:
            self._disconnect()
            raise

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the session; the server stops what still runs in it."""
        with contextlib.suppress(*_FAULTS):
            self._session.close()
        self._disconnect()

    def run(self, statement: str, watch: Watch | None = None) -> None:
        """A statement that gives no rows."""
        with self._operation(statement, watch or Watch(Limits())):
            pass

    def query(self, statement: str, watch: Watch | None = None) -> pa.Table:
        """The rows of a statement that gives some."""
        watch = watch or Watch(Limits())
        with self._operation(statement, watch) as operation:
            description = operation.get_result_schema()
            return to_arrow(description, list(_batches(operation, description, watch)))

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """A short answer, such as that of SHOW or DESCRIBE; names in lower case."""
        return [dict(row) for row in self.query(statement).to_pylist()]

    def columns(self, statement: str) -> list[Column]:
        """Names and types of what a statement gives; none of its rows are fetched."""
        with self._operation(statement, Watch(Limits())) as operation:
            return [column_of(item) for item in operation.get_result_schema()]

    @contextlib.contextmanager
    def _operation(self, statement: str, watch: Watch) -> Iterator[Any]:
        """A finished operation; however this ends, the server does not go on with it."""
        watch.check()
        operation: Any = None
        finished = False
        try:
            operation = self._session.execute(statement, self._overlay(watch.limits), run_async=True)
            _wait(operation, watch)
            yield operation
            finished = True
        except impala_error.Error as error:
            raise query_fault(error) from error
        except (TException, OSError, EOFError) as error:
            raise ConnectionFault(
                f"the connection to {self.address.host}:{self.address.port} was lost while a statement ran"
            ) from error
        finally:
            if operation is not None:
                _end(operation, cancel=not finished)

    def _overlay(self, limits: Limits) -> dict[str, str] | None:
        """Impala keeps the limits by itself too, so that they hold where this process is gone."""
        if self.engine != "impala":
            return None
        overlay = {}
        if limits.seconds is not None:
            overlay["EXEC_TIME_LIMIT_S"] = str(math.ceil(limits.seconds) + 5)
            overlay["QUERY_TIMEOUT_S"] = str(math.ceil(limits.seconds) + 5)
        if limits.memory is not None:
            overlay["MEM_LIMIT"] = str(memory_bytes(limits.memory))
        return overlay or None

    @property
    def version(self) -> str:
        """The server's own words for its version."""
        return _info(self._session, TGetInfoType.CLI_DBMS_VER)

    def _detect(self) -> Dialect:
        """Which engine answers."""
        session = _open_session(self._service, self.address, {})
        engine = _engine_of(session)
        with contextlib.suppress(*_FAULTS):
            session.close()
        return engine

    def _enter(self) -> Any:
        """Open the session in its database."""
        database = self.address.database
        if self.engine == "spark":
            settings = {f"set:hiveconf:{name}": value for name, value in _SPARK_SESSION.items()}
            return _open_session(self._service, self.address, {**settings, "use:database": database})
        self._session = _open_session(self._service, self.address, {})
        try:
            self.run(f"USE `{database}`")
            for statement in _HIVE_SESSION if self.engine == "hive" else ():
                self.run(statement)
        except QueryFailed as error:
            raise connection_fault(error, self.address, at="database") from error
        return self._session

    def _disconnect(self) -> None:
        with contextlib.suppress(*_FAULTS):
            self._service.close()


def connect(address: Address) -> Any:
    """A logged-in connection without a session. Raises ConnectionFault."""
    try:
        return hiveserver2.connect(
            host=address.host,
            port=address.port,
            timeout=address.timeout,
            use_ssl=address.ssl,
            ca_cert=address.ca,
            user=address.user or _NOBODY,
            password=address.password or "",
            kerberos_service_name=address.service,
            auth_mechanism=address.auth,
            retries=1,
            verify_cert=address.ssl,
        )
    except _FAULTS as error:
        raise connection_fault(error.__cause__ or error, address, at="handshake") from error
    except Exception as error:
        # libraries of the mechanisms raise classes of their own
        raise connection_fault(error, address, at="handshake") from error


def greet(address: Address) -> tuple[Dialect, str]:
    """Log in, ask which engine answers and in which version, and leave. Raises ConnectionFault."""
    service = connect(address)
    try:
        session = _open_session(service, address, {})
        found = _engine_of(session), _info(session, TGetInfoType.CLI_DBMS_VER)
        with contextlib.suppress(*_FAULTS):
            session.close()
        return found
    finally:
        with contextlib.suppress(*_FAULTS):
            service.close()


def _open_session(service: Any, address: Address, settings: dict[str, str]) -> Any:
    try:
        return service.open_session(address.user or _NOBODY, settings)
    except _FAULTS as error:
        # an error in words is the server's answer; anything else means that the login was not understood
        at = "database" if isinstance(error, impala_error.Error) else "handshake"
        raise connection_fault(error, address, at=at) from error


def _engine_of(session: Any) -> Dialect:
    name = _info(session, TGetInfoType.CLI_DBMS_NAME).lower()
    return "impala" if "impala" in name else "spark" if "spark" in name else "hive"


def _info(session: Any, kind: int) -> str:
    """One of the server's facts about itself; empty where it keeps it to itself."""
    try:
        response = session._rpc("GetInfo", TGetInfoReq(sessionHandle=session.handle, infoType=kind), True)
    except (impala_error.Error, TException):
        return ""
    return str(response.infoValue.stringValue or "")


def _wait(operation: Any, watch: Watch) -> None:
    """Return when the operation has its result. Raises what the watch raises, or QueryFailed."""
    pause = _FIRST_POLL_SECONDS
    while True:
        answer = operation.get_state()
        state = answer.operationState
        if state == TOperationState.FINISHED_STATE:
            return
        if state == TOperationState.ERROR_STATE:
            if not answer.errorMessage:
                operation.fetch()  # older servers tell the reason only here
            raise query_fault(answer.errorMessage)
        if state in (TOperationState.CANCELED_STATE, TOperationState.CLOSED_STATE):
            raise QueryFailed("the query was stopped on the server")
        watch.check()
        time.sleep(pause)
        pause = min(pause * 2, POLL_SECONDS)


def _batches(operation: Any, description: Sequence[Described], watch: Watch) -> Iterator[Any]:
    rows = 0
    while True:
        watch.check()
        batch = operation.fetch(description, _FETCH_ROWS, convert_types=False)
        if len(batch) == 0 and not batch.expect_more_rows:
            return
        rows += len(batch)
        watch.check_rows(rows)
        yield batch


def _end(operation: Any, *, cancel: bool) -> None:
    with contextlib.suppress(*_FAULTS):
        if cancel:
            operation.cancel()
        operation.close()
