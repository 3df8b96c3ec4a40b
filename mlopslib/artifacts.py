"""Content-addressed files: the same bytes have the same name, so writing twice does no harm."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlopslib.errors import ArtifactMissing, InvalidInput, PackageDamaged

_SHA256 = re.compile(r"^[0-9a-f]{64}$")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Artifact:
    """A file that a step made.

    `kind` is the file's ending without the dot: ``parquet``, ``json``, ``txt``, ``pmml``.
    """

    sha256: str
    size: int
    kind: str

    def to_dict(self) -> dict[str, Any]:
        return {"sha256": self.sha256, "size": self.size, "kind": self.kind}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Artifact:
        return cls(sha256=data["sha256"], size=int(data["size"]), kind=data["kind"])


def canonical_json(value: Any) -> bytes:
    """One byte string for one value: sorted keys, no spaces, UTF-8, no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class ArtifactStore:
    """Files under ``root/objects/ab/cdef...``, visible only when whole.

    A file is written under a temporary name, synced, hashed and then renamed, so that a reader
    never sees half of it and a killed writer leaves nothing under a real name.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    def path(self, sha256: str) -> Path:
        """Where the object is, or will be. Raises InvalidInput for anything but a SHA-256."""
        if not _SHA256.match(sha256):
            raise InvalidInput("an artefact is named by 64 hexadecimal digits", field="sha256")
        return self.root / "objects" / sha256[:2] / sha256[2:]

    def exists(self, sha256: str) -> bool:
        return self.path(sha256).is_file()

    def put_bytes(self, data: bytes, kind: str) -> Artifact:
        with self._temporary() as handle:
            handle.write(data)
            return self._keep(handle, sha256_of(data), len(data), kind)

    def put_json(self, value: Any) -> Artifact:
        return self.put_bytes(canonical_json(value), "json")

    def put_file(self, source: Path | str, kind: str) -> Artifact:
        digest, size = hashlib.sha256(), 0
        with open(source, "rb") as reader, self._temporary() as handle:
            while chunk := reader.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                handle.write(chunk)
            return self._keep(handle, digest.hexdigest(), size, kind)

    def open_path(self, sha256: str) -> Path:
        """The path of an object that is there. Raises ArtifactMissing."""
        path = self.path(sha256)
        if not path.is_file():
            raise ArtifactMissing(f"artefact {sha256[:12]} is not in the store", field="sha256")
        return path

    def read_bytes(self, sha256: str) -> bytes:
        """The bytes, checked against their name. Raises ArtifactMissing, PackageDamaged."""
        data = self.open_path(sha256).read_bytes()
        if sha256_of(data) != sha256:
            raise PackageDamaged(f"artefact {sha256[:12]} does not match its hash", field="sha256")
        return data

    def read_json(self, sha256: str) -> Any:
        return json.loads(self.read_bytes(sha256))

    def _temporary(self) -> Any:
        staging = self.root / "staging"
        staging.mkdir(parents=True, exist_ok=True)
        return _DeleteUnlessKept(staging)

    def _keep(self, handle: _DeleteUnlessKept, sha256: str, size: int, kind: str) -> Artifact:
        target = self.path(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle.keep_as(target)
        return Artifact(sha256=sha256, size=size, kind=kind)


class _DeleteUnlessKept:
    def __init__(self, staging: Path) -> None:
        self._staging = staging

    def __enter__(self) -> _DeleteUnlessKept:
        descriptor, name = tempfile.mkstemp(dir=self._staging)
        self._path = Path(name)
        self._file = os.fdopen(descriptor, "wb")
        return self

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def keep_as(self, target: Path) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        os.chmod(self._path, 0o644)
        os.replace(self._path, target)
        directory = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def __exit__(self, *exc: object) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)
