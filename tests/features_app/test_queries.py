"""Queries that somebody waits for: previews, limits, and the button that stops them."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from django.db import connection
from django.utils import timezone

from apps.features import queries
from apps.features.models import EngineQuery
from apps.features.queries import engine_query, request_cancel, run_query
from apps.features.services import preview
from mlopslib.errors import (
    AccessDenied,
    Conflict,
    GijunError,
    QueryCancelled,
    QueryTimeout,
    QueryTooLarge,
    TableNotFound,
)
from mlopslib.offline import open_store
from mlopslib.offline.base import OfflineStore
from mlopslib.offline.limits import Limits
from portal.models import User
from tests.factories import make_user
from tests.features_app.store import SQL

pytestmark = pytest.mark.django_db

#: some billions of pairs: it runs until it is stopped
SLOW = (
    "SELECT COUNT(*) AS customer_id, SUM(a.n * b.n + c.n) AS x "
    "FROM many a JOIN many b ON a.n <> b.n JOIN many c ON c.n <> b.n"
)


@pytest.fixture(scope="module")
def slow_store(tmp_path_factory: pytest.TempPathFactory) -> OfflineStore:
    store = open_store(f"delta://{tmp_path_factory.mktemp('slow')}")
    store.create_table("many", pa.table({"n": list(range(20_000))}))
    return store


@pytest.fixture
def scientist() -> User:
    return make_user("data_scientist")


def engine_threads() -> int:
    return sum(thread.name == "offline-query" for thread in threading.enumerate())


def wait_for(holds: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_query_leaves_a_row_of_what_ran_and_for_whom(small_store: OfflineStore, scientist: User) -> None:
    sql = "SELECT customer_id FROM customers ORDER BY customer_id"
    found = run_query(scientist, "preview", sql, store=small_store, limits=Limits(rows=3))
    assert found.column("customer_id").to_pylist() == ["C0", "C1", "C2"]
    row = EngineQuery.objects.get()
    assert (row.state, row.rows, row.sql, row.requested_by) == ("DONE", 3, sql, scientist)
    assert row.finished_at is not None


@pytest.mark.parametrize(
    ("sql", "limits", "error"),
    [
        ("SELECT customer_id FROM customers", Limits(rows=2), QueryTooLarge),
        ("SELECT customer_id FROM nowhere", None, TableNotFound),
        ("DROP TABLE customers", None, GijunError),
    ],
)
def test_a_refused_query_is_a_row_that_failed(
    small_store: OfflineStore, scientist: User, sql: str, limits: Limits | None, error: type[GijunError]
) -> None:
    with pytest.raises(error):
        run_query(scientist, "preview", sql, store=small_store, limits=limits)
    row = EngineQuery.objects.get()
    assert row.state == "FAILED"
    assert row.message


def test_a_query_that_takes_too_long_is_stopped_in_the_engine(
    slow_store: OfflineStore, scientist: User
) -> None:
    began = time.monotonic()
    with pytest.raises(QueryTimeout):
        run_query(scientist, "preview", SLOW, store=slow_store, limits=Limits(seconds=0.5))
    assert time.monotonic() - began < 10
    assert EngineQuery.objects.get().state == "FAILED"
    assert engine_threads() == 0


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_a_query_is_cancelled_through_its_row_and_the_engine_is_idle(
    slow_store: OfflineStore, scientist: User
) -> None:
    """As with several processes of the portal: the canceller shares the database with the runner, no more."""
    pk, errors = uuid.uuid4(), []

    def wait() -> None:
        try:
            run_query(scientist, "preview", SLOW, store=slow_store, limits=Limits(seconds=60), query_id=pk)
        except GijunError as error:
            errors.append(error)
        finally:
            connection.close()

    waiting = threading.Thread(target=wait)
    waiting.start()
    wait_for(lambda: EngineQuery.objects.filter(pk=pk).exists() and engine_threads() == 1)
    assert request_cancel(actor=scientist, pk=pk)
    waiting.join(15)
    assert not waiting.is_alive()
    assert [type(error) for error in errors] == [QueryCancelled]
    row = EngineQuery.objects.get(pk=pk)
    assert row.state == "CANCELLED"
    assert row.finished_at - row.cancel_requested_at < timedelta(seconds=5)
    assert engine_threads() == 0
    assert not request_cancel(actor=scientist, pk=pk)


def running(owner: User, **fields: Any) -> EngineQuery:
    return EngineQuery.objects.create(kind="preview", sql="SELECT 1", requested_by=owner, **fields)


def test_a_query_is_stopped_by_who_started_it_or_who_may_cancel_runs(scientist: User) -> None:
    row = running(scientist)
    with pytest.raises(AccessDenied, match="who started it"):
        request_cancel(actor=make_user("viewer"), pk=row.pk)
    assert request_cancel(actor=make_user("operator"), pk=row.pk)
    assert not request_cancel(actor=scientist, pk=row.pk)
    assert not request_cancel(actor=scientist, pk=uuid.uuid4())


def test_a_row_whose_process_died_is_closed_by_its_age(small_store: OfflineStore, scientist: User) -> None:
    lost, fresh = running(scientist), running(scientist)
    EngineQuery.objects.filter(pk=lost.pk).update(started_at=timezone.now() - timedelta(hours=1))
    run_query(scientist, "preview", "SELECT customer_id FROM customers", store=small_store)
    lost.refresh_from_db()
    fresh.refresh_from_db()
    assert (lost.state, fresh.state) == ("FAILED", "RUNNING")


def test_a_row_is_closed_even_when_the_request_dies(small_store: OfflineStore, scientist: User) -> None:
    with pytest.raises(KeyboardInterrupt), engine_query(scientist, "preview", "x", store=small_store):
        raise KeyboardInterrupt
    assert EngineQuery.objects.get().state == "FAILED"


def test_a_person_has_a_few_queries_at_a_time(small_store: OfflineStore, scientist: User) -> None:
    for _ in range(queries.MOST_AT_ONCE):
        running(scientist)
    with pytest.raises(Conflict, match="wait for one"):
        run_query(scientist, "preview", "SELECT customer_id FROM customers", store=small_store)
    run_query(make_user("data_scientist"), "preview", "SELECT customer_id FROM customers", store=small_store)


def test_an_identifier_is_used_once(small_store: OfflineStore, scientist: User) -> None:
    row = running(scientist, state="DONE")
    with pytest.raises(Conflict, match="started already"):
        run_query(scientist, "preview", "SELECT 1 AS n", store=small_store, query_id=row.pk)


# previews -----------------------------------------------------------------------------------------


def test_a_preview_shows_rows_and_counts_the_key_over_all_of_them(
    small_store: OfflineStore, scientist: User
) -> None:
    given = {"actor": scientist, "store": small_store, "base_ym": "202604", "entity_key": "customer_id"}
    found = preview(**given, sql=f"{SQL} ORDER BY b.customer_id -- newest first\n;", rows=2)
    assert found.columns == ["customer_id", "bal_avg", "grade"]
    assert found.rows == [["C0", "2", "A"], ["C1", "12", "B"]]
    assert found.numeric == [False, True, False]
    assert (found.key.rows, found.key.entities, found.key.is_unique) == (3, 3, True)
    assert (found.query.kind, found.query.state, found.query.rows) == ("preview", "DONE", 2)


def test_a_repeated_and_a_missing_key_are_counted_with_examples(
    small_store: OfflineStore, scientist: User
) -> None:
    sql = """SELECT NULLIF(customer_id, 'C2') AS customer_id, balance FROM balances
              WHERE ym IN ('{bf_1m_ym}', '{base_ym}')"""
    given = {"actor": scientist, "store": small_store, "base_ym": "202604"}
    key = preview(**given, sql=sql, entity_key="customer_id").key
    assert (key.rows, key.entities, key.missing, key.repeated, key.is_unique) == (6, 2, 2, 2, False)
    assert sorted(key.examples) == [("C0", 2), ("C1", 2)]
    assert preview(**given, sql=sql, entity_key="account_id").key is None
    assert preview(**given, sql=sql, entity_key="x` FROM").key is None


def test_missing_values_and_long_texts_are_shown_as_such(small_store: OfflineStore, scientist: User) -> None:
    sql = (
        f"SELECT customer_id, grade, '{'x' * 200}' AS t, CAST('NaN' AS DOUBLE) AS n "
        "FROM customers WHERE customer_id = 'C2'"
    )
    row = preview(actor=scientist, store=small_store, sql=sql, base_ym="202604").rows[0]
    assert row[:2] + row[3:] == ["C2", None, None]
    assert len(row[2]) == 80


def test_a_preview_needs_a_data_scientist(small_store: OfflineStore, tmp_path: Path) -> None:
    with pytest.raises(AccessDenied):
        preview(actor=make_user("reviewer"), store=small_store, sql=SQL, base_ym="202604")
    assert not EngineQuery.objects.exists()
