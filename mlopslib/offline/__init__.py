"""Tables of the past: written from pandas and files, read by guarded Impala SQL."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from mlopslib.errors import InvalidInput
from mlopslib.offline.base import Column, OfflineStore

__all__ = ["Column", "OfflineStore", "open_store"]


def open_store(url: str) -> OfflineStore:
    """The offline store behind an address.

    Parameters
    ----------
    url
        ``delta:///var/gijun/offline``: Delta Lake tables in a directory of this machine. The directory is
        made when the first table is.

    Raises
    ------
    InvalidInput
        For any other kind of address, or a path that is not absolute.
    """
    parts = urlsplit(url)
    if parts.scheme != "delta":
        raise InvalidInput(
            f"the offline store {url!r} is of a kind that is not known: use delta:///absolute/path",
            field="OFFLINE_URL",
        )
    if parts.netloc or not parts.path.startswith("/") or parts.path == "/" or parts.query or parts.fragment:
        raise InvalidInput(
            f"{url!r} names no directory: use three slashes and an absolute path, as in delta:///var/offline",
            field="OFFLINE_URL",
        )
    # deltalake, duckdb and pyarrow are loaded only where a store is opened
    from mlopslib.offline.embedded import EmbeddedStore

    return EmbeddedStore(Path(unquote(parts.path)))
