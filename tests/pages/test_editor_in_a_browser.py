"""The editor as a person meets it: typing, checks, a preview, and a query that is stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from apps.features.models import EngineQuery, FeatureSet
from mlopslib.offline import open_store
from tests.pages.test_in_a_browser import WCAG, browser, open_page

__all__ = ["browser", "open_page"]

pytestmark = pytest.mark.browser

SQL = """SELECT customer_id, AVG(balance) AS bal_avg
  FROM balances
 WHERE ym BETWEEN '{bf_2m_ym}' AND '{base_ym}'
 GROUP BY customer_id"""
#: some billions of pairs: it runs until it is stopped
SLOW = """SELECT a.n AS customer_id, SUM(b.n * c.n) AS x
  FROM many a JOIN many b ON a.n <> b.n JOIN many c ON c.n <> b.n
 GROUP BY a.n"""


@pytest.fixture
def store(tmp_path, settings):
    settings.OFFLINE_URL = f"delta://{tmp_path / 'offline'}"
    opened = open_store(settings.OFFLINE_URL)
    months = ["202602", "202603", "202604"] * 2
    opened.create_table(
        "balances",
        pa.table({"customer_id": ["C1"] * 3 + ["C2"] * 3, "ym": months, "balance": [1.0, 2, 3, 4, 5, 6]}),
    )
    opened.create_table("many", pa.table({"n": list(range(20_000))}))
    return opened


def fill(page: Page, **values: str) -> None:
    given = {"name": "cust_bal", "title": "Balances", "entity": "customer", "entity_key": "customer_id"}
    for name, value in {**given, **values}.items():
        page.locator(f"#id_{name}").fill(value)


def test_a_fault_is_shown_at_its_line_and_goes_when_it_is_mended(open_page: Callable[..., Page], store: Any):
    page = open_page()
    page.goto("/features/new/")
    fill(page, sql=SQL.replace("{base_ym}", "{bas_ym}"))
    fault = page.locator("#check li.error")
    expect(fault).to_contain_text("did you mean {base_ym}?")
    expect(page.locator(".sql-gutter .bad")).to_have_text("3")
    expect(page.locator("[data-band]")).to_be_visible()
    fault.get_by_role("button", name="line 3").click()
    chosen = page.locator("#id_sql").evaluate(
        "area => area.value.slice(area.selectionStart, area.selectionEnd)"
    )
    assert chosen.startswith(" WHERE ym")
    page.locator("#id_sql").fill(SQL)
    expect(page.get_by_text("Nothing is wrong with this query.")).to_be_visible()
    expect(page.locator("[data-band]")).to_be_hidden()
    words = page.get_by_label("Description of bal_avg")
    words.fill("Mean of 3 months")
    page.locator("#id_sql").press("End")
    page.locator("#id_sql").type(" ")
    page.wait_for_timeout(900)
    expect(page.get_by_label("Description of bal_avg")).to_have_value("Mean of 3 months")
    assert page.problems == []


def test_keys_of_the_editor_and_names_that_a_click_inserts(open_page: Callable[..., Page], store: Any):
    page = open_page()
    page.goto("/features/new/")
    area = page.locator("#id_sql")
    area.click()
    page.keyboard.type("SELECT 1")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("FROM t")
    page.keyboard.press("Enter")
    page.keyboard.type("x")
    expect(area).to_have_value("SELECT 1\n  FROM t\n  x")
    page.keyboard.press("Shift+Tab")
    expect(area).to_have_value("SELECT 1\n  FROM t\nx")
    page.locator("[data-insert='{base_dt}']").click()
    page.locator("[data-table=balances] summary code").click()
    page.locator(".table-columns [data-insert=balance]").click()
    assert area.input_value().count("{base_dt}") == 1
    assert "balance" in area.input_value()
    area.focus()
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(area).not_to_be_focused()
    assert page.problems == []


def test_a_preview_by_keyboard_and_a_slow_one_that_is_cancelled(
    open_page: Callable[..., Page], store: Any, settings: Any
):
    settings.PREVIEW_SECONDS = 120
    page = open_page()
    page.goto("/features/new/")
    fill(page, sql=SQL)
    page.locator("#base_ym").fill("2026-04")
    page.locator("#id_sql").press("Control+Enter")
    expect(page.locator("#preview")).to_contain_text("names each of 2 rows once")
    fill(page, sql=SLOW)
    page.get_by_role("button", name="Preview 20 rows").click()
    running = page.locator("#running")
    expect(running).to_be_visible()
    expect(running.locator("[data-seconds]")).not_to_have_text("0", timeout=10_000)
    assert EngineQuery.objects.filter(state="RUNNING").count() == 1
    running.get_by_role("button", name="Cancel the query").click()
    expect(page.locator("#preview")).to_contain_text("The engine has stopped the query", timeout=20_000)
    expect(running).to_be_hidden()
    assert list(EngineQuery.objects.order_by("started_at").values_list("state", flat=True)) == [
        "DONE",
        "CANCELLED",
    ]
    deadline = time.monotonic() + 5
    while any(thread.name == "offline-query" for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "the engine still works"
        time.sleep(0.05)
    assert page.problems == []


def test_what_was_typed_outlives_a_closed_page_and_a_lost_session(open_page: Callable[..., Page], store: Any):
    page = open_page()
    page.goto("/features/new/")
    fill(page, sql=SQL)
    page.wait_for_timeout(700)
    page.goto("/features/")
    page.goto("/features/new/")
    expect(page.locator("#recover")).to_be_visible()
    page.get_by_role("button", name="Bring it back").click()
    expect(page.locator("#id_sql")).to_have_value(SQL)
    expect(page.locator("#id_title")).to_have_value("Balances")
    page.context.clear_cookies(name="sessionid")
    page.locator("#id_sql").press("End")
    page.locator("#id_sql").type(" ")
    expect(page.locator("#logged-out")).to_be_visible()
    assert page.locator("#id_sql").input_value().startswith("SELECT customer_id")


def test_a_set_is_written_published_and_stands_in_the_catalog(open_page: Callable[..., Page], store: Any):
    page = open_page()
    page.goto("/features/new/")
    fill(page, sql=SQL)
    page.get_by_role("button", name="Save as draft").click()
    expect(page.get_by_role("heading", name="Draft of cust_bal v1")).to_be_visible()
    page.get_by_label("Description of bal_avg").fill("Mean of 3 months")
    page.get_by_role("button", name="Check and publish").click()
    page.wait_for_url("**/features/sets/cust_bal/")
    row = FeatureSet.objects.get(name="cust_bal")
    assert (row.status, row.features.get().description) == ("PUBLISHED", "Mean of 3 months")
    assert page.problems == []


@pytest.mark.parametrize(("width", "scheme"), [(1440, "dark"), (390, "light")])
def test_the_editor_and_the_proof_are_accessible_and_fit(
    width: int,
    scheme: str,
    open_page: Callable[..., Page],
    store: Any,
    bank: Any,
):
    page = open_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    for address in (
        "/features/new/",
        "/features/sets/cust_balance/edit/",
        "/features/sets/cust_balance/proof/",
    ):
        page.goto(address)
        if address == "/features/new/":
            fill(page, sql=SQL.replace("BETWEEN '{bf_2m_ym}' AND", ">="))
            expect(page.locator("#check .timeline")).to_be_visible()
        assert page.problems == [], address
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
        found = Axe().run(page, options=WCAG).response["violations"]
        assert [(item["id"], [node["html"] for node in item["nodes"]]) for item in found] == [], address
