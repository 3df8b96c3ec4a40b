"""Two real data sets through the pages: load, define, prove, six months, profile, PSI."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from tests.flows.conftest import Installation
from tests.flows.retail import FEATURE_SQL
from tests.flows.test_online_retail import write_products
from tests.parts import shared_data

pytestmark = pytest.mark.browser

PASSWORD = "orders-and-products"

CONTACTS_SQL = """
SELECT client_id, age, job, marital, education, campaign, previous, poutcome, euribor3m, nr_employed,
       CASE WHEN pdays = 999 THEN NULL ELSE pdays END AS days_since_contact
FROM contacts
WHERE ym = '{base_ym}'
"""


@dataclass(frozen=True)
class Definition:
    name: str
    title: str
    entity_key: str
    sql: str
    #: the six months to make
    first: str
    last: str
    proved: tuple[str, ...]
    #: tables without a date, and why that does no harm
    timeless: tuple[tuple[str, str], ...] = ()


RETAIL = Definition(
    name="orders_3m",
    title="Orders of three months",
    entity_key="customer_id",
    sql=FEATURE_SQL,
    first="2011-05",
    last="2011-10",
    proved=("201108", "201109", "201110"),
    timeless=(("products", "a price list that the warehouse does not rewrite"),),
)
BANK = Definition(
    name="contacts_1m",
    title="Clients called in the month",
    entity_key="client_id",
    sql=CONTACTS_SQL,
    first="2009-03",
    last="2009-08",
    proved=("200906", "200907", "200908"),
)


@pytest.fixture(scope="module")
def person(installation: Installation) -> str:
    installation.python("tests.flows.people", PASSWORD)
    return "minseo"


def write_contacts(target: Path) -> None:
    """Every call with its month, which the source tells by the order of the rows alone."""
    folder = shared_data("bank_marketing")
    calls = pd.read_parquet(folder / "bank_additional_full.parquet")
    runs = pd.read_csv(folder / "bank_month_runs.csv", dtype={"ym": str})
    months = pd.Series(index=calls.index, dtype="str")
    for run in runs.itertuples():
        months.iloc[run.first_row : run.last_row + 1] = run.ym
    calls.insert(0, "client_id", range(1, len(calls) + 1))
    calls.insert(1, "ym", months)
    calls.to_parquet(target, index=False)


def load(page: Page, name: str, file: Path, rows: str) -> None:
    page.goto("/features/tables/new/")
    page.get_by_label("Table name").fill(name)
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Load the file").click()
    expect(page.locator("#toasts")).to_contain_text(f"{name} holds {rows} rows now", timeout=60_000)


def define(page: Page, item: Definition) -> None:
    page.goto("/features/new/")
    page.locator("#id_name").fill(item.name)
    page.locator("#id_title").fill(item.title)
    page.locator("#id_entity").fill("customer")
    page.locator("#id_entity_key").fill(item.entity_key)
    page.locator("#id_sql").fill(item.sql)
    expect(page.locator("#check")).to_contain_text("Dates that each source reads", timeout=30_000)
    for table, reason in item.timeless:
        page.locator(f"#timeless-{table}").fill(reason)
    page.locator("#id_sql").press("Control+Enter")
    expect(page.locator("#preview")).to_contain_text(re.compile("names each of|gives no row"), timeout=60_000)
    page.get_by_role("button", name="Check and publish").click()
    expect(page).to_have_url(re.compile(f"/features/sets/{item.name}/$"), timeout=30_000)


def prove(page: Page, item: Definition) -> None:
    page.goto(f"/features/sets/{item.name}/proof/")
    page.get_by_label("Base months").fill(", ".join(item.proved))
    page.get_by_role("button", name="Prove for these months").click()
    wait_for_run(page)
    page.goto(f"/features/sets/{item.name}/proof/")
    expect(page.locator(".proof-verdict")).to_contain_text(f"Proved for {len(item.proved)} base months")


def make_months(page: Page, item: Definition) -> None:
    page.goto(f"/runs/months/?to={item.last.replace('-', '')}&n=12")
    page.get_by_label("Feature set", exact=True).last.select_option(item.name)
    page.get_by_label("First month").fill(item.first)
    page.get_by_label("Last month").fill(item.last)
    page.locator("#fill-again").check()
    page.get_by_role("button", name=re.compile("Start, the oldest month first")).click()
    row = page.locator("tr", has_text=item.name)
    expect(row.locator(".cell.done")).to_have_count(6, timeout=120_000)


def explore(page: Page, item: Definition) -> None:
    page.goto(f"/features/sets/{item.name}/eda/")
    page.get_by_role("button", name="Make the report").first.click()
    wait_for_run(page)
    page.goto(f"/features/sets/{item.name}/eda/")
    expect(page.locator("#content")).to_contain_text("Every feature")


def wait_for_run(page: Page) -> None:
    """Where the page of the run came up, until the run has succeeded."""
    page.wait_for_url(re.compile(r"/runs/\d+/$"), timeout=30_000)
    expect(page.locator(".page-head")).to_contain_text("Succeeded", timeout=120_000)


def psi_of(page: Page, item: Definition, feature: str) -> None:
    """The last of six months has a PSI against the first, with its noise beside it."""
    page.goto(f"/features/{item.name}/{feature}/")
    kpis = page.locator(".kpis")
    expect(kpis).to_contain_text(f"PSI, {item.last}")
    assert re.search(r"\d\.\d{3}", kpis.inner_text())
    expect(page.locator(".chart").first).to_be_visible()


def test_orders_of_a_shop(
    installation: Installation, visit: Callable[..., Page], person: str, tmp_path: Path
) -> None:
    orders = shared_data("online_retail") / "online_retail.parquet"
    write_products(orders, tmp_path / "products.csv")
    page = visit(person, PASSWORD)
    load(page, "orders", orders, "541,909")
    load(page, "products", tmp_path / "products.csv", "3,938")
    define(page, RETAIL)
    make_months(page, RETAIL)
    prove(page, RETAIL)
    explore(page, RETAIL)
    psi_of(page, RETAIL, "amount_3m")


def test_calls_of_a_bank(
    installation: Installation, visit: Callable[..., Page], person: str, tmp_path: Path
) -> None:
    write_contacts(tmp_path / "contacts.parquet")
    page = visit(person, PASSWORD)
    load(page, "contacts", tmp_path / "contacts.parquet", "41,188")
    define(page, BANK)
    make_months(page, BANK)
    prove(page, BANK)
    explore(page, BANK)
    psi_of(page, BANK, "euribor3m")
