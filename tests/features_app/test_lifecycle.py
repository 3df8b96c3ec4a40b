"""From draft to published, and on to deprecated or deleted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from apps.features.models import FeatureSet, FeatureSource
from apps.features.services import (
    create_feature_set,
    delete,
    deprecate,
    deprecate_feature,
    publish,
    restore,
    save_draft,
    uses_of,
)
from apps.pipelines.models import Schedule
from mlopslib.errors import AccessDenied, Conflict, DefinitionInvalid, GijunError, InvalidInput
from mlopslib.offline.base import OfflineStore
from portal.models import AuditEvent, User
from tests.factories import make_endpoint, make_model, make_pipeline, make_user, make_version
from tests.features_app.store import SQL, definition, published

pytestmark = pytest.mark.django_db

OPEN = "SELECT customer_id, SUM(balance) AS bal FROM balances WHERE ym >= '{bf_2m_ym}' GROUP BY customer_id"
LEAK = OPEN.replace(">= '{bf_2m_ym}'", "<= '{af_1m_ym}'")


@pytest.fixture
def scientist() -> User:
    return make_user("data_scientist")


# publishing ---------------------------------------------------------------------------------------


def test_a_published_draft_is_current_and_knows_where_it_comes_from(
    small_store: OfflineStore, scientist: User
) -> None:
    draft = save_draft(actor=scientist, store=small_store, **definition())
    other = make_user("data_scientist")
    row = publish(actor=other, store=small_store, feature_set=draft)
    assert (row.status, row.is_current, row.version) == ("PUBLISHED", True, 1)
    assert row.published_at is not None
    assert len(row.sql_fingerprint) == 64
    found = set(FeatureSource.objects.values_list("feature__name", "table", "column"))
    assert found == {("bal_avg", "balances", "balance"), ("grade", "customers", "grade")}
    assert AuditEvent.objects.get(action="feature_set.published").actor == other
    assert row.owner == scientist


def test_a_query_that_does_not_work_stays_a_draft(small_store: OfflineStore, scientist: User) -> None:
    draft = save_draft(
        actor=scientist, store=small_store, **definition(sql=SQL.replace("balances", "balance"))
    )
    with pytest.raises(GijunError, match="balances"):
        publish(actor=scientist, store=small_store, feature_set=draft)
    draft.refresh_from_db()
    assert draft.status == "DRAFT"


def test_what_reads_the_future_is_not_published(small_store: OfflineStore) -> None:
    with pytest.raises(DefinitionInvalid, match="base date") as caught:
        published(small_store, sql=LEAK, acknowledge="I know")
    assert caught.value.field == "sql"
    assert not FeatureSet.objects.exists()


def test_an_open_end_needs_a_reason_that_the_trail_keeps(small_store: OfflineStore) -> None:
    with pytest.raises(DefinitionInvalid, match="without an end date") as caught:
        published(small_store, sql=OPEN)
    assert caught.value.field == "acknowledge"
    published(small_store, sql=OPEN, acknowledge="balances is cut at the base month  by its view")
    told = AuditEvent.objects.get(action="feature_set.published").data
    assert told["acknowledged"] == "balances is cut at the base month by its view"
    assert told["doubtful"] == ["balances"]


def test_a_timeless_table_needs_no_end(small_store: OfflineStore) -> None:
    row = published(small_store, sql=OPEN, timeless_tables={"balances": "a snapshot", "unread": "not used"})
    assert row.timeless_tables == {"balances": "a snapshot"}
    assert "acknowledged" not in AuditEvent.objects.get(action="feature_set.published").data


def test_publishing_twice_is_a_conflict(small_store: OfflineStore, scientist: User) -> None:
    draft = save_draft(actor=scientist, store=small_store, **definition())
    again = FeatureSet.objects.get(pk=draft.pk)
    publish(actor=scientist, store=small_store, feature_set=draft)
    with pytest.raises(Conflict, match="changed or published"):
        publish(actor=scientist, store=small_store, feature_set=again)
    with pytest.raises(Conflict, match="already"):
        publish(actor=scientist, store=small_store, feature_set=FeatureSet.objects.get())


def test_a_draft_that_was_saved_since_is_not_published_unseen(
    small_store: OfflineStore, scientist: User
) -> None:
    seen = save_draft(actor=scientist, store=small_store, **definition())
    save_draft(actor=scientist, store=small_store, **definition(title="Theirs"))
    with pytest.raises(Conflict, match="look at it again"):
        publish(actor=scientist, store=small_store, feature_set=seen)


def test_a_draft_is_in_the_way_of_publishing_its_name_in_one(
    small_store: OfflineStore, scientist: User
) -> None:
    draft = save_draft(actor=scientist, store=small_store, **definition())
    with pytest.raises(Conflict, match=scientist.username):
        create_feature_set(actor=make_user("data_scientist"), store=small_store, **definition())
    row = create_feature_set(
        actor=scientist, store=small_store, **definition(title="Seen"), seen_at=draft.updated_at
    )
    assert (row.pk, row.status, row.title) == (draft.pk, "PUBLISHED", "Seen")


@pytest.mark.parametrize(("field", "value"), [("sql", "SELECT 1"), ("entity_key", "x"), ("version", 9)])
def test_a_published_version_never_changes(small_store: OfflineStore, field: str, value: object) -> None:
    row = FeatureSet.objects.get(pk=published(small_store).pk)
    setattr(row, field, value)
    with pytest.raises(Conflict, match=field):
        row.save()
    row.refresh_from_db()
    row.status = "DRAFT"
    with pytest.raises(Conflict, match="never changes"):
        row.save()


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_of_two_who_publish_a_draft_at_once_one_wins(small_store: OfflineStore) -> None:
    people = [make_user("data_scientist") for _ in range(2)]
    draft = save_draft(actor=people[0], store=small_store, **definition())
    barrier = Barrier(2)

    def go(actor: User) -> str:
        try:
            mine = FeatureSet.objects.get(pk=draft.pk)
            barrier.wait()
            return publish(actor=actor, store=small_store, feature_set=mine).status
        except Conflict:
            return "conflict"
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(go, people)) == ["PUBLISHED", "conflict"]
    assert FeatureSet.objects.filter(is_current=True).count() == 1
    assert AuditEvent.objects.filter(action="feature_set.published").count() == 1


# deprecation --------------------------------------------------------------------------------------


def test_a_deprecated_set_says_why_and_what_instead_and_can_be_taken_back(
    small_store: OfflineStore, scientist: User
) -> None:
    row, instead = published(small_store), published(small_store, name="cust_daily")
    row = deprecate(actor=scientist, feature_set=row, reason=" ends in  May ", replaced_by="cust_daily")
    assert (row.status, row.deprecation_reason, row.replaced_by) == (
        "DEPRECATED",
        "ends in May",
        instead.name,
    )
    assert row.is_current
    with pytest.raises(Conflict, match="cannot be deprecated"):
        deprecate(actor=scientist, feature_set=row, reason="again")
    row = restore(actor=scientist, feature_set=row)
    assert (row.status, row.deprecation_reason, row.deprecated_at) == ("PUBLISHED", "", None)
    with pytest.raises(Conflict, match="cannot be restored"):
        restore(actor=scientist, feature_set=row)
    actions = AuditEvent.objects.filter(action__in=["feature_set.deprecated", "feature_set.restored"])
    assert actions.count() == 2


@pytest.mark.parametrize(
    ("given", "error", "field"),
    [
        ({"reason": "  "}, InvalidInput, "reason"),
        ({"reason": "x" * 301}, InvalidInput, "reason"),
        ({"reason": "old", "replaced_by": "nowhere"}, DefinitionInvalid, "replaced_by"),
        ({"reason": "old", "replaced_by": "cust_balance"}, DefinitionInvalid, "replaced_by"),
    ],
)
def test_a_deprecation_needs_its_words(
    small_store: OfflineStore, scientist: User, given: dict[str, str], error: type[GijunError], field: str
) -> None:
    with pytest.raises(error) as caught:
        deprecate(actor=scientist, feature_set=published(small_store), **given)
    assert caught.value.field == field


def test_an_older_version_is_not_deprecated(small_store: OfflineStore, scientist: User) -> None:
    old = published(small_store)
    published(small_store, sql=SQL.replace("AVG", "MIN"))
    with pytest.raises(Conflict, match="not current"):
        deprecate(actor=scientist, feature_set=old, reason="old")


def test_one_column_can_be_deprecated_and_taken_back(small_store: OfflineStore, scientist: User) -> None:
    feature = published(small_store).features.get(name="grade")
    row = deprecate_feature(actor=scientist, feature=feature, reason="the grade ends in May")
    assert row.deprecated_at is not None
    assert AuditEvent.objects.get(action="feature.deprecated").data["feature"] == "grade"
    row = deprecate_feature(actor=scientist, feature=feature, reason=" ")
    assert (row.deprecated_at, row.deprecation_reason) == (None, "")


# deletion -----------------------------------------------------------------------------------------


def test_a_set_that_nobody_uses_goes_with_its_versions_and_keeps_its_name(
    small_store: OfflineStore, scientist: User
) -> None:
    published(small_store)
    row = published(small_store, sql=SQL.replace("AVG", "MIN"))
    gone = delete(actor=scientist, feature_set=row)
    assert [each.version for each in gone] == [2, 1]
    assert not FeatureSet.objects.visible().exists()
    assert set(FeatureSet.objects.values_list("status", "is_current")) == {("DELETED", False)}
    with pytest.raises(DefinitionInvalid, match="take another one"):
        published(small_store)
    with pytest.raises(Conflict, match="deleted already"):
        delete(actor=scientist, feature_set=row)


def test_an_older_version_goes_alone(small_store: OfflineStore, scientist: User) -> None:
    old = published(small_store)
    published(small_store, sql=SQL.replace("AVG", "MIN"))
    delete(actor=scientist, feature_set=old)
    assert list(FeatureSet.objects.visible().values_list("version", flat=True)) == [2]
    assert published(small_store, sql=SQL.replace("AVG", "MAX")).version == 3


def test_who_uses_a_set_is_named_and_keeps_it(small_store: OfflineStore, scientist: User) -> None:
    row = published(small_store)
    model = make_model(feature_sets=[row])
    version = make_version(model, stage="archived")
    endpoint = make_endpoint("offers", model=model)
    pipeline = make_pipeline("materialise", feature_set=row)
    schedule = Schedule.objects.create(pipeline=pipeline, owner=scientist)
    published(small_store, sql=SQL.replace("AVG", "MIN"))
    with pytest.raises(Conflict) as caught:
        delete(actor=scientist, feature_set=FeatureSet.objects.current().get())
    for words in (
        f"model {model.name}",
        f"model version {version}",
        f"endpoint {endpoint.name}",
        pipeline.name,
    ):
        assert words in caught.value.message
    with pytest.raises(Conflict, match="in use"):
        delete(actor=scientist, feature_set=row)
    assert {use.version for use in uses_of(row.name)} == {1}
    model.feature_sets.clear()
    endpoint.delete()
    schedule.is_enabled = False
    schedule.save()
    assert [str(use) for use in uses_of(row.name)] == [f"model version {version}"]


def test_a_model_version_that_pins_a_like_name_is_no_use(small_store: OfflineStore) -> None:
    make_version(make_model(feature_sets=[published(small_store, name="cust_balance_daily")]))
    assert uses_of(published(small_store).name) == []


@pytest.mark.parametrize("role", ["viewer", "reviewer", "operator", "admin"])
def test_a_set_is_ended_by_data_scientists(small_store: OfflineStore, role: str) -> None:
    row, actor = published(small_store), make_user(role)
    for act in (
        lambda: delete(actor=actor, feature_set=row),
        lambda: deprecate(actor=actor, feature_set=row, reason="old"),
        lambda: restore(actor=actor, feature_set=row),
        lambda: deprecate_feature(actor=actor, feature=row.features.first(), reason="old"),
        lambda: publish(actor=actor, store=small_store, feature_set=row),
    ):
        with pytest.raises(AccessDenied):
            act()
