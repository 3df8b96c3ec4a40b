"""Reading a model package: every byte is checked against its hash before anything parses it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mlopslib.artifacts import Artifact, ArtifactStore
from mlopslib.errors import InvalidInput, PackageDamaged

FORMAT = 1
#: names of a package's files and their kinds
FILES = {
    "model.pmml": "pmml",
    "model.txt": "txt",
    "contract.json": "json",
    "golden.json": "json",
    "reference.json": "json",
}
#: larger files than this are not read into memory
MAX_BYTES = 1 << 30


@dataclass(frozen=True)
class ModelPackage:
    """The files of one trained version; `sha256` is the hash of the manifest and so its identity.

    ``model.pmml`` is the portable definition, ``model.txt`` the booster that serves, ``contract.json``
    what a request must hold, ``golden.json`` rows with their scores, ``reference.json`` the frozen
    PSI references of the score and of each input.
    """

    sha256: str
    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]

    @cached_property
    def contract(self) -> dict[str, Any]:
        return self._json("contract.json")

    @cached_property
    def golden(self) -> dict[str, Any]:
        return self._json("golden.json")

    @cached_property
    def reference(self) -> dict[str, Any]:
        return self._json("reference.json")

    @cached_property
    def booster_text(self) -> str:
        try:
            return self.files["model.txt"].decode("utf-8")
        except UnicodeDecodeError as error:
            raise PackageDamaged("model.txt is not UTF-8", field="model.txt") from error

    @property
    def pmml(self) -> bytes:
        return self.files["model.pmml"]

    def _json(self, name: str) -> dict[str, Any]:
        return _object(self.files[name], name)


def read_package(artifacts: ArtifactStore, sha256: str) -> ModelPackage:
    """Read a package by the hash of its manifest.

    Raises
    ------
    ArtifactMissing
        The manifest or one of its files is not in the store.
    PackageDamaged
        Bytes do not match their hash, or the manifest is not one of a package.
    """
    manifest = _object(artifacts.read_bytes(sha256), "manifest.json")
    if manifest.get("format") != FORMAT:
        raise PackageDamaged(f"the package is of format {manifest.get('format')!r}, known is {FORMAT}")
    entries = manifest.get("files")
    if not isinstance(entries, dict) or set(entries) != set(FILES):
        raise PackageDamaged(f"a package has exactly the files {', '.join(sorted(FILES))}", field="files")
    files = {}
    for name, entry in entries.items():
        try:
            artifact = Artifact.from_dict(entry)
        except (KeyError, TypeError, ValueError) as error:
            raise PackageDamaged(f"the manifest's entry of {name} is not one", field=name) from error
        files[name] = _read_file(artifacts, name, artifact)
    return ModelPackage(sha256=sha256, manifest=manifest, files=files)


def _read_file(artifacts: ArtifactStore, name: str, artifact: Artifact) -> bytes:
    if artifact.size > MAX_BYTES:
        raise PackageDamaged(f"{name} is larger than {MAX_BYTES} bytes", field=name)
    try:
        data = artifacts.read_bytes(artifact.sha256)
    except (InvalidInput, TypeError) as error:
        raise PackageDamaged(f"the manifest's hash of {name} is not one", field=name) from error
    except PackageDamaged as error:
        raise PackageDamaged(f"{name} does not match its hash", field=name) from error
    if len(data) != artifact.size:
        raise PackageDamaged(f"{name} has {len(data)} bytes, the manifest says {artifact.size}", field=name)
    return data


def _object(data: bytes, name: str) -> dict[str, Any]:
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise PackageDamaged(f"{name} is not JSON", field=name) from error
    if not isinstance(content, dict):
        raise PackageDamaged(f"{name} is not a JSON object", field=name)
    return content
