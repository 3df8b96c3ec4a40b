"""What only a browser shows: charts are drawn under the CSP, nothing spills over, axe finds nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.factories import PASSWORD
from tests.parts import chromium

pytestmark = pytest.mark.browser

WCAG = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium()
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # the browser's loop runs in the thread of the rows
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=flags)
        yield opened
        opened.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def open_page(browser: Browser, live_server: Any, bank: Any) -> Iterator[Callable[..., Page]]:
    """A page logged in as the scientist; `page.problems` collects errors and requests to other hosts."""
    contexts = []

    def open_it(**options: Any) -> Page:
        context = browser.new_context(base_url=live_server.url, reduced_motion="reduce", **options)
        contexts.append(context)
        page = context.new_page()
        page.problems = []
        page.on("console", lambda m: m.type == "error" and page.problems.append(m.text))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on(
            "request",
            lambda r: r.url.startswith((live_server.url, "data:")) or page.problems.append(r.url),
        )
        page.goto("/login/")
        page.get_by_label("User name").fill(bank.scientist.username)
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{live_server.url}/", timeout=20_000)
        return page

    yield open_it
    for context in contexts:
        context.close()


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_pages_are_accessible_and_fit(width, scheme, open_page, bank):
    page = open_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    addresses = ["/", "/features/", "/features/cust_balance/bal_avg_3m/", f"/runs/{bank.failed.pk}/"]
    if width > 1000:
        addresses += ["/features/sets/cust_balance/?base_ym=202610", "/features/new/", "/runs/start/"]
    for address in addresses:
        page.goto(address)
        if page.locator("[data-chart]").count():
            expect(page.locator("body[data-charts=ready]")).to_be_attached(timeout=20_000)
        assert page.problems == [], address
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
        found = Axe().run(page, options=WCAG).response["violations"]
        assert [(item["id"], [node["html"] for node in item["nodes"]]) for item in found] == [], address


def test_a_chart_turns_into_its_table_and_follows_the_theme(open_page):
    page = open_page(color_scheme="light")
    page.goto("/features/cust_balance/bal_avg_3m/")
    expect(page.locator("body[data-charts=ready]")).to_be_attached(timeout=20_000)
    chart = page.locator("[data-chart=psi]")
    line = chart.locator("path.js-line").first
    light = line.evaluate("node => getComputedStyle(node).stroke")
    page.get_by_role("button", name="Switch between light and dark").click()
    expect(page.locator("html[data-theme=dark]")).to_be_attached()
    expect(page.locator("body[data-charts=ready]")).to_be_attached()
    assert line.evaluate("node => getComputedStyle(node).stroke") != light
    expect(chart.get_by_role("cell", name="0.0400")).to_be_hidden()
    chart.get_by_role("button", name="Table").click()
    expect(chart.get_by_role("cell", name="0.0400")).to_be_visible()
    with page.expect_download() as download:
        chart.get_by_role("link", name="CSV").click()
    text = download.value.path().read_text(encoding="utf-8-sig")
    assert text.splitlines()[2] == "2026-05,0.04"
    assert page.problems == []


def test_the_catalog_filters_without_a_new_page_and_keeps_the_address(open_page):
    page = open_page()
    page.goto("/features/")
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("txn_cnt")
    # the feature of this name, then the one beside it in the same SQL
    expect(page.locator("#range")).to_have_text("1–2 of 2")
    expect(page.locator("td.name").first).to_contain_text("txn_cnt_3m")
    expect(page.locator("td.name").last).to_contain_text("SQL: ")
    assert page.url.endswith("/features/?q=txn_cnt")
    page.reload()
    expect(page.locator("#q")).to_have_value("txn_cnt")
    page.get_by_role("link", name="Clear all").click()
    page.get_by_label("deposits").check()
    expect(page.get_by_label("deposits")).to_be_checked()
    expect(page.locator(".chip")).to_have_count(1)
    assert page.url.endswith("/features/?domain=deposits")
    assert page.problems == []


def test_a_run_shows_its_end_without_a_reload(open_page, bank):
    page = open_page()
    page.goto(f"/runs/{bank.running.pk}/")
    expect(page.get_by_text("month 2 of 4")).to_be_visible()
    type(bank.running).objects.filter(pk=bank.running.pk).update(status="SUCCEEDED")
    bank.running.steps.update(state="SUCCEEDED", summary="all is well", lease_until=None)
    expect(page.locator("#run-head .pill")).to_have_text("Succeeded", timeout=8_000)
    expect(page.get_by_text("all is well").first).to_be_visible()
    expect(page.locator("#run-live[hx-trigger]")).to_have_count(0)
    assert page.problems == []


def test_the_phone_has_a_menu(open_page):
    page = open_page(viewport={"width": 390, "height": 844})
    page.goto("/features/")
    menu = page.get_by_role("navigation", name="Main")
    expect(menu).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    expect(menu).to_be_visible()
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    expect(page.locator("#facets")).to_be_hidden()
    page.get_by_role("button", name="Filters").click()
    expect(page.locator("#facets")).to_be_visible()
