"""LightGBM's wheel wants the system's libgomp.so.1; a bare Debian has none, scikit-learn's wheel has.

`python -m portal.native_libs` links that copy into ``<venv>/native``, which the Makefile puts on
LD_LIBRARY_PATH, unless the system has its own.
"""

from __future__ import annotations

import ctypes
import sys
import sysconfig
from pathlib import Path


def link_libgomp(prefix: Path) -> Path | None:
    """Make ``prefix/native/libgomp.so.1`` where the system lacks it; returns the link or None."""
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError:
        pass
    else:
        return None
    bundled = sorted(Path(sysconfig.get_path("platlib"), "scikit_learn.libs").glob("libgomp-*.so*"))
    if not bundled:
        raise SystemExit("LightGBM needs libgomp.so.1: install your system's libgomp1 package")
    link = prefix / "native" / "libgomp.so.1"
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(bundled[0])
    return link


if __name__ == "__main__":
    if made := link_libgomp(Path(sys.prefix)):
        print(f"no libgomp on this system: using {made.resolve().name} of scikit-learn")
