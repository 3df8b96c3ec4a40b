"""What this host serves, on its own disk: it starts again without Redis, portal and artefact store.

::

    packages/                   an artefact store with the packages of the last versions
    endpoints/<name>.json       the signed manifest that is served; replaced whole
    recent/<name>.json          the packages of the last three, which `prune` keeps for a roll-back
    proven/<sha256>             packages that a trial process loaded, and with which libraries
    lock                        held while one process of this host loads or cleans
"""

from __future__ import annotations

import asyncio
import fcntl
import importlib.metadata
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from apps.serving.worker.errors import DeploymentRefused, TryAgain
from apps.serving.worker.manifest import ENDPOINT, MAX_BYTES, claimed_seq
from mlopslib.artifacts import ArtifactStore
from mlopslib.errors import GijunError, PackageDamaged

log = logging.getLogger(__name__)

KEPT_PACKAGES = 3
MAX_MANIFEST_BYTES = 1 << 20
MAX_FILE_BYTES = 256 << 20
MAX_PACKAGE_BYTES = 512 << 20


class LocalState:
    """The state directory; all processes of a host share it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.packages = ArtifactStore(root / "packages")
        for name in ("endpoints", "recent", "proven"):
            (root / name).mkdir(parents=True, exist_ok=True)

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        """One load at a time on a host. The lock goes with the process, however that ends."""
        with open(self.root / "lock", "ab") as handle:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await asyncio.sleep(0.05)
            yield

    def current(self) -> dict[str, bytes]:
        """Endpoint -> the signed manifest as it was kept."""
        found = {}
        for path in sorted((self.root / "endpoints").glob("*.json")):
            if ENDPOINT.match(path.stem) and path.stat().st_size <= MAX_BYTES:
                found[path.stem] = path.read_bytes()
        return found

    def keep(self, endpoint: str, raw: bytes, package_sha256: str) -> None:
        """Make a served manifest the one to start with. Call it under the lock."""
        path = self.root / "endpoints" / f"{endpoint}.json"
        if path.is_file() and claimed_seq(path.read_bytes()) > claimed_seq(raw):
            return
        recent = [package_sha256, *(sha for sha in self._recent(endpoint) if sha != package_sha256)]
        # in this order: what is current is never a package that `prune` may remove
        _replace(self.root / "recent" / f"{endpoint}.json", json.dumps(recent[:KEPT_PACKAGES]).encode())
        _replace(path, raw)

    def is_proven(self, package_sha256: str) -> bool:
        path = self.root / "proven" / package_sha256
        return path.is_file() and path.read_text() == _libraries()

    def mark_proven(self, package_sha256: str) -> None:
        _replace(self.root / "proven" / package_sha256, _libraries().encode())

    def fetch(self, source: ArtifactStore, package_sha256: str) -> None:
        """Copy a package from the shared store, every file checked against its hash.

        Raises ArtifactMissing where a file is not there (yet), PackageDamaged, DeploymentRefused.
        """
        self._fetch_file(source, package_sha256, MAX_MANIFEST_BYTES, "json")
        files = _files_of(self.packages.read_json(package_sha256))
        if sum(size for _, size, _ in files) > MAX_PACKAGE_BYTES:
            raise DeploymentRefused(f"the package is larger than {MAX_PACKAGE_BYTES >> 20} MiB")
        for sha256, _, kind in files:
            self._fetch_file(source, sha256, MAX_FILE_BYTES, kind)

    def prune(self) -> None:
        """Remove packages that no endpoint served lately. Call it under the lock."""
        packages = {sha for path in (self.root / "recent").glob("*.json") for sha in self._recent(path.stem)}
        try:
            wanted = packages | {
                sha for package in packages for sha, _, _ in _files_of(self.packages.read_json(package))
            }
        except GijunError as error:
            log.warning("packages are not cleaned: %s", error.message)
            return
        for path in (self.packages.root / "objects").glob("*/*"):
            if path.parent.name + path.name not in wanted:
                path.unlink(missing_ok=True)
        for path in (self.root / "proven").iterdir():
            if path.name not in wanted:
                path.unlink(missing_ok=True)
        # nobody copies while we hold the lock: what lies here was left by a killed process
        for path in (self.packages.root / "staging").glob("*"):
            path.unlink(missing_ok=True)

    def _recent(self, endpoint: str) -> list[str]:
        try:
            return [str(sha) for sha in json.loads((self.root / "recent" / f"{endpoint}.json").read_bytes())]
        except (FileNotFoundError, ValueError):
            return []

    def _fetch_file(self, source: ArtifactStore, sha256: str, limit: int, kind: str) -> None:
        try:
            if self.packages.exists(sha256):
                self.packages.read_bytes(sha256)
                return
        except PackageDamaged:
            log.warning("artefact %s is damaged on this host; it is copied again", sha256[:12])
            self.packages.path(sha256).unlink(missing_ok=True)
        path = source.open_path(sha256)
        if path.stat().st_size > limit:
            raise DeploymentRefused(f"artefact {sha256[:12]} is larger than {limit >> 20} MiB")
        copied = self.packages.put_file(path, kind)
        if copied.sha256 != sha256:
            self.packages.path(copied.sha256).unlink(missing_ok=True)
            raise PackageDamaged(f"artefact {sha256[:12]} does not match its hash", field="sha256")


def _files_of(package_manifest: Any) -> Iterable[tuple[str, int, str]]:
    try:
        files = package_manifest["files"].values()
        return [(str(item["sha256"]), int(item["size"]), str(item["kind"])) for item in files]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise PackageDamaged("the package's manifest does not list its files") from None


def _libraries() -> str:
    """What a trial depends on beside the package: with another LightGBM it has to be made again."""
    names = ("lightgbm", "numpy")
    return " ".join(
        [sys.version.split()[0], *(f"{name}={importlib.metadata.version(name)}" for name in names)]
    )


def _replace(path: Path, data: bytes) -> None:
    """The whole new content or the whole old one, also after a power cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise TryAgain(f"{path.name} could not be written: {error.strerror}") from error
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
