"""Facets, tabs and drafts of the catalog; the versions of a set; what a feature's page tells."""

from __future__ import annotations

import json
import re

import pytest

from apps.features.models import Feature, FeatureProfile, FeatureSource, Tag
from mlopslib.definition import FeatureSpec
from tests.factories import make_endpoint, make_feature_set, make_model, make_profiles, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def counts(page: str, facet: str) -> dict[str, str]:
    found = re.findall(
        rf'name="{facet}" value="([^"]*)"[^>]*><span class="word">[^<]*</span><span class="count">([\d,]+)<',
        page,
    )
    return dict(found)


def names(page: str) -> list[str]:
    return re.findall(r'<td class="name">\s*<a class="mono" href="/features/\w+/(\w+)/', page)


def tabs(page: str) -> dict[str, str]:
    nav = re.search(r'<nav class="view-tabs".*?</nav>', page, re.DOTALL).group()
    return dict(re.findall(r">([^<>]+) <span class=\"count\">([\d,]+)<", nav))


@pytest.fixture
def catalog():
    """Three sets of two people in two domains; one of them deprecated, one with a draft beside it."""
    ari, bo = make_user("data_scientist", username="ari"), make_user("data_scientist", username="bo")
    cards = make_feature_set("cards", owner=ari, domain="cards", features=[FeatureSpec("c1", "numeric")])
    cards.tags.set([Tag.objects.create(name="spend"), Tag.objects.create(name="daily")])
    money = make_feature_set("cust_balance", owner=bo, entity="account")
    make_feature_set("old", owner=bo, status="DEPRECATED", features=[FeatureSpec("o1", "category")])
    make_feature_set(
        "cards",
        owner=ari,
        domain="cards",
        features=[FeatureSpec("c2", "numeric")],
        is_current=False,
        status="DRAFT",
    )
    make_profiles(money)
    Feature.objects.filter(name="grade").update(latest_psi=0.3)
    make_model("taker", feature_sets=[money])
    return ari


def test_every_facet_counts_what_there_is(catalog, client_as):
    page = client_as("viewer").get("/features/").content.decode()
    assert counts(page, "domain") == {"deposits": "4", "cards": "2"}
    assert counts(page, "tag") == {"daily": "1", "spend": "1"}
    assert counts(page, "entity") == {"account": "3", "customer": "3"}
    assert counts(page, "owner") == {"bo": "4", "ari": "2"}
    assert counts(page, "drift") == {"stable": "2", "watch": "0", "act": "1", "none": "3"}
    assert counts(page, "freshness") == {"on_schedule": "0", "late": "0", "not_scheduled": "6"}
    assert counts(page, "status") == {"PUBLISHED": "4", "DEPRECATED": "1", "DRAFT": "1"}
    assert counts(page, "dtype") == {"numeric": "4", "category": "2"}


def test_a_facet_counts_under_all_the_other_filters_and_not_under_its_own(catalog, client_as):
    client = client_as("viewer")
    page = client.get("/features/?owner=bo&dtype=numeric&q=balance").content.decode()
    assert names(page) == ["bal_avg_3m", "bal_min_1m"]
    assert counts(page, "dtype") == {"numeric": "2", "category": "1"}
    assert counts(page, "owner") == {"bo": "2"}
    assert counts(page, "drift") == {"stable": "2", "watch": "0", "act": "0"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("tag=spend", ["c1"]),
        ("tag=spend&tag=daily", ["c1"]),
        ("owner=ari", ["c1", "c2"]),
        ("status=DRAFT", ["c2"]),
        ("status=DEPRECATED&dtype=category", ["o1"]),
        ("domain=cards&status=PUBLISHED", ["c1"]),
        ("tab=drifting", ["grade"]),
        ("tab=unused", ["c1", "c2", "o1"]),
        ("tab=late", []),
        ("freshness=not_scheduled&entity=account", ["bal_avg_3m", "bal_min_1m", "grade"]),
        ("drift=none", ["c1", "c2", "o1"]),
        ("drift=act&drift=nonsense", ["bal_avg_3m", "bal_min_1m", "c1", "c2", "grade", "o1"]),
        ("feature_set=old", ["o1"]),
    ],
)
def test_a_filter_finds_these_and_the_range_counts_them(query, found, catalog, client_as, api_as):
    page = client_as("viewer").get(f"/features/?{query}&sort=name").content.decode()
    assert names(page) == found
    shown = f"1–{len(found)} of {len(found)}" if found else "nothing found"
    assert shown in page
    answer = api_as("viewer").get(f"/api/features/?{query}&sort=name")
    if "nonsense" not in query:
        assert [row["name"] for row in answer.json()["results"]] == found


