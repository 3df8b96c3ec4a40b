"""Loading files as tables through the pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from apps.features.models import FeatureSource, SetSource
from mlopslib.offline import open_store
from portal.models import AuditEvent
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def store(tmp_path: Path, settings: Any) -> Any:
    settings.OFFLINE_URL = f"delta://{tmp_path / 'offline'}"
    return open_store(settings.OFFLINE_URL)


def csv_file(text: str, name: str = "orders.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, text.encode(), content_type="text/csv")


def load(client: Any, name: str, file: SimpleUploadedFile, **more: str) -> Any:
    return client.post(reverse("features:table_import"), {"name": name, "file": file, **more})


def test_a_file_becomes_a_table_that_the_page_shows(store, client_as):
    client = client_as("data_scientist")
    answer = load(client, "orders", csv_file("CustomerID,ym,amount\n1,202401,12.5\n2,202401,\n"))
    assert answer.status_code == 302
    page = client.get(answer.url).content.decode()
    assert "customer_id" in page and "12.5" in page and "NULL" in page
    listed = client.get(reverse("features:tables")).content.decode()
    assert "orders" in listed and "no feature set" in listed
    event = AuditEvent.objects.get(action="table.imported")
    assert (event.object_label, event.data["rows"]) == ("orders", 2)


def test_parquet_keeps_its_types(store, client_as, tmp_path):
    path = tmp_path / "x.parquet"
    pd.DataFrame({"id": [1, 2], "at": pd.to_datetime(["2024-01-01", "2024-02-01"])}).to_parquet(path)
    load(client_as("operator"), "events", SimpleUploadedFile("x.parquet", path.read_bytes()))
    assert [(c.name, c.type) for c in store.describe("events")] == [("id", "bigint"), ("at", "timestamp")]


@pytest.mark.parametrize(
    ("name", "file", "told"),
    [
        ("Orders", csv_file("a,b\n1,2\n"), "is not a name"),
        ("fs_orders_v1", csv_file("a,b\n1,2\n"), "hold the months of feature sets"),
        ("new", csv_file("a,b\n1,2\n"), "is the address of this page"),
        ("orders", csv_file("a,b\n1,2\n", "orders.xlsx"), "load a .parquet or .csv file"),
        ("orders", csv_file("a,a\n1,2\n"), "two columns"),
        ("orders", csv_file("", "orders.csv"), "orders.csv"),
        ("orders", SimpleUploadedFile("../../etc/x.parquet", b"PAR1 no"), "orders.parquet"),
    ],
)
def test_a_file_that_is_no_table_is_refused_and_leaves_nothing(store, client_as, name, file, told):
    answer = load(client_as("data_scientist"), name, file)
    assert answer.status_code == 422
    assert told in answer.content.decode()
    assert store.list_tables() == []


def test_an_existing_table_is_kept_unless_replacing_is_asked_for(store, client_as):
    client = client_as("data_scientist")
    load(client, "orders", csv_file("id,amount\n1,2\n"))
    refused = load(client, "orders", csv_file("id,amount\n1,2\n3,4\n"))
    assert refused.status_code == 422 and "already" in refused.content.decode()
    load(client, "orders", csv_file("id,amount\n1,2\n3,4\n"), replace="on")
    assert store.read_sql("SELECT COUNT(*) AS n FROM orders").to_pylist() == [{"n": 2}]


def test_a_replacement_must_keep_the_columns_that_feature_sets_read(store, client_as):
    client = client_as("data_scientist")
    load(client, "orders", csv_file("id,amount\n1,2\n"))
    feature_set = factories.make_feature_set("cust_app")
    FeatureSource.objects.create(feature=feature_set.features.first(), table="orders", column="amount")
    SetSource.objects.create(feature_set=feature_set, table="orders", column="id")
    refused = load(client, "orders", csv_file("id,total\n1,2\n"), replace="on")
    assert refused.status_code == 422
    assert "amount (cust_app)" in refused.content.decode()
    refused = load(client, "orders", csv_file("amount\n2\n"), replace="on")
    assert refused.status_code == 422 and "id (cust_app)" in refused.content.decode()


def test_a_file_larger_than_a_browser_may_send_is_refused(store, client_as, settings):
    settings.TABLE_UPLOAD_BYTES = 10
    refused = load(client_as("data_scientist"), "orders", csv_file("id,amount\n1,2\n3,4\n"))
    assert refused.status_code == 422 and "manage.py import_table" in refused.content.decode()


def test_a_viewer_may_look_but_not_load(store, client_as):
    client = client_as("viewer")
    assert client.get(reverse("features:tables")).status_code == 200
    assert load(client, "orders", csv_file("a,b\n1,2\n")).status_code == 403
    assert client.get(reverse("features:table", args=["absent"])).status_code == 404


def test_values_come_out_escaped(store, client_as):
    client = client_as("data_scientist")
    load(client, "orders", csv_file("id,note\n1,<script>alert(1)</script>\n"))
    page = client.get(reverse("features:table", args=["orders"])).content.decode()
    assert "<script>alert(1)" not in page and "&lt;script&gt;alert(1)" in page


def test_a_store_that_is_away_is_told_on_the_page(client_as, settings):
    settings.OFFLINE_URL = "impala://nobody@127.0.0.1:1/default?auth=NOSASL"
    answer = client_as("viewer").get(reverse("features:tables"))
    assert answer.status_code == 200
    assert "The offline store does not answer" in answer.content.decode()
