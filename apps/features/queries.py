"""Queries that somebody waits for: each is a row, so that any process of the portal can stop it.

The row is the only thing that the page and the process that runs the query share: the page asks by
setting `cancel_requested_at`, the process looks at it while it waits for the engine.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.common.access import may, require
from apps.features.models import EngineQuery
from mlopslib.errors import AccessDenied, Conflict, GijunError, QueryCancelled, QueryTimeout
from mlopslib.offline.base import OfflineStore
from mlopslib.offline.limits import Limits

if TYPE_CHECKING:
    import pyarrow as pa

_State = EngineQuery.State
#: seconds between two looks at the row
POLL_SECONDS = 0.3
#: queries of one person at the same time; more would keep the portal's threads from others
MOST_AT_ONCE = 3
#: a row that runs this much longer than any query may has lost its process
_GRACE_SECONDS = 60
KEPT_DAYS = 30


class Waiting:
    """A query that runs: reads share its time, its row and its way to be cancelled."""

    def __init__(self, row: EngineQuery, store: OfflineStore, seconds: float) -> None:
        self.row = row
        self._store = store
        self._deadline = time.monotonic() + seconds
        self._seconds = seconds
        self._next_look = 0.0
        self._cancelled = False

    def read(self, sql: str, *, rows: int | None = None) -> pa.Table:
        """One guarded, rendered SELECT within what is left of the time."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise QueryTimeout(f"the query ran longer than {self._seconds:g} s and was stopped")
        limits = Limits(seconds=left, rows=rows, memory=settings.QUERY_MEMORY)
        return self._store.read_sql(sql, limits=limits, is_cancelled=self.is_cancelled)

    @property
    def store(self) -> OfflineStore:
        """The store, for what takes one: each of its reads is one of this query's."""
        return _Read(self, self._store)  # type: ignore[return-value]

    def is_cancelled(self) -> bool:
        now = time.monotonic()
        if not self._cancelled and now >= self._next_look:
            self._next_look = now + POLL_SECONDS
            asked = EngineQuery.objects.filter(pk=self.row.pk, cancel_requested_at__isnull=False)
            self._cancelled = asked.exists()
        return self._cancelled


class _Read:
    """A store whose reads belong to a query; everything else is the store's own."""

    def __init__(self, query: Waiting, store: OfflineStore) -> None:
        self._query = query
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def read_sql(self, sql: str, **_options: Any) -> pa.Table:
        return self._query.read(sql)


@contextmanager
def engine_query(
    actor: Any,
    kind: str,
    sql: str,
    *,
    store: OfflineStore,
    seconds: float | None = None,
    query_id: uuid.UUID | None = None,
) -> Iterator[Waiting]:
    """A row for as long as a person waits; it is closed however the block ends.

    Raises AccessDenied, and Conflict where the person has as many queries running as one may have.
    """
    require(actor, "features.create")
    limit = settings.PREVIEW_SECONDS if seconds is None else seconds
    close_lost()
    if EngineQuery.objects.filter(requested_by=actor, state=_State.RUNNING).count() >= MOST_AT_ONCE:
        raise Conflict(f"{MOST_AT_ONCE} of your queries run already: wait for one, or cancel it")
    try:
        with transaction.atomic():
            row = EngineQuery.objects.create(
                id=query_id or uuid.uuid4(), kind=kind, sql=sql, requested_by=actor
            )
    except IntegrityError as error:
        raise Conflict("this query was started already") from error
    waiting = Waiting(row, store, limit)
    try:
        yield waiting
    except QueryCancelled as error:
        _finish(row, _State.CANCELLED, error.message)
        raise
    except GijunError as error:
        _finish(row, _State.FAILED, error.message)
        raise
    except BaseException:
        _finish(row, _State.FAILED, "the portal stopped while the query ran")
        raise
    _finish(row, _State.DONE)


def run_query(
    actor: Any,
    kind: str,
    sql: str,
    *,
    store: OfflineStore,
    limits: Limits | None = None,
    query_id: uuid.UUID | None = None,
) -> pa.Table:
    """One guarded, rendered SELECT that a person waits for and may cancel.

    Raises AccessDenied, Conflict, SqlRejected, QueryFailed, QueryTimeout, QueryCancelled, QueryTooLarge.
    """
    limits = limits or Limits()
    with engine_query(actor, kind, sql, store=store, seconds=limits.seconds, query_id=query_id) as query:
        found = query.read(sql, rows=limits.rows)
        query.row.rows = found.num_rows
    return found


def request_cancel(*, actor: Any, pk: uuid.UUID) -> bool:
    """Ask the process that runs a query to stop it; False where it has ended (or never began).

    A person stops what they started; who may cancel runs may stop anybody's. Raises AccessDenied.
    """
    row = EngineQuery.objects.filter(pk=pk).first()
    if row is None:
        require(actor, "view")
        return False
    if row.requested_by_id != actor.pk and not may(actor, "runs.cancel"):
        raise AccessDenied("a query is stopped by who started it, or by who may cancel runs")
    return bool(
        EngineQuery.objects.filter(pk=pk, state=_State.RUNNING, cancel_requested_at__isnull=True).update(
            cancel_requested_at=timezone.now()
        )
    )


def close_lost() -> int:
    """Close rows whose process is gone, and forget old ones; returns how many were closed."""
    now = timezone.now()
    lost = now - timedelta(seconds=settings.PREVIEW_SECONDS + _GRACE_SECONDS)
    EngineQuery.objects.filter(
        started_at__lt=now - timedelta(days=KEPT_DAYS), finished_at__isnull=False
    ).delete()
    return EngineQuery.objects.filter(state=_State.RUNNING, started_at__lt=lost).update(
        state=_State.FAILED, message="the portal stopped while the query ran", finished_at=now
    )


def _finish(row: EngineQuery, state: str, message: str = "") -> None:
    """Close the row once; a row that was closed as lost stays so."""
    EngineQuery.objects.filter(pk=row.pk, state=_State.RUNNING).update(
        state=state, message=message, rows=row.rows, finished_at=timezone.now()
    )
