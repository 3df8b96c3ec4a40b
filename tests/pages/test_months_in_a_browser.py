"""The months grid and the EDA pages in a real browser: they fill up by themselves, fit, and pass axe."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import expect

from apps.features.models import Materialisation
from apps.pipelines.models import PipelineRun, StepRun
from tests.pages.test_eda import explored
from tests.pages.test_in_a_browser import WCAG, browser, open_page

__all__ = ["browser", "open_page"]

pytestmark = pytest.mark.browser

EDA = "/features/sets/cust_balance/eda/"


@pytest.mark.parametrize(("width", "scheme"), [(1440, "dark"), (390, "light")])
def test_months_schedules_and_eda_are_accessible_and_fit(width, scheme, open_page, bank):
    explored(bank.feature_set)
    page = open_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    addresses = ["/runs/months/", "/runs/schedules/", EDA, f"{EDA}?part=correlation"]
    addresses += [f"{EDA}?part=target", f"{EDA}?part=psi"]
    for address in addresses:
        page.goto(address)
        if page.locator("[data-chart]").count():
            expect(page.locator("body[data-charts=ready]")).to_be_attached(timeout=20_000)
        assert page.problems == [], address
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
        found = Axe().run(page, options=WCAG).response["violations"]
        assert [(item["id"], [node["html"] for node in item["nodes"]]) for item in found] == [], address


def test_one_click_fills_the_missing_months_and_the_grid_follows(open_page, bank):
    Materialisation.objects.filter(feature_set__name="cust_txn", base_ym="202605").delete()
    page = open_page()
    page.goto("/runs/months/?set=cust_txn")
    page.get_by_role("button", name="Fill 1 month").dblclick()
    cell = page.locator("#cell-cust_txn-202605")
    expect(cell).to_have_attribute("aria-label", re.compile("cust_txn 2026-05: queued, run "))
    run = PipelineRun.objects.get(pipeline__feature_set__name="cust_txn")
    StepRun.objects.filter(run=run).update(state="RUNNING", lease_until=timezone.now() + timedelta(minutes=5))
    PipelineRun.objects.filter(pk=run.pk).update(status="RUNNING")
    expect(page.locator(".month-grid .cell.running")).to_have_count(1, timeout=8_000)
    Materialisation.objects.create(
        feature_set=run.pipeline.feature_set, base_ym="202605", rows=1_234, table_version=9
    )
    StepRun.objects.filter(run=run).update(state="SUCCEEDED", lease_until=None)
    PipelineRun.objects.filter(pk=run.pk).update(status="SUCCEEDED", finished_at=timezone.now())
    done = f"cust_txn 2026-05: done, 1,234 rows, run {run.pk}"
    expect(cell).to_have_attribute("aria-label", done, timeout=8_000)
    expect(page.locator("#months-live[hx-trigger]")).to_have_count(0)
    assert page.problems == []


def test_the_method_of_the_heatmap_lies_in_the_address(open_page, bank):
    explored(bank.feature_set)
    page = open_page()
    page.goto(f"{EDA}?part=correlation")
    page.get_by_role("link", name="Spearman").click()
    assert page.url.endswith("part=correlation&method=spearman")
    chart = page.locator("[data-chart=correlation]")
    chart.get_by_role("button", name="Table").click()
    expect(
        chart.get_by_role("cell", name="-0.4321").or_(chart.get_by_role("cell", name="−0.4321"))
    ).to_have_count(2)
    assert page.problems == []
