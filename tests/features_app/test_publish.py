"""Publishing a feature query on a real store."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from django.db import IntegrityError, transaction

from apps.features.models import FeatureProfile, FeatureSet, Materialisation
from apps.features.records import record_materialisation
from apps.features.services import create_feature_set
from mlopslib.definition import FeatureSpec
from mlopslib.errors import (
    AccessDenied,
    DefinitionInvalid,
    GijunError,
    SqlRejected,
    UnknownParameter,
)
from mlopslib.offline import open_store
from mlopslib.offline.base import OfflineStore
from portal.models import AuditEvent
from tests.factories import make_feature_set, make_user

pytestmark = pytest.mark.django_db

SQL = """
SELECT b.customer_id, AVG(b.balance) AS bal_avg_3m, MAX(c.grade) AS grade, COUNT(*) AS n
FROM balances b JOIN customers c ON b.customer_id = c.customer_id
WHERE b.base_ym BETWEEN '{bf_2m_ym}' AND '{base_ym}'
GROUP BY b.customer_id
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> OfflineStore:
    store = open_store(f"delta://{tmp_path_factory.mktemp('offline')}")
    store.create_table(
        "balances",
        pa.table({"customer_id": ["1"], "base_ym": ["202401"], "balance": [1.5]}),
    )
    store.create_table("customers", pa.table({"customer_id": ["1"], "grade": ["A"]}))
    return store


def publish(store: OfflineStore, **changes: Any) -> FeatureSet:
    values: dict[str, Any] = {
        "actor": changes.pop("actor", None) or make_user("data_scientist"),
        "store": store,
        "name": "cust_balance",
        "title": "Balances of the customer",
        "entity": "customer",
        "entity_key": "customer_id",
        "sql": SQL,
        "features": None,
    }
    return create_feature_set(**(values | changes))


def test_columns_are_read_from_the_engine(store: OfflineStore) -> None:
    row = publish(store)
    found = [(f.name, f.dtype, f.engine_type) for f in row.features.all()]
    assert [(name, dtype) for name, dtype, _ in found] == [
        ("bal_avg_3m", "numeric"),
        ("grade", "category"),
        ("n", "numeric"),
    ]
    assert all(engine_type for *_, engine_type in found)
    assert row.source_tables == ["balances", "customers"]
    assert (row.version, row.is_current, len(row.sql_sha256)) == (1, True, 64)
    assert AuditEvent.objects.get(action="feature_set.published").data["sql_sha256"] == row.sql_sha256


def test_a_name_again_is_the_next_version(store: OfflineStore) -> None:
    first = publish(store)
    second = publish(store, sql=SQL.replace("bf_2m_ym", "bf_5m_ym"))
    first.refresh_from_db()
    assert (second.version, second.is_current, first.is_current) == (2, True, False)
    assert list(FeatureSet.objects.current()) == [second]


def test_given_features_keep_their_description_and_kind(store: OfflineStore) -> None:
    row = publish(
        store, features=[FeatureSpec("n", "category", "rows as a code"), FeatureSpec("grade", "category")]
    )
    kinds = {f.name: (f.dtype, f.description) for f in row.features.all()}
    assert kinds == {
        "bal_avg_3m": ("numeric", ""),
        "grade": ("category", ""),
        "n": ("category", "rows as a code"),
    }


