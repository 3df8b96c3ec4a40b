"""A process that loads a package first, because a bad model text can end the process that parses it.

Run as `python -m apps.serving.worker.trial PACKAGES SHA256`. Exit code 0: loaded, and every golden row
scored as it should. 3: refused, with the reason as JSON on standard output. Anything else is a crash.
"""

from __future__ import annotations

import json
import os
import resource
import sys

from apps.serving.worker.background import NICENESS
from apps.serving.worker.lifeline import leave_with_parent

REFUSED = 3
CPU_SECONDS = 30
MEMORY_BYTES = 2 << 30


def main(packages: str, sha256: str) -> int:
    leave_with_parent(sys.stdin.fileno(), at_once=True)
    # LightGBM writes to standard output; the result needs a channel of its own
    result = os.dup(sys.stdout.fileno())
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.nice(NICENESS)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_CPU, CPU_SECONDS)
    _limit(resource.RLIMIT_AS, MEMORY_BYTES)

    from mlopslib.artifacts import ArtifactStore
    from mlopslib.errors import GijunError
    from mlopslib.package.read import read_package
    from mlopslib.package.verify import verify_native

    try:
        verify_native(read_package(ArtifactStore(packages), sha256))
    except GijunError as error:
        os.write(result, json.dumps({"code": error.code, "message": error.message}).encode())
        return REFUSED
    return 0


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (limit, hard))


if __name__ == "__main__":
    code = main(*sys.argv[1:3])
    # a thread still waits for the parent; the libraries' own clean-up proves nothing
    os._exit(code)
