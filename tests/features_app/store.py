"""A small store of a bank and the query that most tests of feature sets start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from apps.features.models import FeatureSet
from apps.features.services import create_feature_set
from mlopslib.offline import open_store
from mlopslib.offline.base import OfflineStore
from tests.factories import make_user

SQL = """SELECT b.customer_id, AVG(b.balance) AS bal_avg, MAX(c.grade) AS grade
  FROM balances b
  JOIN customers c ON b.customer_id = c.customer_id
 WHERE b.ym BETWEEN '{bf_2m_ym}' AND '{base_ym}'
 GROUP BY b.customer_id"""
#: three customers in four months of balances
MONTHS = ("202601", "202602", "202603", "202604")


def make_store(folder: Path) -> OfflineStore:
    store = open_store(f"delta://{folder}")
    rows = [(f"C{n}", ym, 10.0 * n + m) for m, ym in enumerate(MONTHS) for n in range(3)]
    keys, months, balances = zip(*rows, strict=True)
    store.create_table("balances", pa.table({"customer_id": keys, "ym": months, "balance": balances}))
    store.create_table("customers", pa.table({"customer_id": ["C0", "C1", "C2"], "grade": ["A", "B", None]}))
    return store


def definition(**changes: Any) -> dict[str, Any]:
    return {
        "name": "cust_balance",
        "title": "Balances of the customer",
        "entity": "customer",
        "entity_key": "customer_id",
        "sql": SQL,
    } | changes


def published(store: OfflineStore, **changes: Any) -> FeatureSet:
    actor = changes.pop("actor", None) or make_user("data_scientist")
    return create_feature_set(actor=actor, store=store, **definition(**changes))