@pytest.mark.parametrize(
    ("changes", "error", "field", "words"),
    [
        ({"sql": "DELETE FROM balances"}, SqlRejected, None, "SELECT"),
        ({"sql": "SELECT 1 AS customer_id; SELECT 2"}, SqlRejected, None, "one"),
        ({"sql": SQL.replace("{base_ym}", "{base_yn}")}, UnknownParameter, None, "base_ym"),
        ({"sql": SQL.replace("customers", "customer")}, GijunError, None, "customers"),
        ({"sql": SQL.replace("b.balance", "b.balanse")}, GijunError, None, "balanse"),
        ({"sql": "this is no sql"}, SqlRejected, None, ""),
        ({"sql": ""}, SqlRejected, None, ""),
        ({"entity_key": "account_id"}, DefinitionInvalid, "entity_key", "does not give the entity key"),
        ({"name": "Cust Balance"}, DefinitionInvalid, "name", "not a name"),
        ({"title": "  "}, DefinitionInvalid, "title", "title"),
        ({"title": "x" * 121}, DefinitionInvalid, "title", "120"),
        ({"domain": "x" * 41}, DefinitionInvalid, "domain", "40"),
        ({"features": [FeatureSpec("no_such", "numeric")]}, DefinitionInvalid, "features", "no_such"),
        (
            {"features": [FeatureSpec("customer_id", "category")]},
            DefinitionInvalid,
            "features",
            "customer_id",
        ),
        ({"features": [FeatureSpec("grade", "numeric")]}, DefinitionInvalid, "features", "CAST"),
        ({"sql": "SELECT customer_id FROM balances"}, DefinitionInvalid, "sql", "one feature"),
        ({"sql": "SELECT customer_id, balance AS target FROM balances"}, DefinitionInvalid, "sql", "target"),
        (
            {"sql": "SELECT customer_id, CAST('2024-01-01' AS TIMESTAMP) AS t FROM balances"},
            DefinitionInvalid,
            "sql",
            "CAST",
        ),
        ({"sql": "SELECT customer_id, balance AS x, balance AS x FROM balances"}, GijunError, None, "x"),
    ],
)
def test_what_cannot_be_published_says_why(
    store: OfflineStore, changes: dict[str, Any], error: type[GijunError], field: str | None, words: str
) -> None:
    with pytest.raises(error) as caught:
        publish(store, **changes)
    assert words.lower() in caught.value.message.lower()
    if field:
        assert caught.value.field == field
    assert not FeatureSet.objects.exists()


@pytest.mark.parametrize("role", ["viewer", "reviewer", "operator", "admin"])
def test_publishing_needs_a_data_scientist(store: OfflineStore, role: str) -> None:
    with pytest.raises(AccessDenied, match="data_scientist"):
        publish(store, actor=make_user(role))


def test_another_entity_is_another_name(store: OfflineStore) -> None:
    publish(store)
    with pytest.raises(DefinitionInvalid, match="another name"):
        publish(store, entity="account")


@pytest.mark.database
def test_database_holds_one_current_version() -> None:
    make_feature_set()
    with pytest.raises(IntegrityError), transaction.atomic():
        make_feature_set(is_current=True, version=1)
    old = make_feature_set(is_current=False)
    with pytest.raises(IntegrityError), transaction.atomic():
        FeatureSet.objects.filter(pk=old.pk).update(is_current=True)


@pytest.mark.database
def test_a_month_done_again_replaces_its_record() -> None:
    feature_set = make_feature_set()
    profile = {"feature": "bal_avg_3m", "rows": 10, "missing": 1, "distinct": 9, "mean": 2.0, "psi": None}
    month = {"base_ym": "202606", "rows": 10, "table_version": 1, "profiles": [profile]}
    record_materialisation(feature_set=feature_set, months=[month])
    again = {**month, "rows": 12, "table_version": 2, "profiles": [{**profile, "psi": 0.2, "rows": 12}]}
    record_materialisation(feature_set=feature_set, months=[again])

    row = Materialisation.objects.get()
    assert (row.rows, row.table_version) == (12, 2)
    assert FeatureProfile.objects.get().psi == 0.2
    assert Materialisation.objects.of(feature_set).months() == ["202606"]


def test_a_profile_of_an_unknown_column_is_left_out() -> None:
    feature_set = make_feature_set()
    month = {
        "base_ym": "202606",
        "rows": 1,
        "table_version": 0,
        "profiles": [{"feature": "gone", "rows": 1, "missing": 0}],
    }
    record_materialisation(feature_set=feature_set, months=[month])
    assert not FeatureProfile.objects.exists()


def test_pinned_takes_exact_versions() -> None:
    first = make_feature_set()
    make_feature_set()
    assert list(FeatureSet.objects.pinned({("cust_balance", 1), ("nowhere", 3)})) == [first]
    assert not FeatureSet.objects.pinned(set())
