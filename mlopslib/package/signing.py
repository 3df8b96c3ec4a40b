"""Ed25519 signatures over canonical JSON: the portal signs a manifest, the serving worker verifies it.

A key is named by the first 16 hexadecimal digits of the SHA-256 of its public bytes, so a public key
file under a wrong name is found out, and keys can be rotated by laying a second one beside the first.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from mlopslib.artifacts import canonical_json
from mlopslib.errors import SignatureInvalid

PRIVATE_NAME = "signing.pem"
_KEY_ID = re.compile(r"^[0-9a-f]{16}\Z")
_FIELDS = frozenset({"manifest", "key_id", "signature"})


def create_key_pair(directory: Path | str) -> str:
    """Make ``signing.pem`` (mode 0600) and ``<key_id>.pub`` in `directory`; returns the key id.

    An existing private key is left alone; its public key is written again where it is missing.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    private_path = folder / PRIVATE_NAME
    if not private_path.exists():
        _write_private(private_path, Ed25519PrivateKey.generate())
    public = _load_private(private_path).public_key()
    key_id = _key_id(public)
    public_path = folder / f"{key_id}.pub"
    if not public_path.exists():
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        _write_whole(public_path, pem, mode=0o644)
    return key_id


def sign(manifest: Mapping[str, Any], signing_key_path: Path | str) -> dict[str, Any]:
    """``{"manifest", "key_id", "signature"}`` of a manifest. Raises SignatureInvalid without a usable key."""
    key = _load_private(Path(signing_key_path))
    signature = key.sign(canonical_json(manifest))
    return {
        "manifest": dict(manifest),
        "key_id": _key_id(key.public_key()),
        "signature": base64.b64encode(signature).decode(),
    }


def verify(signed: Any, public_keys_dir: Path | str) -> dict[str, Any]:
    """The manifest, when a known key signed exactly these values. Raises SignatureInvalid.

    Takes whatever came over the wire: anything that is not a signed manifest is refused by the same error.
    """
    if not isinstance(signed, Mapping) or set(signed) != _FIELDS:
        raise SignatureInvalid("a signed manifest has exactly the fields manifest, key_id and signature")
    manifest, key_id, signature = signed["manifest"], signed["key_id"], signed["signature"]
    if not isinstance(manifest, Mapping):
        raise SignatureInvalid("the manifest is not an object", field="manifest")
    public = _load_public(Path(public_keys_dir), key_id)
    try:
        raw = base64.b64decode(signature, validate=True)
        public.verify(raw, canonical_json(manifest))
    except (InvalidSignature, binascii.Error, TypeError, ValueError) as error:
        raise SignatureInvalid(f"the signature does not fit the manifest (key {key_id})") from error
    return dict(manifest)


def _key_id(public: Ed25519PublicKey) -> str:
    return hashlib.sha256(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def _load_private(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise SignatureInvalid(f"no signing key at {path.name}: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SignatureInvalid(f"{path.name} is not a private key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SignatureInvalid(f"{path.name} is not an Ed25519 key")
    return key


def _load_public(directory: Path, key_id: Any) -> Ed25519PublicKey:
    # the id comes from outside and names a file: only 16 hexadecimal digits may
    if not isinstance(key_id, str) or not _KEY_ID.match(key_id):
        raise SignatureInvalid("a key id is 16 hexadecimal digits", field="key_id")
    try:
        key = load_pem_public_key((directory / f"{key_id}.pub").read_bytes())
    except OSError as error:
        raise SignatureInvalid(f"key {key_id} is not known here", field="key_id") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SignatureInvalid(f"{key_id}.pub is not a public key in PEM", field="key_id") from error
    if not isinstance(key, Ed25519PublicKey) or _key_id(key) != key_id:
        raise SignatureInvalid(f"{key_id}.pub holds another key than its name says", field="key_id")
    return key


def _write_private(path: Path, key: Ed25519PrivateKey) -> None:
    _write_whole(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), mode=0o600)


def _write_whole(path: Path, data: bytes, *, mode: int) -> None:
    """Write under a temporary name, then link: a reader never sees half, a second writer does not replace."""
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        os.chmod(name, mode)
        try:
            os.link(name, path)
        except FileExistsError:
            return
    finally:
        os.unlink(name)
