"""Search of the catalog: where the words were found decides the order."""

from __future__ import annotations

from typing import Any

import pytest

from apps.features.models import Feature, FeatureSource, Tag
from apps.features.search import hints, search
from mlopslib.definition import FeatureSpec
from tests.factories import make_feature_set, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def names(text: str) -> list[str]:
    return [row.name for row in search(Feature.objects.in_catalog(), text)]


def one(name: str, *, description: str = "", **fields: Any) -> Feature:
    """A feature set of one feature that says nothing of what the tests look for."""
    values = {"title": "Figures", "description": "", "sql": "SELECT 1", "domain": "other"} | fields
    row = make_feature_set(f"set_{name}", features=[FeatureSpec(name, "numeric", description)], **values)
    return row.features.get()


@pytest.fixture
def catalog() -> dict[str, Feature]:
    """One feature for each place where `spend` may be found; made in the wrong order on purpose."""
    person = make_user("data_scientist", username="spender")
    rows = {
        "owner": one("a_owner", owner=person),
        "tag": one("a_tag"),
        "sql": one("a_sql", sql="SELECT id, SUM(spend) AS a_sql FROM t"),
        "title": one("b_title", title="Card spending"),
        "description": one("a_description", description="What people spend"),
        "column": one("a_column"),
        "set": one("zz", description=""),
        "inside": one("card_spend_3m"),
        "prefix": one("spend_3m"),
        "exact": one("spend"),
    }
    rows["tag"].feature_set.tags.add(Tag.objects.create(name="spend-related"))
    FeatureSource.objects.create(feature=rows["column"], table="card_txn", column="spend_amt")
    rows["set"].feature_set.name = "monthly_spend"
    type(rows["set"].feature_set).objects.filter(pk=rows["set"].feature_set_id).update(name="monthly_spend")
    return rows


def test_the_best_place_comes_first(catalog):
    assert names("spend") == [
        "spend",
        "spend_3m",
        "card_spend_3m",
        "zz",
        "a_column",
        "a_description",
        "b_title",
        "a_sql",
        "a_tag",
        "a_owner",
    ]


def test_letter_case_does_not_matter(catalog):
    assert names("SPEND") == names("spend")


def test_every_word_must_be_found_and_the_worst_place_counts(catalog):
    one("card_fee", description="card and spend")
    assert names("card spend") == ["card_spend_3m", "a_column", "b_title", "card_fee"]
    assert names("spend nowhere") == []


def test_a_column_with_its_table_is_found_as_people_write_it(catalog):
    assert names("card_txn.spend_amt") == ["a_column"]
    assert names("other_table.spend_amt") == []


def test_percent_and_underscore_are_letters_not_wildcards(catalog):
    assert names("%") == []
    assert names("d_3") == ["card_spend_3m", "spend_3m"]


def test_a_published_feature_comes_before_a_draft_of_the_same_rank(catalog):
    features = [FeatureSpec("spend_1m", "numeric")]
    make_feature_set("set_drafted", features=features, is_current=False, status="DRAFT", title="x", sql="x")
    assert names("spend_")[:2] == ["spend_3m", "spend_1m"]


def test_deleted_and_older_versions_are_not_found(catalog):
    features = [FeatureSpec("spend_gone", "numeric")]
    make_feature_set("set_gone", features=features, is_current=False, status="DELETED")
    make_feature_set("set_older", features=features)
    make_feature_set("set_older", features=[FeatureSpec("spend_new", "numeric")])
    assert names("spend_gone") == []
    assert names("spend_new") == ["spend_new"]


def test_a_search_of_nothing_changes_nothing(catalog):
    assert len(names("   ")) == len(catalog)


def test_a_hint_says_where_a_row_matched_that_does_not_show_it(catalog):
    found = hints([*catalog.values()], "spend")
    places = {key: found[row.pk].where for key, row in catalog.items() if row.pk in found}
    assert places == {
        "owner": "owner",
        "tag": "tag",
        "sql": "SQL",
        "title": "title",
        "description": "description",
        "column": "column",
        "set": "feature set",
    }
    hint = found[catalog["sql"].pk]
    assert (hint.before, hint.hit, hint.after) == ("SELECT id, SUM(", "spend", ") AS a_sql FROM t")


def test_a_hint_of_a_long_text_shows_what_stands_around_the_word():
    row = one("x", description="a" * 120 + " spend " + "b" * 120)
    hint = hints([row], "spend")[row.pk]
    assert hint.before.startswith("…aaa")
    assert hint.after.endswith("bbb…")
    assert len(hint.before + hint.hit + hint.after) < 90
