"""Lists take the same number of queries, however many rows they show."""

from __future__ import annotations

import pytest

from mlopslib.definition import FeatureSpec
from tests import factories

#: address -> queries, with session, person, roles and the counts of the menu (7 of them)
PINNED = {
    "/": 18,
    "/features/": 18,
    "/features/?q=mean+monthly": 21,
    "/features/?domain=deposits&drift=stable&freshness=not_scheduled&sort=name": 18,
    "/features/sets/cust_balance/": 25,
    "/features/cust_balance/bal_avg_3m/": 16,
    "/features/sets/cust_balance/lineage/": 16,
    "/features/breaks/?table=cust_balance_monthly": 16,
    "/features/sets/": 11,
    "/runs/": 11,
}


@pytest.fixture
def viewer(client_as):
    return client_as("viewer")


def more_rows() -> None:
    for index in range(6):
        specs = [FeatureSpec(f"extra_{index}_{n}", "numeric", "one more") for n in range(4)]
        row = factories.make_feature_set(f"extra_{index}", features=specs)
        factories.make_profiles(row)
        factories.make_run(factories.make_pipeline("materialise", feature_set=row), status="RUNNING")
        model = factories.make_model(f"model_{index}", feature_sets=[row])
        version = factories.make_version(model, stage="champion")
        endpoint = factories.make_endpoint(f"end-{index}", model=model)
        factories.make_worker(factories.make_deployment(endpoint, version=version))
        challenger = factories.make_version(model, stage="challenger")
        factories.make_review(challenger, comparison=factories.make_comparison(challenger))


@pytest.mark.parametrize("address", PINNED)
def test_a_list_takes_a_pinned_number_of_queries(address, bank, viewer, django_assert_num_queries):
    viewer.get(address)
    with django_assert_num_queries(PINNED[address]):
        viewer.get(address)
    more_rows()
    with django_assert_num_queries(PINNED[address]):
        viewer.get(address)


def test_the_progress_of_a_run_is_cheap(bank, viewer, django_assert_max_num_queries):
    with django_assert_max_num_queries(8):
        viewer.get(f"/runs/{bank.running.pk}/progress/")


def test_the_menu_costs_nothing_where_there_is_none(client, db, django_assert_max_num_queries):
    with django_assert_max_num_queries(0):
        client.get("/login/")
