"""An online store on a real Redis, under a prefix of the test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from mlopslib.definition import FeatureSetSpec, FeatureSpec
from mlopslib.online import OnlineStore, open_online

SPEC = FeatureSetSpec(
    name="cust_balance",
    version=3,
    entity_key="customer_id",
    sql="SELECT customer_id, bal_avg, grade FROM balances WHERE base_ym = '{base_ym}'",
    features=(FeatureSpec("bal_avg", "numeric"), FeatureSpec("grade", "category")),
)
#: the last moment of the base month 202606
JUNE = datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC)


@pytest.fixture
def online(redis_server, request) -> Iterator[OnlineStore]:
    store = open_online(redis_server.url, f"test{abs(hash(request.node.nodeid))}", read_seconds=5)
    yield store
    clean(redis_server.client, store.prefix)


def clean(client, prefix: str) -> None:
    if keys := list(client.scan_iter(match=f"{prefix}:*", count=10_000)):
        client.unlink(*keys)


def rows(entities, balances=None, grades=None) -> list[pa.Table]:
    """Arrow rows of the feature set, one for each entity."""
    balances = balances or [float(i) for i in range(len(entities))]
    grades = grades or ["A"] * len(entities)
    columns = {
        "customer_id": pa.array(entities),
        "bal_avg": pa.array(balances),
        "grade": pa.array(grades, pa.string()),
    }
    return [pa.table(columns)]
