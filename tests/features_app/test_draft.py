"""Drafts: one a name, with whatever a person has written so far."""

from __future__ import annotations

from typing import Any

import pytest

from apps.features.models import FeatureSet, LeakProof
from apps.features.services import discard_draft, publish, save_draft
from apps.features.services.definition import ADDRESS_WORDS
from apps.features.urls import urlpatterns
from apps.models.services.catalog import check_definition
from mlopslib.definition import FeatureSpec, check_identifier
from mlopslib.errors import AccessDenied, Conflict, DefinitionInvalid
from mlopslib.offline.base import OfflineStore
from portal.models import AuditEvent, User
from tests.factories import make_pipeline, make_spec, make_user
from tests.features_app.store import SQL, definition, published

pytestmark = pytest.mark.django_db


def draft(store: OfflineStore, actor: User | None = None, **changes: Any) -> FeatureSet:
    return save_draft(actor=actor or make_user("data_scientist"), store=store, **definition(**changes))


def test_a_draft_knows_its_columns_and_is_not_current(small_store: OfflineStore) -> None:
    row = draft(
        small_store, tags=["Deposits", " deposits ", "month  end"], timeless_tables={"customers": "a list"}
    )
    assert (row.status, row.version, row.is_current) == ("DRAFT", 1, False)
    assert [(f.name, f.dtype) for f in row.features.all()] == [("bal_avg", "numeric"), ("grade", "category")]
    assert [tag.name for tag in row.tags.all()] == ["deposits", "month end"]
    assert row.timeless_tables == {"customers": "a list"}
    assert AuditEvent.objects.get(action="feature_set.draft_saved").actor == row.owner
    assert not FeatureSet.objects.current().exists()


def test_a_draft_keeps_a_query_that_does_not_work(small_store: OfflineStore) -> None:
    spec = FeatureSpec("bal_avg", "numeric", "mean of balances")
    row = draft(small_store, sql="SELEC customer_id FRM", features=[spec])
    assert row.sql == "SELEC customer_id FRM"
    assert [(f.name, f.description) for f in row.features.all()] == [("bal_avg", "mean of balances")]


@pytest.mark.parametrize("name", ["sets", "tables", "editor", "engine", "new"])
def test_a_word_of_the_addresses_is_no_name(small_store: OfflineStore, name: str) -> None:
    with pytest.raises(DefinitionInvalid, match="a word of the catalog's own addresses") as refused:
        draft(small_store, name=name)
    assert refused.value.field == "name"


def test_every_word_of_the_addresses_is_reserved() -> None:
    """`features/<set>/<feature>/` comes last: a set named like a folder before it could not be opened."""
    routes = [str(route.pattern).split("/") for route in urlpatterns]
    folders = {parts[1].replace("-", "_") for parts in routes if len(parts) > 2 and "<" not in parts[1]}
    assert folders <= ADDRESS_WORDS


def test_the_table_of_the_longest_name_can_be_made(small_store: OfflineStore) -> None:
    row = draft(small_store, name="a" * 54)
    row.version = 9_999
    check_identifier(row.to_spec().table)
    with pytest.raises(DefinitionInvalid, match="54 characters at most, this one has 55"):
        draft(small_store, name="a" * 55)


def test_saving_again_changes_the_one_draft(small_store: OfflineStore) -> None:
    first = draft(small_store)
    second = draft(small_store, title="Another title", sql=SQL.replace("AVG", "MIN"))
    assert (second.pk, second.version, second.title) == (first.pk, 1, "Another title")
    assert FeatureSet.objects.count() == 1


def test_a_new_draft_takes_over_what_the_current_version_says(small_store: OfflineStore) -> None:
    published(
        small_store,
        features=[FeatureSpec("bal_avg", "category", "a balance as a code")],
        tags=["deposits"],
        timeless_tables={"customers": "a list"},
    )
    row = draft(small_store)
    assert row.version == 2
    assert [tag.name for tag in row.tags.all()] == ["deposits"]
    assert row.timeless_tables == {"customers": "a list"}
    feature = row.features.get(name="bal_avg")
    assert (feature.dtype, feature.description) == ("category", "a balance as a code")


