"""A small bank of twelve months around the base month, one table for each way to date a row."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from mlopslib.dates import add_months, last_day, month_range
from mlopslib.definition import FeatureSetSpec, FeatureSpec
from mlopslib.offline.embedded import EmbeddedStore
from tests.leaks.case import BASE_YM, Case

CUSTOMERS = 60
MONTHS = month_range(add_months(BASE_YM, -7), add_months(BASE_YM, 4))


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedStore:
    """Tests only read it."""
    store = EmbeddedStore(tmp_path_factory.mktemp("leaks") / "offline", threads=1)
    random = np.random.default_rng(7)
    for name, (table, partition) in _tables(random).items():
        store.create_table(name, table, partition_by=partition)
    return store


@pytest.fixture
def spec_of(bank: EmbeddedStore):
    def build(case: Case) -> FeatureSetSpec:
        from mlopslib.dates import date_params
        from mlopslib.sql import render_sql

        columns = bank.describe_sql(render_sql(case.sql, date_params(BASE_YM)))
        features = tuple(
            FeatureSpec(c.name, "category" if c.type == "varchar" else "numeric")
            for c in columns
            if c.name != "customer_id"
        )
        return FeatureSetSpec("case", 1, "customer_id", case.sql, features)

    return build


def _tables(random: np.random.Generator) -> dict[str, tuple[pa.Table, str | None]]:
    ids = [f"C{number:03d}" for number in range(CUSTOMERS)]
    days = [
        datetime(int(ym[:4]), int(ym[4:]), day)
        for ym in MONTHS
        for day in range(1, int(last_day(ym)[6:]) + 1)
    ]
    return {
        "customers": (_customers(random, ids), None),
        "balances": (_balances(random, ids), "ym"),
        "events": (_events(random, ids, days), None),
        "calls": (_calls(random, ids, days), None),
        "grades": (_grades(random, ids), None),
        "cards": (_cards(random, ids), None),
        "loans": (_loans(random, ids, days), None),
        "shops": (_shops(), None),
    }


def _customers(random: np.random.Generator, ids: list[str]) -> pa.Table:
    joined = [
        f"{2015 + int(random.integers(0, 8))}{int(random.integers(1, 13)):02d}"
        f"{int(random.integers(1, 29)):02d}"
        for _ in ids
    ]
    joined[-6:] = ["20240115", "20240131", "20240201", "20240215", "20240310", "20240501"]
    births = [datetime(1950 + int(random.integers(0, 50)), 3, 4).date() for _ in ids]
    return pa.table(
        {
            "customer_id": ids,
            "join_dt": joined,
            "birth_dt": births,
            "segment": [("MASS", "PRIME", "YOUNG")[number % 3] for number in range(len(ids))],
        }
    )


def _balances(random: np.random.Generator, ids: list[str]) -> pa.Table:
    rows = [(customer, ym) for ym in MONTHS for customer in ids]
    count = len(rows)
    return pa.table(
        {
            "customer_id": [customer for customer, _ in rows],
            "ym": [ym for _, ym in rows],
            "open_dt": [f"20{10 + int(customer[1:]) % 10}0510" for customer, _ in rows],
            "amt": np.round(random.lognormal(8, 1, count), 2),
            "cnt": random.integers(0, 9, count),
            "grade": [("A", "B", "C")[int(random.integers(0, 3))] for _ in rows],
            "default_flag_next_3m": random.integers(0, 2, count),
        }
    )


def _events(random: np.random.Generator, ids: list[str], days: list[datetime]) -> pa.Table:
    rows = []
    for customer in ids:
        for _ in range(40):
            day = days[int(random.integers(0, len(days)))]
            rows.append((customer, day + timedelta(seconds=int(random.integers(0, 86_400)))))
        # the last moment that is known, and the first that is not
        rows += [(customer, datetime(2024, 1, 31, 23, 59, 59)), (customer, datetime(2024, 2, 1))]
    count = len(rows)
    return pa.table(
        {
            "event_id": list(range(count)),
            "customer_id": [customer for customer, _ in rows],
            "event_ts": pa.array([moment for _, moment in rows], pa.timestamp("us")),
            "loaded_at": pa.array([moment + timedelta(hours=30) for _, moment in rows], pa.timestamp("us")),
            "kind": [("PAY", "CASH", "FEE")[int(random.integers(0, 3))] for _ in rows],
            "amount": np.round(random.lognormal(3, 1, count), 2),
            "shop_id": random.integers(1, 9, count),
        }
    )


def _calls(random: np.random.Generator, ids: list[str], days: list[datetime]) -> pa.Table:
    rows = [(customer, days[int(random.integers(0, len(days)))]) for customer in ids for _ in range(20)]
    return pa.table(
        {
            "customer_id": [customer for customer, _ in rows],
            "call_dt": [day.strftime("%Y-%m-%d") for _, day in rows],
            "minutes": random.integers(1, 60, len(rows)),
        }
    )


def _grades(random: np.random.Generator, ids: list[str]) -> pa.Table:
    """A snapshot whose month is a number."""
    rows = [(customer, int(ym)) for ym in MONTHS for customer in ids]
    return pa.table(
        {
            "customer_id": [customer for customer, _ in rows],
            "base_ym": [ym for _, ym in rows],
            "score": random.integers(300, 900, len(rows)),
        }
    )


def _cards(random: np.random.Generator, ids: list[str]) -> pa.Table:
    """One row for each card, updated in place: its closing date is filled in when it closes."""
    rows = []
    for number, customer in enumerate(ids):
        for card in range(3):
            opened = datetime(2022, 1 + int(random.integers(0, 12)), 3 + card)
            closed = None
            if (number + card) % 3 == 0:
                closed = opened + timedelta(days=int(random.integers(400, 900)))
            rows.append((f"K{number:03d}{card}", customer, opened, closed))
    return pa.table(
        {
            "card_id": [row[0] for row in rows],
            "customer_id": [row[1] for row in rows],
            "open_dt": pa.array([row[2].date() for row in rows], pa.date32()),
            "closed_dt": pa.array([row[3].date() if row[3] else None for row in rows], pa.date32()),
            "closed_reason": [None if row[3] is None else ("LOST", "OWN")[row[3].day % 2] for row in rows],
            "limit_amt": random.integers(1, 50, len(rows)) * 100,
        }
    )


def _loans(random: np.random.Generator, ids: list[str], days: list[datetime]) -> pa.Table:
    rows = [(customer, days[int(random.integers(0, len(days)))]) for customer in ids[:40] for _ in range(4)]
    return pa.table(
        {
            "loan_id": [f"L{number:04d}" for number in range(len(rows))],
            "customer_id": [customer for customer, _ in rows],
            "contract_dt": [day.strftime("%Y%m%d") for _, day in rows],
            "maturity_dt": [(day + timedelta(days=720)).strftime("%Y%m%d") for _, day in rows],
            "amount": pa.array(
                [Decimal(int(random.integers(1, 99))) * 100 for _ in rows], pa.decimal128(18, 2)
            ),
        }
    )


def _shops() -> pa.Table:
    return pa.table(
        {
            "shop_id": list(range(1, 9)),
            "category": [("FOOD", "CARS", "BOOKS", "TRAVEL")[n % 4] for n in range(8)],
        }
    )