def test_tabs_count_everything_whatever_is_filtered(catalog, client_as):
    whole = {"All": "6", "Mine": "2", "Drifting": "1", "Late": "0", "Unused by any model": "3"}
    client = client_as(catalog)
    assert tabs(client.get("/features/").content.decode()) == whole
    assert tabs(client.get("/features/?q=grade&domain=deposits").content.decode()) == whole
    assert names(client.get("/features/?tab=mine&sort=name").content.decode()) == ["c1", "c2"]


def test_a_search_shows_where_it_matched_and_ranks_by_rest_alike(catalog, client_as, api_as):
    feature = Feature.objects.get(name="c1")
    FeatureSource.objects.create(feature=feature, table="card_txn", column="grade_code")
    page = client_as("viewer").get("/features/?q=grade").content.decode()
    assert names(page)[:2] == ["grade", "c1"]
    assert "<mark>grade</mark></a>" in page
    assert "column: card_txn.<mark>grade</mark>_code" in page
    rows = api_as("viewer").get("/api/features/?q=grade").json()["results"]
    assert [row["name"] for row in rows][:2] == ["grade", "c1"]


def test_a_draft_says_that_it_is_one_and_its_link_leads_to_it(catalog, client_as):
    client = client_as("viewer")
    page = client.get("/features/?status=DRAFT").content.decode()
    assert '<span class="tag info">draft</span>' in page
    assert 'href="/features/cards/c2/?version=2"' in page
    assert "This is a draft" in client.get("/features/cards/c2/?version=2").content.decode()
    assert client.get("/features/cards/c2/").status_code == 404


def test_a_set_that_is_a_draft_only_opens_and_a_deleted_version_does_not(client_as):
    make_feature_set("fresh", is_current=False, status="DRAFT")
    make_feature_set("gone", is_current=False, status="DELETED")
    client = client_as("viewer")
    assert "This is a draft" in client.get("/features/sets/fresh/").content.decode()
    assert client.get("/features/sets/gone/").status_code == 404
    assert client.get("/features/sets/gone/?version=1").status_code == 404
    for number in ("0", "-1", "x", "9" * 30, "²"):
        assert client.get(f"/features/sets/fresh/?version={number}").status_code == 404


def test_a_deprecated_set_says_why_and_what_to_use_instead(client_as):
    make_feature_set("cust_balance")
    make_feature_set(
        "old", status="DEPRECATED", deprecation_reason="tables moved", replaced_by="cust_balance"
    )
    page = client_as("viewer").get("/features/sets/old/").content.decode()
    assert "tables moved" in page
    assert 'href="/features/sets/cust_balance/"' in page


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"proof": "PROVED", "proved_months": 3}, "proved for 3 base months"),
        ({"proof": "PROVED", "proved_months": 1}, "proved for 1 base month<"),
        ({"proof": "LEAK"}, "reads the future"),
        ({}, "not proved"),
    ],
)
def test_the_proof_stands_beside_the_version(fields, words, client_as):
    make_feature_set("cust_balance", **fields)
    client = client_as("viewer")
    assert words in client.get("/features/sets/cust_balance/").content.decode()
    assert words in client.get("/features/cust_balance/grade/").content.decode()


