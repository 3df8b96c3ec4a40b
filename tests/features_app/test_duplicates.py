"""Features that stand already, under another name or in other words."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from apps.features.models import EngineQuery, FeatureSet, Materialisation
from apps.features.services import find_duplicates
from mlopslib.offline import open_store
from mlopslib.offline.base import OfflineStore
from tests.factories import make_user
from tests.features_app.store import published

pytestmark = pytest.mark.django_db

SQL = "SELECT customer_id, amount * 2 + 5 AS doubled, other FROM facts WHERE ym = '{base_ym}'"
YM = "202604"


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> OfflineStore:
    store = open_store(f"delta://{tmp_path_factory.mktemp('facts')}")
    keys = [f"C{n}" for n in range(40)]
    amounts = [float((n * 7) % 40) for n in range(40)]
    others = [float((n * 13 + n * n) % 17) for n in range(40)]
    store.create_table(
        "facts", pa.table({"customer_id": keys, "ym": [YM] * 40, "amount": amounts, "other": others})
    )
    months = pa.table({"customer_id": keys, "amount": amounts, "kind": ["A", "B"] * 20})
    store.overwrite_partition("fs_cust_amount_v1", months, column="base_ym", value=YM)
    return store


@pytest.fixture
def amounts(facts: OfflineStore) -> FeatureSet:
    sql = "SELECT customer_id, amount, IF(amount > 20, 'A', 'B') AS kind FROM facts WHERE ym = '{base_ym}'"
    row = published(facts, name="cust_amount", sql=sql)
    Materialisation.objects.create(feature_set=row, base_ym=YM, rows=40, table_version=0)
    return row


def test_a_column_that_moves_with_an_existing_feature_is_named(
    facts: OfflineStore, amounts: FeatureSet
) -> None:
    found = find_duplicates(
        actor=make_user("data_scientist"), store=facts, name="cust_new", sql=SQL, entity_key="customer_id"
    )
    assert [(near.column, near.feature_set, near.feature) for near in found.near] == [
        ("doubled", amounts, "amount")
    ]
    assert found.near[0].r == pytest.approx(1.0)
    assert (found.base_ym, found.compared, found.same_query) == (YM, 1, [])
    assert EngineQuery.objects.get(kind="duplicates").state == "DONE"


def test_its_own_older_version_is_no_duplicate(facts: OfflineStore, amounts: FeatureSet) -> None:
    found = find_duplicates(
        actor=make_user("data_scientist"), store=facts, name="cust_amount", sql=SQL, entity_key="customer_id"
    )
    assert (found.near, found.compared) == ([], 0)


def test_without_a_month_in_the_store_the_text_alone_is_compared(facts: OfflineStore, tmp_path: Path) -> None:
    row = published(facts, name="cust_twice", sql=SQL)
    found = find_duplicates(
        actor=make_user("data_scientist"),
        store=facts,
        name="cust_new",
        sql=SQL.lower().replace("where ", "where  "),
        entity_key="customer_id",
    )
    assert (found.same_query, found.near, found.base_ym) == ([row], [], "")
