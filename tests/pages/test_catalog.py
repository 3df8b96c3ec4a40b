"""The feature catalog: find, filter, sort, look at one feature, publish a set."""

from __future__ import annotations

import csv
import io
import re
from urllib.parse import quote

import pandas as pd
import pytest
from django.utils import timezone

from apps.features.models import (
    Feature,
    FeatureProfile,
    FeatureSet,
    FeatureSource,
    SavedView,
    SetSource,
    Tag,
)
from apps.features.records import refresh_latest
from mlopslib.definition import FeatureSpec
from mlopslib.offline import open_store
from portal.models import AuditEvent
from tests.factories import make_feature_set, make_profiles

SQL = """select customer_id, avg(balance) as bal_avg, max(grade) as grade
from balances where ym between '{bf_2m_ym}' and '{base_ym}' group by customer_id"""


def names(page: str) -> list[str]:
    return re.findall(r'<a class="mono" href="/features/\w+/(\w+)/"', page)


@pytest.fixture
def store(tmp_path, settings):
    settings.OFFLINE_URL = f"delta://{tmp_path / 'offline'}"
    opened = open_store(settings.OFFLINE_URL)
    frame = pd.DataFrame(
        {"customer_id": ["1", "2"], "ym": ["202601", "202601"], "balance": [1.5, 2.5], "grade": ["A", "B"]}
    )
    opened.save_pandas_to_table(frame, "balances", table_creation=True)
    return opened


def give_psi(name: str, psi: float) -> None:
    FeatureProfile.objects.filter(feature__name=name, base_ym="202606").update(psi=psi)
    refresh_latest(Feature.objects.get(name=name).feature_set)


def test_drift_facet_keeps_one_band_and_counts_all(bank, client_as):
    give_psi("bal_avg_3m", 0.3)
    give_psi("txn_cnt_3m", 0.15)
    for name in ("bal_min_1m", "grade", "txn_amt_3m"):
        give_psi(name, 0.02)
    page = client_as("viewer").get("/features/?drift=act").content.decode()
    assert names(page) == ["bal_avg_3m"]
    counts = re.findall(r'name="drift" value="(\w+)"[^>]*>.*?<span class="count">(\d+)</span>', page)
    assert dict(counts) == {"stable": "3", "watch": "1", "act": "1"}


def test_the_worst_drift_comes_first_and_none_comes_last(bank, client_as):
    give_psi("txn_cnt_3m", 0.4)
    FeatureProfile.objects.filter(feature__name="grade").delete()
    refresh_latest(bank.feature_set)
    client = client_as("viewer")
    found = names(client.get("/features/").content.decode())
    assert found[0] == "txn_cnt_3m"
    assert found[-1] == "grade"
    assert names(client.get("/features/?sort=psi").content.decode())[-1] == "grade"
    by_name = names(client.get("/features/?sort=name").content.decode())
    assert by_name == sorted(by_name)


def test_a_sorted_column_says_so_and_turns_at_the_next_click(bank, client_as):
    client = client_as("viewer")
    page = client.get("/features/?sort=name&q=bal").content.decode()
    assert 'aria-sort="ascending"' in page
    assert "sort=-name" in page
    assert "q=bal" in page


def test_a_name_that_no_filter_knows_changes_nothing(bank, client_as):
    page = client_as("viewer").get("/features/?drift=%27;drop&domain=none&sort=password&page=999")
    assert page.status_code == 200


def test_the_second_page_keeps_the_filter(bank, client_as):
    make_feature_set("wide_set", features=[FeatureSpec(f"wide_{i:03d}", "numeric") for i in range(60)])
    page = client_as("viewer").get("/features/?q=wide&sort=name").content.decode()
    assert "1–50 of 60" in page
    assert re.search(r'rel="next" href="\?[^"]*q=wide[^"]*page=2', page)
    second = client_as("viewer").get("/features/?q=wide&sort=name&page=2").content.decode()
    assert names(second) == [f"wide_{i:03d}" for i in range(50, 60)]


def test_csv_holds_the_current_filter_and_no_formula(bank, client_as):
    Feature.objects.filter(name="bal_avg_3m").update(description="=cmd|' /C calc'!A0")
    response = client_as("viewer").get("/features/?feature_set=cust_balance&dtype=numeric&format=csv")
    rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
    assert {row["feature"] for row in rows} == {"bal_avg_3m", "bal_min_1m"}
    assert next(r for r in rows if r["feature"] == "bal_avg_3m")["description"].startswith("'=")


