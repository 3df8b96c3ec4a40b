"""Connections to Redis that give up soon and say what was wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from mlopslib.errors import OnlineStoreError

ONLINE_SCHEMES = ("redis", "rediss", "unix")
CONNECT_SECONDS = 1.0


def connect(url: str, *, answer_seconds: float, retries: int) -> Any:
    """A client with a connection pool. `retries` is for reads: a write that was done is not done again.

    Raises OnlineStoreError for an address that is not one of Redis.
    """
    if urlsplit(url).scheme not in ONLINE_SCHEMES:
        raise OnlineStoreError(
            f"{masked(url)!r} is not the address of a Redis: write redis://host:6379/0, or rediss:// for TLS",
            field="ONLINE_URL",
        )
    try:
        return redis.Redis.from_url(
            url,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=answer_seconds,
            retry=Retry(NoBackoff(), retries),
            # a connection that the server closed meanwhile is worth a second try; a slow answer is not
            retry_on_error=[redis.ConnectionError] if retries else [],
            protocol=2,
        )
    except ValueError as error:
        raise OnlineStoreError(
            f"{masked(url)!r} is not the address of a Redis: {error}", field="ONLINE_URL"
        ) from error


@contextmanager
def told(url: str) -> Iterator[None]:
    """Turn what redis-py raises into an OnlineStoreError that says what would be right."""
    try:
        yield
    except redis.AuthenticationError as error:
        raise OnlineStoreError(
            f"the Redis at {masked(url)} refused the log-in ({error}): check user and password in ONLINE_URL"
        ) from error
    except (redis.BusyLoadingError, redis.ReadOnlyError, redis.OutOfMemoryError) as error:
        raise OnlineStoreError(f"the Redis at {masked(url)} cannot do this now: {error}") from error
    except redis.TimeoutError as error:
        raise OnlineStoreError(
            f"the Redis at {masked(url)} did not answer in time: is it overloaded or stopped?"
        ) from error
    except (redis.ConnectionError, OSError) as error:
        raise OnlineStoreError(
            f"there is no Redis at {masked(url)}: start one there, or name another in ONLINE_URL"
        ) from error
    except redis.RedisError as error:
        raise OnlineStoreError(f"the Redis at {masked(url)} refused: {error}") from error


def masked(url: str) -> str:
    """The address without its password, for messages and logs.

    Examples
    --------
    >>> masked("redis://reader:secret@cache:6379/0")
    'redis://reader:***@cache:6379/0'
    """
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    user, _, host = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{name}:***@{host}"))