def test_a_draft_that_somebody_saved_since_is_not_overwritten(small_store: OfflineStore) -> None:
    seen = draft(small_store).updated_at
    newer = draft(small_store, title="Theirs")
    with pytest.raises(Conflict, match="somebody else"):
        draft(small_store, title="Mine", seen_at=seen)
    newer.refresh_from_db()
    assert newer.title == "Theirs"
    assert draft(small_store, title="Mine", seen_at=newer.updated_at).title == "Mine"


def test_an_edited_draft_loses_the_proof_of_its_old_text(small_store: OfflineStore) -> None:
    row = draft(small_store)
    LeakProof.objects.create(feature_set=row, base_ym="202604", outcome="PROVED", sentence="fine")
    FeatureSet.objects.filter(pk=row.pk).update(proof="PROVED", proved_months=1)
    assert draft(small_store, title="Only words change").proof == "PROVED"
    changed = draft(small_store, sql=SQL.replace("AVG", "MIN"))
    assert (changed.proof, changed.proved_months, changed.proofs.count()) == ("UNPROVED", 0, 0)


def test_no_model_can_take_a_draft(small_store: OfflineStore) -> None:
    row = draft(small_store)
    with pytest.raises(DefinitionInvalid, match="is draft"):
        check_definition(make_spec(feature_sets=[row]))


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"name": "Not A Name"}, "name", "lower-case"),
        ({"title": " "}, "title", "title"),
        ({"tags": ["x" * 41]}, "tags", "40"),
        ({"tags": ["a,b"]}, "tags", "comma"),
        ({"timeless_tables": {"customers": " "}}, "timeless_tables", "why customers"),
        ({"sql": "x" * 100_001}, "sql", "100,000"),
        ({"features": [FeatureSpec("n", "money")]}, "features", "money"),
        (
            {"features": [FeatureSpec("n", "numeric"), FeatureSpec("n", "category")]},
            "features",
            "more than once",
        ),
    ],
)
def test_what_cannot_be_a_draft_says_why(
    small_store: OfflineStore, changes: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(DefinitionInvalid, match=words) as caught:
        draft(small_store, **changes)
    assert caught.value.field == field
    assert not FeatureSet.objects.exists()


def test_a_published_name_keeps_its_entity_and_a_draft_may_change_it(small_store: OfflineStore) -> None:
    draft(small_store)
    assert draft(small_store, entity="person").entity == "person"
    published(small_store, name="other")
    with pytest.raises(DefinitionInvalid, match="another name"):
        draft(small_store, name="other", entity="person")


def test_a_discarded_draft_frees_its_name(small_store: OfflineStore) -> None:
    row = draft(small_store)
    discard_draft(actor=make_user("data_scientist"), draft=row)
    assert not FeatureSet.objects.exists()
    assert AuditEvent.objects.filter(
        action="feature_set.draft_discarded", object_label="cust_balance v1"
    ).exists()
    with pytest.raises(Conflict, match="no draft"):
        discard_draft(actor=make_user("data_scientist"), draft=row)
    assert draft(small_store).version == 1


def test_a_discarded_draft_that_runs_refer_to_stays_out_of_sight(small_store: OfflineStore) -> None:
    row = draft(small_store)
    make_pipeline("materialise", feature_set=row)
    discard_draft(actor=make_user("data_scientist"), draft=row)
    row.refresh_from_db()
    assert row.status == "DELETED"
    again = draft(small_store)
    assert publish(actor=make_user("data_scientist"), store=small_store, feature_set=again).version == 2


@pytest.mark.parametrize("role", ["viewer", "reviewer", "operator", "admin"])
def test_drafts_are_written_by_data_scientists(small_store: OfflineStore, role: str) -> None:
    with pytest.raises(AccessDenied):
        draft(small_store, actor=make_user(role))
