"""Each page for each role, without inline code and without what somebody wrote into a name."""

from __future__ import annotations

import re

import pytest

from apps.common.access import Role
from tests import factories

SCRIPT = "<script>alert(1)</script>"
INLINE = re.compile(r"<[^>]+\s(?:style|on[a-z]+)\s*=", re.IGNORECASE)


def addresses(bank) -> list[str]:
    return [
        "/models/",
        "/models/?q=loan",
        "/models/loan_needs/",
        "/models/loan_needs/?features=all",
        "/models/loan_needs/v1/",
        "/models/loan_needs/v2/",
        f"/models/comparisons/{bank.comparison.pk}/",
        "/reviews/",
        "/reviews/?status=PENDING&model=loan_needs",
        f"/reviews/{bank.review.pk}/",
        f"/reviews/{bank.champion.reviews.get().pk}/",
        "/serving/",
        "/serving/loan-needs/",
        "/serving/loan-needs/status/",
    ]


@pytest.mark.parametrize("role", list(Role))
def test_each_page_opens_for_every_role(role, bank, client_as):
    client = client_as(str(role))
    for address in addresses(bank):
        response = client.get(address)
        page = response.content.decode()
        assert response.status_code == 200, address
        assert not INLINE.search(page), address
        assert "{{" not in page and "{%" not in page, address
        if "status/" not in address:
            assert page.count("<h1") == 1, address


def test_nobody_without_a_role_sees_a_page(bank, client_as):
    client = client_as(factories.make_user([]))
    for address in addresses(bank):
        assert client.get(address).status_code == 403, address


def test_pages_speak_korean_without_breaking(bank, client_as):
    client = client_as(bank.reviewer)
    for address in addresses(bank):
        assert client.get(address, headers={"accept-language": "ko"}).status_code == 200, address


@pytest.mark.parametrize(
    "address", ["/models/none/", "/models/loan_needs/v99/", "/reviews/999/", "/serving/none/"]
)
def test_what_is_not_there_is_a_404(address, bank, client_as):
    assert client_as("viewer").get(address).status_code == 404


def test_a_written_script_is_shown_and_never_run(bank, client_as):
    bank.model.title = bank.model.description = SCRIPT
    bank.model.definition["target_sql"] = f"SELECT '{SCRIPT}'"
    bank.model.definition["derived"] = [{"name": "d", "expression": SCRIPT}]
    bank.model.save()
    bank.challenger.definition = bank.model.definition
    bank.challenger.card["importance"] = {SCRIPT: 1.0}
    bank.challenger.save()
    bank.comparison.sentence = SCRIPT
    bank.comparison.report |= {"excluded": {"202511": SCRIPT}}
    bank.comparison.save()
    bank.review.gates = [{"name": SCRIPT, "figure": SCRIPT, "limit": 1, "passed": False, "sentence": SCRIPT}]
    bank.review.save()
    bank.deployment.reason = SCRIPT
    bank.deployment.save()
    bank.author.first_name = SCRIPT[:30]
    bank.author.save()
    client = client_as(bank.reviewer)
    shown = 0
    for address in addresses(bank):
        page = client.get(address).content.decode()
        assert "<script>alert" not in page, address
        shown += page.count("&lt;script&gt;alert")
    assert shown > 10


def test_empty_lists_say_what_would_be_here(db, client_as):
    client = client_as("data_scientist")
    for address, words in {
        "/models/": "No models yet",
        "/reviews/": "No reviews yet",
        "/serving/": "No endpoints yet",
        "/models/?q=nothing": "No models yet",
    }.items():
        assert words in client.get(address).content.decode()


def test_a_search_without_a_hit_offers_to_clear_it(bank, client_as):
    page = client_as("viewer").get("/models/?q=zzz").content.decode()
    assert "No model matches" in page and "Clear filters" in page


#: address -> queries, with session, person, roles and the counts of the menu
PINNED = {"/models/": 13, "/reviews/": 11, "/serving/": 11}


@pytest.mark.parametrize("address", PINNED)
def test_a_list_takes_a_pinned_number_of_queries(address, bank, client_as, django_assert_num_queries):
    client = client_as("viewer")
    with django_assert_num_queries(PINNED[address]):
        client.get(address)
    for index in range(4):
        model = factories.make_model(f"model_{index}", owner=bank.author)
        version = factories.make_version(model, stage="champion")
        endpoint = factories.make_endpoint(f"end-{index}", model=model)
        factories.make_worker(factories.make_deployment(endpoint, version=version))
        challenger = factories.make_version(model)
        factories.make_review(challenger, comparison=factories.make_comparison(challenger))
    with django_assert_num_queries(PINNED[address]):
        client.get(address)


def test_the_status_that_pages_ask_for_every_two_seconds_is_cheap(
    bank, client_as, django_assert_max_num_queries
):
    client = client_as("viewer")
    with django_assert_max_num_queries(7):
        page = client.get("/serving/loan-needs/status/").content.decode()
    assert 'hx-trigger="every 2s"' in page
    assert page.count("data-worker=") == 1