def test_words_of_people_are_escaped_everywhere(bank, client_as):
    bad = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    Feature.objects.filter(name="bal_avg_3m").update(
        description=bad, deprecated_at=timezone.now(), deprecation_reason=bad
    )
    FeatureSet.objects.filter(name="cust_balance").update(
        title=bad,
        description=bad,
        domain=bad[:40],
        sql=bad,
        status="DEPRECATED",
        deprecation_reason=bad,
        timeless_tables={"t": bad},
        source_tables=[bad],
    )
    bank.feature_set.tags.add(Tag.objects.create(name=bad[9:49]))
    draft = make_feature_set("cust_balance", is_current=False, status="DRAFT", title=bad, sql=bad + bad)
    FeatureSource.objects.create(feature=draft.features.first(), table=bad, column=bad)
    SetSource.objects.create(feature_set=bank.feature_set, table=bad, column=bad)
    SavedView.objects.create(owner=bank.scientist, name=bad[9:69], query="q=x", is_shared=True)
    profile = FeatureProfile.objects.get(feature__name="bal_avg_3m", base_ym="202606")
    profile.histogram = {"labels": [bad, "high"], "shares": [0.4, 0.6], "reference_ym": "202604"}
    profile.details = {"top": [{"value": bad, "count": 3}]}
    profile.save()
    client = client_as(bank.scientist)
    found = quote(bad)
    for address in (
        "/features/",
        f"/features/?q={found}",
        "/features/?q=alert",
        f"/features/?domain={found}&tag={found}&owner={found}&feature_set={found}",
        "/features/sets/",
        "/features/saved-views/",
        "/features/sets/cust_balance/",
        "/features/sets/cust_balance/?version=2",
        "/features/sets/cust_balance/diff/",
        "/features/sets/cust_balance/lineage/",
        "/features/sets/cust_balance/lineage/?version=2",
        "/features/cust_balance/bal_avg_3m/",
        "/features/cust_balance/bal_avg_3m/?version=2",
        "/features/breaks/",
        f"/features/breaks/?table={found}&column={found}",
        "/search/?q=bal",
    ):
        response = client.get(address)
        assert response.status_code == 200, address
        page = response.content.decode()
        assert "<script>alert" not in page, address
        assert "<img" not in page, address


def test_the_sql_is_shown_as_it_runs_for_the_month_asked_for(bank, client_as):
    FeatureSet.objects.filter(name="cust_balance").update(sql=SQL)
    client = client_as("viewer")
    page = client.get("/features/sets/cust_balance/?base_ym=2026-01").content.decode()
    assert "between &#x27;202511&#x27; and &#x27;202601&#x27;" in page
    wrong = client.get("/features/sets/cust_balance/?base_ym=202613").content.decode()
    assert 'aria-invalid="true"' in wrong


def test_an_older_version_says_that_it_is_one(bank, client_as):
    make_feature_set("cust_balance")
    client = client_as("viewer")
    page = client.get("/features/sets/cust_balance/?version=1").content.decode()
    assert "This is v1, an older version" in page
    assert "older version" not in client.get("/features/sets/cust_balance/").content.decode()


def test_a_feature_says_its_band_its_figures_and_who_uses_it(bank, client_as):
    give_psi("bal_avg_3m", 0.31)
    page = client_as("viewer").get("/features/cust_balance/bal_avg_3m/").content.decode()
    assert "act: 0.25 or more" in page
    assert "20,000" in page
    assert "/models/loan_needs/" in page
    assert page.count("data-chart=") == 4


def test_a_model_that_pins_an_older_version_still_counts(bank, client_as):
    make_profiles(make_feature_set("cust_balance"))
    page = client_as("viewer").get("/features/cust_balance/bal_avg_3m/").content.decode()
    assert "/models/loan_needs/" in page


def form(**more: str) -> dict[str, str]:
    values = {"name": "cust_grade", "title": "Grades", "entity": "customer", "entity_key": "customer_id"}
    return {**values, "sql": SQL, "domain": "", "description": "", **more}


def test_publishing_makes_the_set_its_features_and_a_line_in_the_trail(store, client_as):
    response = client_as("data_scientist").post("/features/new/", form(), follow=True)
    assert response.redirect_chain == [("/features/sets/cust_grade/", 302)]
    assert "cust_grade v1 is published with 2 features" in response.content.decode()
    dtypes = dict(Feature.objects.values_list("name", "dtype"))
    assert dtypes == {"bal_avg": "numeric", "grade": "category"}
    assert AuditEvent.objects.filter(action="feature_set.published").count() == 1


@pytest.mark.parametrize(
    ("field", "changes", "words"),
    [
        ("sql", {"sql": "drop table balances"}, "SELECT"),
        ("sql", {"sql": SQL.replace("bf_2m_ym", "bf_2m_yn")}, "bf_2m_y"),
        ("sql", {"sql": SQL.replace("from balances", "from balance")}, "balances"),
        ("sql", {"sql": "   "}, "required"),
        ("entity_key", {"entity_key": "account_id"}, "account_id"),
        ("name", {"name": "Not A Name"}, "lower-case"),
        ("title", {"title": ""}, "required"),
    ],
)
def test_a_refusal_stands_at_the_field_that_is_wrong(field, changes, words, store, client_as):
    response = client_as("data_scientist").post("/features/new/", form(**changes))
    assert response.status_code == 422
    page = response.content.decode()
    error = re.search(rf'id="id_{field}_error">(.*?)</ul>', page, re.DOTALL)
    assert error, page
    assert words in error.group(1)
    assert "Nothing was saved" in page
    assert not FeatureSet.objects.exists()


def test_a_new_version_starts_from_the_current_one(bank, store, client_as):
    page = client_as("data_scientist").get("/features/new/?from=cust_balance").content.decode()
    assert "Publish a new version of cust_balance" in page
    assert 'value="cust_balance"' in page


def test_a_reviewer_cannot_publish(store, client_as):
    assert client_as("reviewer").post("/features/new/", form()).status_code == 403
    assert not FeatureSet.objects.exists()