def test_two_versions_are_told_apart_line_by_line_and_column_by_column(client_as):
    kept, gone = FeatureSpec("kept", "numeric"), FeatureSpec("gone", "numeric")
    make_feature_set("s", features=[kept, gone], sql="SELECT id,\n  kept,\n  gone\nFROM t", title="Before")
    specs = [FeatureSpec("kept", "numeric", "said now"), FeatureSpec("new", "category")]
    make_feature_set("s", features=specs, sql="SELECT id,\n  kept,\n  new\nFROM t", title="After")
    client = client_as("viewer")
    page = client.get("/features/sets/s/diff/?a=1&b=2").content.decode()
    lines = re.findall(r'<tr class="(\w+)"><td class="no">(\d*)</td><td class="no">(\d*)</td>', page)
    assert lines == [
        ("same", "1", "1"),
        ("same", "2", "2"),
        ("remove", "3", ""),
        ("add", "", "3"),
        ("same", "4", "4"),
    ]
    assert re.findall(r"<code>(\w+)</code> <span class=\"tag \w+\">(\w+)<", page) == [
        ("kept", "changed"),
        ("new", "added"),
        ("gone", "removed"),
    ]
    assert "Before" in page
    assert "The SQL is the same" in client.get("/features/sets/s/diff/?a=2&b=2").content.decode()
    assert client.get("/features/sets/s/diff/?a=1&b=7").status_code == 404


def test_long_stretches_without_a_change_are_counted_not_shown(client_as):
    lines = [f"  line_{n}," for n in range(40)]
    make_feature_set("s", sql="\n".join(lines))
    make_feature_set("s", sql="\n".join([*lines[:20], "  more,", *lines[20:]]))
    page = client_as("viewer").get("/features/sets/s/diff/").content.decode()
    assert page.count("16 lines without a change") == 2
    assert "line_3," not in page


def chart(page: str, name: str) -> dict:
    figure = re.search(rf'data-chart="{name}".*?<script[^>]*>(.*?)</script>', page, re.DOTALL)
    return json.loads(figure.group(1))


def test_a_month_that_was_not_measured_is_a_gap_and_the_band_is_told(client_as):
    row = make_feature_set("cust_balance")
    make_profiles(row, months=["202511", "202512", "202602"])
    FeatureProfile.objects.exclude(base_ym="202511").update(psi_high=0.0123, psi_q=0.04)
    page = client_as("viewer").get("/features/cust_balance/bal_avg_3m/").content.decode()
    figure = chart(page, "psi")
    line = next(trace for trace in figure["data"] if trace.get("name") == "PSI")
    assert line["x"] == ["2025-11", "2025-12", "2026-01", "2026-02"]
    assert line["y"] == [None, 0.04, None, 0.08]
    assert figure["layout"]["xaxis"]["categoryarray"] == line["x"]
    assert "0.0123" in page
    assert "q-value" in page
    assert chart(page, "mean")["data"][0]["y"] == [1000.0, 1001.0, None, 1002.0]


def test_a_feature_shows_its_quantiles_its_values_and_how_a_program_reads_it(client_as):
    row = make_feature_set("cust_balance")
    make_profiles(row)
    FeatureProfile.objects.filter(base_ym="202606", feature__name="bal_avg_3m").update(
        std=12.5, details={"quantiles": {"0.99": 8100.5, "0.01": 1.25}, "outliers": 0.013}
    )
    FeatureProfile.objects.filter(base_ym="202606", feature__name="grade").update(
        details={"top": [{"value": "GOLD", "count": 5000}]}
    )
    client = client_as("viewer")
    page = client.get("/features/cust_balance/bal_avg_3m/").content.decode()
    assert page.index("1 %") < page.index("99 %")
    assert "8,100.5" in page
    assert "1.3%" in page
    assert "12.50" in page
    assert "FROM fs_cust_balance_v1" in page
    assert f"/api/features/{row.features.get(name='bal_avg_3m').pk}" in page
    page = client.get("/features/cust_balance/grade/").content.decode()
    assert "GOLD" in page
    assert "25.0%" in page


def test_a_feature_names_the_models_with_the_version_they_pin_and_their_endpoints(client_as):
    first = make_feature_set("cust_balance")
    model = make_model("needs", feature_sets=[first])
    make_endpoint("needs-online", model=model)
    make_feature_set("cust_balance")
    page = client_as("viewer").get("/features/cust_balance/bal_avg_3m/").content.decode()
    assert "pins v1" in page
    assert "needs-online</a>" in page


def test_the_catalogs_own_box_takes_the_slash(client_as):
    make_feature_set("cust_balance")
    page = client_as("viewer").get("/features/").content.decode()
    assert re.search(r'<input type="search" id="q"[^>]*data-search', page)
