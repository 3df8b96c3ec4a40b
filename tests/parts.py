"""Real parts that a test needs and a machine may lack: skipped with the reason, or (in CI) a failure."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parent.parent


def absent(reason: str) -> NoReturn:
    """Skip the test; fail it where GIJUN_REQUIRE_REAL_PARTS says that every part must be there."""
    if os.environ.get("GIJUN_REQUIRE_REAL_PARTS"):
        pytest.fail(f"a real part is absent: {reason}")
    pytest.skip(reason)


def chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    return found or absent("no Chromium on this machine (apt-get install chromium, or set CHROMIUM)")


def system_redis() -> str:
    return shutil.which("redis-server") or absent(
        "no redis-server on this machine (apt-get install redis-server)"
    )


def shared_data(name: str) -> Path:
    """A folder of real data sets beside the repository; they are never committed."""
    folder = Path(os.environ.get("GIJUN_TEST_DATA", ROOT.parent / "shared" / "data")) / name
    if not folder.is_dir():
        pytest.skip(f"the {name} data set is not on this machine (GIJUN_TEST_DATA)")
    return folder
