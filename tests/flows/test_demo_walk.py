"""The demo as a reviewer walks it: home, review, approval, deployment, served score."""

from __future__ import annotations

import base64
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.flows.conftest import Installation

pytestmark = pytest.mark.browser

_AXE = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}}


@pytest.fixture(scope="module")
def bank(installation: Installation) -> Installation:
    installation.manage("setup_demo", "--customers", "4000", "--last-ym", "202512")
    installation.manage("demo_guide", "--portal-url", installation.portal_url)
    return installation


def score(bank: Installation) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{bank.serving_url}/v1/endpoints/loan-needs/score",
        data=(bank.home / "demo_request.json").read_bytes(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def pending_review(page: Page) -> str:
    page.goto("/reviews/")
    return page.get_by_role("link", name=re.compile("v2")).first.get_attribute("href") or ""


def test_the_author_finds_no_way_to_approve(bank: Installation, visit: Callable[..., Page]) -> None:
    page = visit("minseo", bank.passwords()["minseo"])
    review = pending_review(page)
    page.goto(review)
    expect(page.get_by_role("button", name=re.compile("Approve"))).to_have_count(0)
    number = review.strip("/").split("/")[-1]
    token = base64.b64encode(f"minseo:{bank.passwords()['minseo']}".encode()).decode()
    request = urllib.request.Request(
        f"{bank.portal_url}/api/reviews/{number}/approve/",
        data=b'{"note": "mine is fine"}',
        headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code == 403
    assert score(bank)["version"] == "v1"


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_are_accessible_and_fit(
    bank: Installation, visit: Callable[..., Page], width: int, theme: str
) -> None:
    page = visit("jihye", bank.passwords()["jihye"], width=width)
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    review = pending_review(page)
    page.goto("/runs/")
    run = page.locator("table a[href^='/runs/']").first.get_attribute("href") or ""
    lists = ("/", "/features/", "/models/", "/runs/", "/reviews/", "/serving/", "/audit/")
    for path in (
        *lists,
        "/features/sets/cust_txn/",
        "/models/loan_needs/",
        run,
        review,
        "/serving/loan-needs/",
    ):
        page.goto(path)
        found = Axe().run(page, options=_AXE)
        assert found.violations_count == 0, f"{path}: {found.generate_report()}"
        too_wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert too_wide <= 0, f"{path} is {too_wide} px wider than the window"


def test_a_reviewer_approves_and_the_new_version_answers(
    bank: Installation, visit: Callable[..., Page]
) -> None:
    assert score(bank)["version"] == "v1"
    page = visit("jihye", bank.passwords()["jihye"])
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("1 review waits for you"))
    page.get_by_role("link", name=re.compile("v2")).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("v2")
    for title in ("Out-of-time AUC", "Score PSI", "Lift by decile"):
        expect(page.get_by_text(title).first).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_have_count(3)
    page.get_by_label(re.compile("Note")).fill(
        "Better or not worse on the fair months; drift explained by the season."
    )
    page.get_by_role("button", name=re.compile("Approve and deploy v2")).first.click()
    page.goto("/serving/loan-needs/")
    expect(page.get_by_text("LIVE").first).to_be_visible(timeout=30_000)
    rows = page.locator("[data-worker]")
    expect(rows).to_have_count(2)
    for number in range(2):
        expect(rows.nth(number)).to_contain_text("v2")
    answer = score(bank)
    assert answer["version"] == "v2"
    assert all(0 < row["score"] < 1 and row["affiNo"] for row in answer["responses"])
