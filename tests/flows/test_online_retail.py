"""The talk's own example on 541,909 real order lines, from a file to a served score."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from tests.flows.conftest import Installation
from tests.flows.retail import PASSWORD
from tests.parts import shared_data

pytestmark = pytest.mark.browser


def post(url: str, body: Any) -> dict[str, Any]:
    request = urllib.request.Request(
        url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def write_products(orders: Path, target: Path) -> None:
    frame = pd.read_parquet(orders, columns=["StockCode", "UnitPrice"])
    prices = frame[frame.UnitPrice > 0].groupby("StockCode").UnitPrice.median()
    prices.rename("typical_price").rename_axis("stock_code").reset_index().to_csv(target, index=False)


def test_orders_become_an_approved_score(
    installation: Installation, visit: Callable[..., Page], tmp_path: Path
) -> None:
    orders = shared_data("online_retail") / "online_retail.parquet"
    products = tmp_path / "products.csv"
    write_products(orders, products)
    assert "541,909" in installation.manage("import_table", "orders", str(orders)).stdout
    installation.manage("import_table", "products", str(products))

    installation.python("tests.flows.retail", "define")
    first = json.loads(installation.python("tests.flows.retail", "train", "201110"))
    assert first["status"] == "SUCCEEDED", first["error"]
    assert first["card"]["train_months"] == ["201102", "201103", "201104", "201105", "201106"]
    assert first["card"]["oot_months"] == ["201108", "201109"]
    assert installation.python("tests.flows.retail", "approve-first") == "LIVE"

    second = json.loads(installation.python("tests.flows.retail", "train", "201111"))
    assert second["status"] == "SUCCEEDED", second["error"]
    url = f"{installation.serving_url}/v1/endpoints/next-month-buyer/score"
    example = json.loads(installation.python("tests.flows.retail", "example"))
    assert post(url, {"requests": example["requests"]})["version"] == "v1"

    page = visit("jihye", PASSWORD)
    page.goto("/reviews/")
    page.get_by_role("link", name=re.compile("v2")).first.click()
    page.get_by_label(re.compile("Note")).fill("The new version may replace it: looked at months and gates.")
    page.get_by_role("button", name=re.compile("Approve and deploy v2")).first.click()
    page.goto("/serving/next-month-buyer/")
    deployed = page.locator("tr", has_text="v2").filter(has_text="Live")
    expect(deployed.first).to_be_visible(timeout=60_000)

    example = json.loads(installation.python("tests.flows.retail", "example"))
    assert example["version"] == "v2"
    answer = post(url, {"requests": example["requests"]})
    assert answer["version"] == "v2"
    assert [row["customId"] for row in answer["responses"]] == [
        row["customId"] for row in example["requests"]
    ]
    for row, expected in zip(answer["responses"], example["scores"], strict=True):
        assert abs(row["score"] - expected) < 1e-9


def test_a_file_that_is_no_table_is_refused_and_leaves_nothing(
    installation: Installation, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 this is not parquet")
    refused = installation.manage("import_table", "broken", str(broken), check=False)
    assert refused.returncode != 0
    assert "broken.parquet" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (installation.home / "offline" / "broken").exists()
