"""What a new query would change: columns, values, and the models that pin the set."""

from __future__ import annotations

from typing import Any

import pytest

from apps.features.models import EngineQuery, FeatureSet
from apps.features.services import DryRun, what_would_change
from mlopslib.definition import Derived
from mlopslib.errors import AccessDenied, DefinitionInvalid
from mlopslib.offline.base import OfflineStore
from tests.factories import make_endpoint, make_model, make_user
from tests.features_app.store import SQL, published

pytestmark = pytest.mark.django_db


def dry_run(store: OfflineStore, sql: str, **given: Any) -> DryRun:
    values = {"name": "cust_balance", "entity_key": "customer_id", "base_ym": "202604"} | given
    return what_would_change(
        actor=values.pop("actor", make_user("data_scientist")), store=store, sql=sql, **values
    )


def test_a_new_name_changes_nothing_for_anybody(small_store: OfflineStore) -> None:
    found = dry_run(small_store, SQL)
    assert (found.before, found.next_version, found.added, found.models) == (
        None,
        1,
        ["bal_avg", "grade"],
        [],
    )


def test_the_same_query_in_other_words_changes_no_value(small_store: OfflineStore) -> None:
    published(small_store)
    found = dry_run(small_store, SQL.lower())
    assert found.is_same_query
    assert (found.added, found.removed, found.retyped) == ([], [], [])
    assert found.values.is_same
    assert found.values.both == 3


def test_columns_and_values_are_held_against_the_current_version(small_store: OfflineStore) -> None:
    published(small_store)
    # C0 leaves; C1 and C2 get the newest balance, not the mean; C2's missing grade becomes a text
    sql = """SELECT b.customer_id, MAX(b.balance) AS bal_avg,
                    MAX(NVL(c.grade, 'none')) AS grade, COUNT(*) AS n
               FROM balances b JOIN customers c ON b.customer_id = c.customer_id
              WHERE b.ym BETWEEN '{bf_2m_ym}' AND '{base_ym}' AND b.customer_id <> 'C0'
              GROUP BY b.customer_id"""
    found = dry_run(small_store, sql)
    assert (found.added, found.removed, found.next_version) == (["n"], [], 2)
    values = found.values
    assert (values.both, values.only_before, values.only_after) == (2, 1, 0)
    assert {item.feature: (item.changed, item.share) for item in values.features} == {
        "bal_avg": (2, 1.0),
        "grade": (1, 0.5),
    }
    query = EngineQuery.objects.get()
    assert (query.kind, query.state) == ("dry_run", "DONE")


def test_numbers_that_differ_by_rounding_alone_are_the_same(small_store: OfflineStore) -> None:
    published(small_store)
    found = dry_run(small_store, SQL.replace("AVG(b.balance)", "AVG(b.balance) * 3 / 3 + 0.1 - 0.1"))
    assert found.values.changed == []
    assert not found.is_same_query


def test_a_retyped_column_is_told_and_compared_as_text(small_store: OfflineStore) -> None:
    published(small_store)
    found = dry_run(small_store, SQL.replace("AVG(b.balance)", "CAST(AVG(b.balance) AS STRING)"))
    assert [(item.name, item.before.split(",")[0], item.after.split(",")[0]) for item in found.retyped] == [
        ("bal_avg", "numeric", "category")
    ]


def test_models_are_not_touched_and_told_what_they_would_lose(small_store: OfflineStore) -> None:
    row = published(small_store)
    model = make_model(feature_sets=[row])
    spec = {**model.definition, "derived": [Derived("twice", "bal_avg * 2").__dict__]}
    type(model).objects.filter(pk=model.pk).update(definition=spec)
    make_endpoint("offers", model=model)
    found = dry_run(small_store, SQL.replace("AS bal_avg", "AS bal_mean"), base_ym="")
    (effect,) = found.models
    assert (effect.name, effect.pins, effect.endpoints) == (model.name, [1], ["offers"])
    assert (effect.lost, effect.derived, effect.would_break) == (["bal_avg"], [("twice", "bal_avg")], True)
    assert (found.removed, found.added) == (["bal_avg"], ["bal_mean"])
    assert found.values is None
    changed = dry_run(small_store, SQL.replace("AVG", "MIN"))
    assert (changed.models[0].would_break, changed.models[0].changed) == (False, ["bal_avg"])
    row.refresh_from_db()
    assert row.is_current
    assert FeatureSet.objects.count() == 1


def test_a_query_that_ends_in_a_semicolon_or_a_comment_is_compared_too(small_store: OfflineStore) -> None:
    published(small_store, sql=f"{SQL} -- the end")
    assert dry_run(small_store, f"WITH a AS (SELECT 1 AS one)\n{SQL} -- done\n;").values.is_same


def test_a_query_that_does_not_work_says_so(small_store: OfflineStore) -> None:
    published(small_store)
    with pytest.raises(DefinitionInvalid, match="entity key"):
        dry_run(small_store, SQL, entity_key="account_id")
    with pytest.raises(AccessDenied):
        dry_run(small_store, SQL, actor=make_user("viewer"))
