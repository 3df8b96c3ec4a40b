"""What a HiveServer2 says, as one sentence a person can use."""

from __future__ import annotations

import re
import socket

from mlopslib.errors import ConnectionFault, GijunError, QueryFailed, QueryTimeout, QueryTooLarge
from mlopslib.offline.hiveserver2.address import Address

#: class names of Java before the message itself
_CLASSES = re.compile(r"^(?:\*?(?:[A-Za-z_$][\w$]*\.)*[A-Za-z_$][\w$]*(?:Exception|Error):?\s*)+")
_PREFIXES = (
    "Failed to open new session: ",
    "Error running query: ",
    "Error while compiling statement: ",
    "Error while processing statement: ",
)
_MARK = re.compile(r"^\[([A-Z_]+(?:\.[A-Z_]+)*)\]\s*")
_MEMORY = (
    "memory limit exceeded",
    "out of memory",
    "outofmemoryerror",
    "java heap space",
    "spark.driver.maxresultsize",
    "gc overhead limit",
)
_TIME = ("exec time limit", "expired due to execution time limit", "query timed out")
_HUNG_UP = (
    "read 0 bytes",
    "connection reset",
    "broken pipe",
    "unexpected end",
    "bad version",
    "invalid status",
)
_MOST = 500


def first_line(text: object) -> str:
    """The message of a Java error: its first line, without class names and codes."""
    lines = [line.strip() for line in str(text).splitlines() if line.strip()]
    if not lines:
        return "the server gave no reason"
    said = lines[0]
    before = None
    while said != before:
        before = said
        said = _CLASSES.sub("", said)
        said = _MARK.sub("", said)
        for prefix in _PREFIXES:
            said = said.removeprefix(prefix)
    said = said.split(" SQLSTATE: ")[0].rstrip("; ")
    return said[:_MOST] or "the server gave no reason"


def query_fault(text: object) -> QueryFailed:
    """The error of a statement that the server could not run."""
    low = str(text).lower()
    if any(mark in low for mark in _MEMORY):
        return QueryTooLarge(
            "the query needs more memory than the engine gives it: read fewer months or columns, or "
            f"aggregate before joining ({first_line(text)})"
        )
    if any(mark in low for mark in _TIME):
        return QueryTimeout(f"the engine stopped the query at its time limit ({first_line(text)})")
    return QueryFailed(first_line(text))


def connection_fault(error: BaseException, address: Address, *, at: str) -> GijunError:
    """Why a connection could not be made; `at` is ``port``, ``handshake`` or ``database``."""
    place = f"{address.host}:{address.port}"
    low = str(error).lower()
    error = _root(error)
    if isinstance(error, socket.gaierror):
        return ConnectionFault(f"the host {address.host!r} is not known: is its name spelled right?")
    if isinstance(error, ConnectionRefusedError) or "could not connect to any" in low:
        return ConnectionFault(f"{place} refused the connection: does the server run, and on this port?")
    if isinstance(error, TimeoutError) or "timed out" in low:
        return ConnectionFault(
            f"{place} did not answer within {address.timeout:g} s: is a firewall between, or the server busy?"
        )
    if at == "handshake" and ("bad status" in low or "error validating the login" in low):
        return ConnectionFault(
            f"the server refused the login of {address.user or 'nobody'!r} with auth={address.auth}: "
            "check user and password"
        )
    if at == "handshake" and "mechanisms listed" in low:
        return ConnectionFault(
            f"auth={address.auth} is not possible on this machine: for GSSAPI, pip install 'impyla[kerberos]'"
        )
    if at == "handshake" and any(mark in low for mark in ("kerberos", "gssapi", "credentials")):
        return ConnectionFault(
            f"the Kerberos login failed ({first_line(error)}): is there a valid ticket (klist)?"
        )
    if at == "handshake" and _hung_up(error):
        other = "PLAIN, LDAP or GSSAPI" if address.auth == "NOSASL" else "NOSASL"
        return ConnectionFault(
            f"the server hung up during the handshake: it expects another auth than {address.auth}; "
            f"try auth={other}, or ssl=true where the server wants TLS"
        )
    if at == "database":
        return ConnectionFault(f"the database {address.database!r} cannot be used: {first_line(error)}")
    return ConnectionFault(f"the connection to {place} failed: {first_line(error)}")


def _root(error: BaseException) -> BaseException:
    """The system's own error, where a library has wrapped it."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError):
            return seen
        seen = getattr(seen, "inner", None) or seen.__cause__ or seen.__context__
    return error


def _hung_up(error: BaseException) -> bool:
    low = str(error).lower()
    return isinstance(error, ConnectionError | EOFError) or any(mark in low for mark in _HUNG_UP)
