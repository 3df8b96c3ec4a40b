"""Tables of the past: written from pandas and files, read by guarded Impala SQL."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from mlopslib.errors import InvalidInput
from mlopslib.offline.base import Column, OfflineStore, WrittenPartition
from mlopslib.offline.limits import Limits

__all__ = ["Column", "Limits", "OfflineStore", "WrittenPartition", "open_store"]

_NO_LIMITS = Limits()


def open_store(url: str, *, limits: Limits = _NO_LIMITS) -> OfflineStore:
    """The offline store behind an address.

    Parameters
    ----------
    url
        ``delta:///var/gijun/offline``: Delta Lake tables in a directory of this machine. The directory is
        made when the first table is.
    limits
        What a query may take where the caller of a method names nothing else.

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

    return EmbeddedStore(Path(unquote(parts.path)), limits=limits)
