"""What the portal signs: which package an endpoint serves, and who approved it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import msgspec

from apps.serving.worker.errors import DeploymentRefused
from mlopslib.package.signing import verify

MAX_BYTES = 64 * 1024
ENDPOINT = re.compile(r"^[a-z][a-z0-9-]{0,62}\Z")

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
_Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
#: identifier fields keep the caller's own spelling (customId), unlike features
_Field = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}\Z")]
_Seq = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class Approval(msgspec.Struct, frozen=True):
    review_id: int
    approved_by: _Name
    approved_at: _Name
    package_sha256: _Sha256
    evidence_sha256: _Sha256


class DeploymentManifest(msgspec.Struct, frozen=True):
    """A verified manifest."""

    endpoint: Annotated[str, msgspec.Meta(pattern=ENDPOINT.pattern)]
    seq: _Seq
    model: _Name
    version: _Name
    package_sha256: _Sha256
    identifiers: list[_Field]
    echo: list[_Field]
    approval: Approval


def read_manifest(raw: bytes, endpoint: str, public_keys: Path) -> DeploymentManifest:
    """Signature, form, approval and name, in this order. Raises SignatureInvalid, DeploymentRefused."""
    values = verify(_decode(raw), public_keys)
    if not values.get("approval"):
        raise DeploymentRefused("the manifest carries no approval", field="approval")
    try:
        manifest = msgspec.convert(values, DeploymentManifest)
    except msgspec.ValidationError as error:
        raise DeploymentRefused(f"the manifest is not as it should be: {error}") from None
    if manifest.approval.package_sha256 != manifest.package_sha256:
        raise DeploymentRefused("what was approved is another package than this one", field="approval")
    if manifest.endpoint != endpoint:
        raise DeploymentRefused(f"the manifest is for endpoint {manifest.endpoint!r}", field="endpoint")
    if not set(manifest.echo) <= set(manifest.identifiers) or "score" in manifest.echo:
        raise DeploymentRefused("only identifier fields can be echoed", field="echo")
    return manifest


def claimed_seq(raw: bytes) -> int:
    """The sequence number that a manifest gives itself, for reports only; 0 where it has none."""
    try:
        seq = _decode(raw)["manifest"]["seq"]
    except (DeploymentRefused, KeyError, TypeError):
        return 0
    return seq if isinstance(seq, int) and 0 < seq < 2**31 else 0


def _decode(raw: bytes) -> Any:
    if len(raw) > MAX_BYTES:
        raise DeploymentRefused(f"the manifest is larger than {MAX_BYTES} bytes")
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise DeploymentRefused("the manifest is not JSON") from None
