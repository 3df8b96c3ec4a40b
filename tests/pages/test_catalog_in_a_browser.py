"""The catalog's own pages in a real browser: they fit, pass axe, and a view is saved from the list."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from apps.features.models import FeatureProfile, FeatureSource, SavedView, SetSource
from apps.features.saved_views import save_view
from tests.factories import make_feature_set
from tests.pages.test_in_a_browser import WCAG, browser, open_page

__all__ = ["browser", "open_page"]

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_the_catalogs_pages_are_accessible_and_fit(width, scheme, open_page, bank):
    draft = make_feature_set(
        "cust_balance", is_current=False, status="DRAFT", sql="SELECT customer_id,\n  1 AS bal_avg_3m\nFROM t"
    )
    for row in (bank.feature_set, draft):
        for feature in row.features.all():
            FeatureSource.objects.create(feature=feature, table="balances", column="balance")
        SetSource.objects.create(feature_set=row, table="balances", column="ym")
    FeatureProfile.objects.filter(base_ym="202606").update(
        psi_high=0.01, psi_q=0.5, details={"quantiles": {"0.5": 3.0}, "top": [{"value": "A", "count": 9}]}
    )
    save_view(actor=bank.scientist, name="Deposits", query="domain=deposits", is_shared=True)
    page = open_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    for address in (
        "/features/?q=monthly",
        "/features/saved-views/",
        "/features/sets/cust_balance/",
        "/features/sets/cust_balance/diff/?a=1&b=2",
        "/features/sets/cust_balance/lineage/",
        "/features/cust_balance/grade/",
        "/features/breaks/?table=balances&column=balance",
    ):
        page.goto(address)
        if page.locator("[data-chart]").count():
            expect(page.locator("body[data-charts=ready]")).to_be_attached(timeout=20_000)
        assert page.problems == [], address
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
        found = Axe().run(page, options=WCAG).response["violations"]
        assert [(item["id"], [node["html"] for node in item["nodes"]]) for item in found] == [], address


@pytest.mark.parametrize("width", [1440, 390])
def test_what_is_filtered_without_a_new_page_is_what_is_saved(width, open_page, bank):
    page = open_page(viewport={"width": width, "height": 900})
    page.goto("/features/")
    expect(page.get_by_text("Save this view")).to_have_count(0)
    if width < 800:
        page.get_by_role("button", name="Filters").click()
    page.get_by_label("deposits").check()
    expect(page.locator(".chip")).to_have_count(1)
    page.get_by_text("Save this view").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_label("Name", exact=True).fill("Deposits")
    page.get_by_label("Everybody may open it").check()
    page.get_by_role("button", name="Save this view").click()
    expect(page.get_by_text("The view “Deposits” is kept.")).to_be_visible()
    view = SavedView.objects.get()
    assert (view.query, view.is_shared, view.owner) == ("domain=deposits", True, bank.scientist)
    assert page.problems == []


def test_a_box_of_the_lineage_opens_its_page(open_page, bank):
    page = open_page()
    page.goto("/features/sets/cust_balance/lineage/")
    page.locator(".lineage-node.model").click()
    expect(page).to_have_url(page.url.split("/models/")[0] + "/models/loan_needs/")
