"""The online store: the newest values of feature sets, by entity, in Redis.

Nothing here needs Django or pandas; a serving worker calls `open_online(...).get(...)`.
How rows, generations and streams fit together is told in `mlopslib.online.store`.
"""

from __future__ import annotations

from mlopslib.online.connection import ONLINE_SCHEMES
from mlopslib.online.overlay import Event
from mlopslib.online.store import OnlineStore
from mlopslib.online.values import OnlineRow, Publication

__all__ = ["ONLINE_SCHEMES", "Event", "OnlineRow", "OnlineStore", "Publication", "open_online"]


def open_online(url: str, prefix: str = "gijun", *, read_seconds: float = 1.0) -> OnlineStore:
    """The online store behind ``redis://host:6379/0``. Nothing is asked of the server yet.

    Parameters
    ----------
    url
        ``redis://``, ``rediss://`` (TLS) or ``unix://``.
    prefix
        What every key begins with, so that installations can share a server.
    read_seconds
        How long a read waits for its answer; connecting takes a second at most.

    Raises
    ------
    OnlineStoreError
        The address is not one of a Redis server.
    """
    return OnlineStore(url, prefix, read_seconds=read_seconds)
