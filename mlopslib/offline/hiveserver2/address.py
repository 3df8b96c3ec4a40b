"""Where a HiveServer2 is and how to enter it, from one URL."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, cast, get_args
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from mlopslib.definition import IDENTIFIER
from mlopslib.errors import InvalidInput

Auth = Literal["NOSASL", "PLAIN", "LDAP", "GSSAPI"]
Dialect = Literal["impala", "hive", "spark"]

_PORTS = {"impala": 21050, "hive": 10000}
_OPTIONS = ("auth", "uploader", "timeout", "dialect", "ssl", "ca", "service")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:_-]*[A-Za-z0-9])?")
_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Address:
    """A HiveServer2. The password is left out of every printed form."""

    scheme: Literal["impala", "hive"]
    host: str
    port: int
    database: str
    user: str | None
    password: str | None = field(repr=False)
    auth: Auth
    #: where Parquet files wait to be loaded: ``file:///dir`` or ``webhdfs://host:9870/dir``
    uploader: str | None = None
    #: of the network: how long one answer of the server may take
    timeout: float = _TIMEOUT_SECONDS
    #: None: the server is asked
    dialect: Dialect | None = None
    ssl: bool = False
    ca: str | None = None
    #: the service part of the server's Kerberos name
    service: str = "impala"

    @property
    def url(self) -> str:
        """The address as it may be shown."""
        user = f"{quote(self.user, safe='')}{':***' if self.password else ''}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        options: dict[str, str] = {"auth": self.auth}
        if self.uploader:
            options["uploader"] = self.uploader
        if self.dialect and self.dialect != self.scheme:
            options["dialect"] = self.dialect
        query = urlencode(options, safe="/:")
        return f"{self.scheme}://{user}{host}:{self.port}/{self.database}?{query}"


def parse_address(url: str) -> Address:
    """Read ``impala://user:password@host:21050/database?auth=LDAP&uploader=webhdfs://namenode:9870/tmp``.

    Raises InvalidInput that names the part that is wrong; no message repeats the password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _wrong(f"the port or host cannot be read ({error}): write host:21050") from error
    if parts.scheme not in ("impala", "hive"):
        raise _wrong(f"{parts.scheme!r} is not a kind of cluster: use impala:// or hive://")
    scheme: Literal["impala", "hive"] = "impala" if parts.scheme == "impala" else "hive"
    if not parts.hostname or not _HOST.fullmatch(parts.hostname):
        raise _wrong(f"it names no host: write {scheme}://host:{_PORTS[scheme]}/database")
    if parts.fragment:
        raise _wrong("a # begins a part that is not read: write it as %23 in a password")
    options = _options(parts.query)
    database = unquote(parts.path.strip("/")) or "default"
    if not IDENTIFIER.fullmatch(database):
        raise _wrong(f"{database!r} is not a database: write one name after the host, as in /default")
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    return Address(
        scheme=scheme,
        host=parts.hostname,
        port=_PORTS[scheme] if port is None else port,
        database=database,
        user=user,
        password=password,
        auth=_auth(options, scheme, user, password),
        uploader=_uploader(options),
        timeout=_timeout(options),
        dialect=_dialect(options, scheme),
        ssl=_flag(options, "ssl"),
        ca=options.get("ca"),
        service=options.get("service") or scheme,
    )


def _options(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as error:
        raise _wrong("what follows ? must be name=value, joined by &") from error
    options: dict[str, str] = {}
    for name, value in pairs:
        if name not in _OPTIONS:
            raise _wrong(f"{name!r} is not an option: there are {', '.join(_OPTIONS)}")
        if name in options:
            raise _wrong(f"option {name!r} comes twice")
        if not value:
            raise _wrong(f"option {name!r} is empty: leave it out or give it a value")
        options[name] = value
    return options


def _auth(options: dict[str, str], scheme: str, user: str | None, password: str | None) -> Auth:
    # what each server does where nobody configured it
    given = options.get("auth", "NOSASL" if scheme == "impala" else "PLAIN").upper()
    if given not in get_args(Auth):
        raise _wrong(f"auth={given} is not known: use {', '.join(get_args(Auth))}")
    if given == "LDAP" and not (user and password):
        raise _wrong("auth=LDAP needs a user and a password: write user:password@host")
    return cast(Auth, given)


def _uploader(options: dict[str, str]) -> str | None:
    given = options.get("uploader")
    if given is None:
        return None
    parts = urlsplit(given)
    if parts.scheme not in ("file", "webhdfs", "swebhdfs"):
        raise _wrong("the uploader must be file:///directory or webhdfs://namenode:9870/directory")
    if not parts.path.startswith("/") or parts.path == "/" or ".." in parts.path.split("/"):
        raise _wrong("the uploader names no directory: write an absolute path, as in file:///var/staging")
    if parts.scheme == "file" and parts.netloc:
        raise _wrong("the uploader file:// takes three slashes: file:///var/staging")
    if parts.scheme != "file" and not parts.hostname:
        raise _wrong("the uploader webhdfs:// names no host: write webhdfs://namenode:9870/directory")
    return given


def _timeout(options: dict[str, str]) -> float:
    given = options.get("timeout")
    if given is None:
        return _TIMEOUT_SECONDS
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 3600:
        raise _wrong(f"timeout={given} is not a number of seconds from 1 to 3600")
    return seconds


def _dialect(options: dict[str, str], scheme: str) -> Dialect | None:
    given = options.get("dialect")
    if given is None:
        return "impala" if scheme == "impala" else None
    if given.lower() not in get_args(Dialect):
        raise _wrong(f"dialect={given} is not known: use {', '.join(get_args(Dialect))}")
    return cast(Dialect, given.lower())


def _flag(options: dict[str, str], name: str) -> bool:
    given = options.get(name, "false").lower()
    if given not in ("true", "false"):
        raise _wrong(f"{name}={given} must be true or false")
    return given == "true"


def _wrong(what: str) -> InvalidInput:
    return InvalidInput(f"the offline store's address is wrong: {what}", field="OFFLINE_URL")
