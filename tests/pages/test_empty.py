"""A list without rows says what would be here and how to make the first one."""

from __future__ import annotations

import pytest

from tests.factories import make_feature_set, make_model

EMPTY = {
    "/features/": ("No features yet", "Publish the first feature set"),
    "/features/sets/": ("No feature sets yet", "Publish the first feature set"),
    "/runs/": ("No runs yet", "Start the first run"),
    "/runs/start/": ("There is no pipeline to run", "Publish a feature set"),
    "/": ("No model is in service yet", "Write the query"),
}


@pytest.mark.parametrize("address", EMPTY)
def test_an_empty_list_says_how_to_make_the_first(address, client_as):
    page = client_as("data_scientist").get(address).content.decode()
    for words in EMPTY[address]:
        assert words in page


def test_an_empty_list_offers_nothing_to_who_may_not(client_as):
    client = client_as("viewer")
    for address in ("/features/", "/features/sets/", "/runs/", "/"):
        page = client.get(address).content.decode()
        assert "/features/new/" not in page, address
        assert "/runs/start/" not in page, address


def test_an_empty_audit_log_says_what_would_be_here(client_as):
    assert "Nothing has happened yet" in client_as("reviewer").get("/audit/").content.decode()


def test_a_search_without_a_hit_says_what_was_searched(bank, client_as):
    client = client_as("viewer")
    assert "Nothing found" in client.get("/search/?q=zzz").content.decode()
    for address in ("/features/?q=zzz", "/features/sets/?q=zzz", "/runs/?q=zzz"):
        page = client.get(address).content.decode()
        assert "matches" in page, address
        assert "Clear filters" in page, address


def test_the_first_steps_mark_what_is_done(client_as):
    make_feature_set()
    make_model()
    page = client_as("data_scientist").get("/").content.decode()
    assert page.count('class="done"') == 2


def test_a_feature_without_a_profile_says_when_it_gets_one(client_as):
    make_feature_set("cust_txn")
    page = client_as("data_scientist").get("/features/cust_txn/txn_cnt_3m/").content.decode()
    assert "Not profiled yet" in page
    assert "/runs/start/?feature_set=cust_txn" in page
