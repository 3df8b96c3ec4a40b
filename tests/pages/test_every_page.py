"""Each page for each role: it opens or it says who may open it, and it keeps the strict CSP."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from apps.common.access import ACTIONS, Role
from tests.factories import make_user

#: address -> the action that it needs
PAGES = {
    "/": "view",
    "/features/": "view",
    "/features/?drift=watch&domain=deposits&q=bal&sort=-psi": "view",
    "/features/?tab=unused&tag=none&owner=minseo&freshness=late&status=DRAFT&dtype=numeric": "view",
    "/features/saved-views/": "view",
    "/features/breaks/": "view",
    "/features/breaks/?table=cust_balance_monthly&column=ym": "view",
    "/features/sets/": "view",
    "/features/sets/cust_balance/lineage/": "view",
    "/features/sets/cust_balance/diff/": "view",
    "/features/sets/cust_balance/": "view",
    "/features/sets/cust_balance/?base_ym=202610": "view",
    "/features/cust_balance/bal_avg_3m/": "view",
    "/features/cust_balance/grade/": "view",
    "/features/new/": "features.create",
    "/runs/": "view",
    "/runs/?status=FAILED&template=training&model=loan_needs": "view",
    "/runs/start/": "runs.start",
    "/runs/months/": "view",
    "/runs/months/?set=cust_balance&n=24": "view",
    "/runs/schedules/": "view",
    "/features/sets/cust_balance/eda/": "view",
    "/features/sets/cust_balance/eda/?part=psi": "view",
    "/search/?q=bal": "view",
    "/search/": "view",
    "/audit/": "audit.view",
}


class _Inline(HTMLParser):
    """Everything in a page that the CSP would refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "style" or "style" in given or any(name.startswith("on") for name in given):
            self.found.append(self.get_starttag_text() or tag)
        if tag == "script" and not (given.get("src") or given.get("type") == "application/json"):
            self.found.append(self.get_starttag_text() or tag)
        for name in ("src", "href", "action"):
            if re.match(r"(https?:)?//", given.get(name) or ""):
                self.found.append(self.get_starttag_text() or tag)


@pytest.mark.parametrize("role", list(Role))
def test_each_page_opens_for_the_roles_that_may(role, bank, client_as):
    client = client_as(str(role))
    runs = {f"/runs/{run.pk}/": "view" for run in (bank.done, bank.running, bank.failed)}
    for address, action in {**PAGES, **runs}.items():
        response = client.get(address)
        expected = 200 if role in ACTIONS[action] else 403
        assert response.status_code == expected, (address, role)
        page = response.content.decode()
        looked = _Inline()
        looked.feed(page)
        assert looked.found == [], address
        assert page.count("<h1") == 1, address
        assert "{{" not in page
        assert "{%" not in page


def test_a_person_without_a_role_sees_nothing(bank, client_as):
    client = client_as(make_user([]))
    for address in PAGES:
        assert client.get(address).status_code == 403, address


def test_a_stranger_is_sent_to_the_log_in(bank, client):
    for address in [*PAGES, f"/runs/{bank.done.pk}/", f"/runs/{bank.done.pk}/progress/"]:
        response = client.get(address)
        assert response.status_code == 302, address
        assert response["Location"].startswith("/login/"), address


def test_pages_carry_the_strict_policy(bank, client_as):
    response = client_as("viewer").get("/features/cust_balance/bal_avg_3m/")
    policy = response["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy


def test_only_a_page_with_charts_loads_plotly(bank, client_as):
    client = client_as("viewer")
    assert b"plotly.min.js" in client.get("/features/cust_balance/bal_avg_3m/").content
    assert b"plotly.min.js" not in client.get("/features/").content


def test_an_unknown_address_is_a_page_of_ours(bank, client_as, client):
    for who in (client_as("viewer"), client):
        response = who.get("/no-such-thing/")
        assert response.status_code in {302, 404}
    response = client_as("viewer").get("/no-such-thing/")
    assert "There is nothing at this address" in response.content.decode()
    assert client_as("viewer").get("/features/sets/none/").status_code == 404
    assert client_as("viewer").get("/features/sets/cust_balance/?version=9").status_code == 404


def test_the_error_page_stands_without_anything(client):
    from portal.views import server_error

    page = server_error(client.get("/login/").wsgi_request).content.decode()
    assert "Something broke on our side" in page


def test_back_never_leads_to_another_site(bank, client_as):
    page = client_as("viewer").get("/audit/", HTTP_REFERER="https://evil.example/features/").content.decode()
    assert "evil" not in page
    assert 'href="/features/"' in page
