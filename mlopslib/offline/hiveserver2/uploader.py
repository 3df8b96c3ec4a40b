"""Where Parquet files wait until the engine loads them: a directory that both sides see, or HDFS."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import shutil
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote, urlencode, urlsplit

from mlopslib.errors import ConnectionFault, OfflineStoreError

_SECONDS = 60.0
_PREFIX = "gijun-"
_BLOCK = 1 << 20


class Uploader(Protocol):
    """Puts a file in a directory of its own, from which the engine reads it."""

    def put(self, file: Path, name: str) -> str:
        """Copy a file as ``<directory>/<name>/part-0.parquet``; returns the engine's name of its folder."""
        ...

    def remove(self, name: str) -> None:
        """Remove what `put` made; nothing happens where there is nothing."""
        ...

    def check(self) -> None:
        """Raise ConnectionFault unless a file can be put and removed."""
        ...


def open_uploader(url: str | None, *, user: str | None) -> Uploader | None:
    """The uploader of an address that `parse_address` has read."""
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme == "file":
        return LocalDirectory(Path(unquote(parts.path)))
    return WebHdfs(
        parts.hostname or "",
        parts.port or (9871 if parts.scheme == "swebhdfs" else 9870),
        unquote(parts.path),
        user=unquote(parts.username) if parts.username else user,
        secure=parts.scheme == "swebhdfs",
    )


@contextmanager
def uploaded(uploader: Uploader, file: Path) -> Iterator[str]:
    """The engine's name of a directory that holds `file`, removed at the end."""
    name = _PREFIX + secrets.token_hex(12)
    try:
        yield uploader.put(file, name)
    finally:
        uploader.remove(name)


class LocalDirectory:
    """A directory of this machine, or one mounted on all machines of the cluster."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, file: Path, name: str) -> str:
        folder = self.root / name
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o755)
            shutil.copyfile(file, folder / "part-0.parquet")
            # the engine may run as somebody else
            os.chmod(folder, 0o755)  # noqa: S103
            os.chmod(folder / "part-0.parquet", 0o644)
        except OSError as error:
            raise ConnectionFault(
                f"the uploader's directory {self.root} cannot be written: {error.strerror}"
            ) from error
        return folder.as_uri()

    def remove(self, name: str) -> None:
        shutil.rmtree(self.root / name, ignore_errors=True)

    def check(self) -> None:
        name = _PREFIX + secrets.token_hex(12)
        try:
            self.put(Path(os.devnull), name)
        finally:
            self.remove(name)

    def sweep(self, *, older_than_seconds: float) -> None:
        """Remove what killed writers left."""
        for folder in self.root.glob(_PREFIX + "*"):
            try:
                if time.time() - folder.stat().st_mtime > older_than_seconds:
                    shutil.rmtree(folder, ignore_errors=True)
            except FileNotFoundError:
                continue


class WebHdfs:
    """HDFS through the REST of its namenode: CREATE is answered with the datanode that takes the bytes.

    The user is said, not proven (``user.name``); a cluster with Kerberos on WebHDFS needs a mounted
    directory instead.
    """

    def __init__(self, host: str, port: int, root: str, *, user: str | None, secure: bool = False) -> None:
        self.root = root.rstrip("/")
        self._host, self._port = host, port
        self._user, self._secure = user, secure

    def put(self, file: Path, name: str) -> str:
        folder = f"{self.root}/{name}"
        self._ask("PUT", folder, "MKDIRS", {"permission": "755"})
        path = f"{folder}/part-0.parquet"
        # the namenode gets no bytes: it only says which datanode wants them
        answer = self._ask("PUT", path, "CREATE", {"overwrite": "true", "permission": "644"}, expect=(307,))
        target = answer.headers.get("Location")
        if not target:
            raise OfflineStoreError("WebHDFS named no datanode for the file")
        self._send(target, file)
        # a path without a host means the cluster's own file system to the engine
        return folder

    def remove(self, name: str) -> None:
        self._ask("DELETE", f"{self.root}/{name}", "DELETE", {"recursive": "true"}, expect=(200, 404))

    def check(self) -> None:
        name = _PREFIX + secrets.token_hex(12)
        try:
            self.put(Path(os.devnull), name)
        finally:
            self.remove(name)

    def _ask(
        self,
        method: str,
        path: str,
        operation: str,
        options: dict[str, str],
        *,
        expect: tuple[int, ...] = (200,),
    ) -> _Answer:
        query = {"op": operation, **({"user.name": self._user} if self._user else {}), **options}
        return self._request(
            self._connection(self._host, self._port, secure=self._secure),
            method,
            f"/webhdfs/v1{quote(path)}?{urlencode(query)}",
            expect=expect,
        )

    def _send(self, target: str, file: Path) -> None:
        parts = urlsplit(target)
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        with open(file, "rb") as body:
            self._request(
                self._connection(parts.hostname or "", port, secure=secure),
                "PUT",
                f"{parts.path}?{parts.query}",
                body=body,
                size=0 if str(file) == os.devnull else os.path.getsize(file),
                expect=(200, 201),
            )

    def _connection(self, host: str, port: int, *, secure: bool) -> http.client.HTTPConnection:
        if secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=context)
        return http.client.HTTPConnection(host, port, timeout=_SECONDS)

    def _request(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        *,
        body: object = None,
        size: int = 0,
        expect: tuple[int, ...],
    ) -> _Answer:
        place = f"{connection.host}:{connection.port}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        try:
            connection.request(method, target, body=body, headers=headers)  # type: ignore[arg-type]
            response = connection.getresponse()
            answer = _Answer(response.status, dict(response.getheaders()), response.read(_BLOCK))
        except OSError as error:
            raise ConnectionFault(f"WebHDFS at {place} cannot be reached: {error}") from error
        except http.client.HTTPException as error:
            raise ConnectionFault(f"{place} does not speak WebHDFS: {error}") from error
        finally:
            connection.close()
        if answer.status not in expect:
            raise _refused(place, answer)
        return answer


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def _refused(place: str, answer: _Answer) -> ConnectionFault:
    """The reason that HDFS gives in its JSON, or the HTTP status."""
    try:
        reason = str(json.loads(answer.body)["RemoteException"]["message"]).splitlines()[0]
    except (ValueError, KeyError, TypeError, IndexError):
        reason = f"HTTP {answer.status}"
    if answer.status == 401:
        reason = "it wants a login that is not supported (Kerberos): use a mounted directory, file:///.."
    return ConnectionFault(f"WebHDFS at {place} refused the file: {reason}")
