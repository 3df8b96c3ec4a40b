"""What only a browser can say: one screen, no error, no violation, no page wider than its window."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.factories import PASSWORD
from tests.parts import chromium

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

_AXE = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}}
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Playwright's loop runs in this thread, and Django would refuse the database beside it
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium(), args=_FLAGS)
        yield found
        found.close()
    os.environ.pop("DJANGO_ALLOW_ASYNC_UNSAFE")


def log_in(browser: Browser, address: str, name: str, *, width: int, theme: str = "light") -> Page:
    context = browser.new_context(
        base_url=address,
        viewport={"width": width, "height": 900},
        color_scheme=theme,
        reduced_motion="reduce",
        timezone_id="Asia/Seoul",
    )
    page = context.new_page()
    page.problems = []
    page.on("console", lambda line: line.type == "error" and page.problems.append(line.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on(
        "request",
        lambda sent: sent.url.startswith((address, "data:", "blob:")) or page.problems.append(sent.url),
    )
    page.goto("/login/")
    page.fill("[name=username]", name)
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(lambda url: "/login/" not in url)
    return page


def check(page: Page) -> None:
    """No violation, no line wider than the window; the flow tests look at every page."""
    expect(page.locator("body[data-charts=ready]")).to_be_attached(timeout=30_000)
    found = Axe().run(page, options=_AXE)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert page.problems == []


def test_the_decision_fits_one_screen(bank, live_server, browser):
    page = log_in(browser, live_server.url, "jihye", width=1440)
    page.goto(bank.review.get_absolute_url())
    check(page)
    for part in (
        page.locator(".verdict"),
        page.locator(".kpis"),
        *(page.locator("[data-chart]").nth(number) for number in range(3)),
        page.get_by_label("Note"),
        page.get_by_role("button", name="Approve and deploy v2"),
    ):
        box = part.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 900


def test_on_a_phone_in_the_dark_the_bar_leads_to_the_note(bank, live_server, browser):
    page = log_in(browser, live_server.url, "jihye", width=390, theme="dark")
    page.goto(bank.review.get_absolute_url())
    check(page)
    bar = page.locator(".decision-bar")
    expect(bar).to_contain_text("3 of 4 gates pass")
    bar.get_by_role("link", name="Decide").click()
    expect(page.get_by_label("Note")).to_be_focused()
    page.get_by_label("Note").fill("looked at it")
    page.get_by_role("button", name="Approve and deploy v2").click()
    expect(page).to_have_url(f"{live_server.url}/serving/loan-needs/")
    expect(page.get_by_text("is being taken over")).to_be_visible()
