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
        ``impala://user:password@host:21050/database?auth=LDAP&uploader=webhdfs://namenode:9870/tmp`` or
        ``hive://..``: the tables of one database of a cluster. Nothing is connected before the first call.
    limits
        What a query may take where the caller of a method names nothing else.

    Raises
    ------
    InvalidInput
        For any other kind of address, or a part of it that is wrong.
    """
    parts = urlsplit(url)
    if parts.scheme in ("impala", "hive"):
        from mlopslib.offline.hiveserver2 import open_hiveserver2

        return open_hiveserver2(url, limits=limits)
    if parts.scheme != "delta":
        raise InvalidInput(
            f"the offline store is of a kind that is not known ({parts.scheme or 'no scheme'}): use "
            "delta:///absolute/path, impala://user@host:21050/database or hive://user@host:10000/database",
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
