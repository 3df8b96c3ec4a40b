"""Make what an installation needs before Django can start: the secret key and the signing key pair.

    python -m portal.init_home

Existing keys are left alone, so it may run at every start.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from mlopslib.package.signing import create_key_pair


def init_home(home: Path) -> None:
    """Create the secret key and the signing keys under `home` where they are missing."""
    home.mkdir(parents=True, exist_ok=True)
    secret = home / "secret_key"
    if not secret.exists():
        _write_private(secret, secrets.token_urlsafe(64).encode())
    create_key_pair(home / "keys")


def _write_private(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(data)


if __name__ == "__main__":
    default = Path(__file__).resolve().parent.parent / "var"
    init_home(Path(os.environ.get("GIJUN_HOME", default)).resolve())
