"""The editor, the buttons that end a feature set, and the page of its leak proof."""

from __future__ import annotations

import re
import uuid
from html import unescape
from typing import Any

import pyarrow as pa
import pytest
from django.utils import timezone

from apps.features.models import EngineQuery, Feature, FeatureSet, LeakProof
from apps.features.services import create_feature_set, save_draft
from mlopslib.offline import open_store
from portal.models import AuditEvent
from tests.factories import make_feature_set, make_model, make_user

BAD = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
SQL = """SELECT customer_id, AVG(balance) AS bal_avg
  FROM balances
 WHERE ym BETWEEN '{bf_2m_ym}' AND '{base_ym}'
 GROUP BY customer_id"""


@pytest.fixture
def store(tmp_path, settings):
    settings.OFFLINE_URL = f"delta://{tmp_path / 'offline'}"
    opened = open_store(settings.OFFLINE_URL)
    months = ["202602", "202603", "202604"] * 2
    opened.create_table(
        "balances",
        pa.table({"customer_id": ["C1"] * 3 + ["C2"] * 3, "ym": months, "balance": [1.0, 2, 3, 4, 5, 6]}),
    )
    return opened


@pytest.fixture
def scientist(client_as):
    return client_as("data_scientist")


def form(**more: Any) -> dict[str, Any]:
    values = {"name": "cust_bal", "title": "Balances", "entity": "customer", "entity_key": "customer_id"}
    return {**values, "sql": SQL, "base_ym": "2026-04", **more}


def text_of(page: Any) -> str:
    """What a person reads of a page."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.content.decode())).split())


# saving -------------------------------------------------------------------------------------------


def test_a_draft_is_saved_opened_again_and_published(store, scientist):
    answer = scientist.post(
        "/features/new/",
        form(
            action="draft",
            tags="Deposits, month end",
            kind__bal_avg="numeric",
            words__bal_avg="Mean of 3 months",
            timeless__balances="a snapshot",
        ),
    )
    assert answer["Location"] == "/features/sets/cust_bal/edit/"
    draft = FeatureSet.objects.get()
    assert (draft.status, draft.timeless_tables) == ("DRAFT", {"balances": "a snapshot"})
    page = scientist.get("/features/sets/cust_bal/edit/")
    html = page.content.decode()
    assert "Draft of cust_bal v1" in html
    for value in ("deposits, month end", "Mean of 3 months", "a snapshot", draft.updated_at.isoformat()):
        assert f'value="{value}"' in html
    again = form(action="publish", based_on="cust_bal", seen_at=draft.updated_at.isoformat(), title="Sums")
    done = scientist.post("/features/sets/cust_bal/edit/", again, follow=True)
    assert "cust_bal v1 is published with 1 features" in text_of(done)
    draft.refresh_from_db()
    assert (draft.status, draft.title) == ("PUBLISHED", "Sums")
    assert draft.features.get().description == "Mean of 3 months"


def test_nothing_that_was_typed_is_lost_by_a_refusal(store, scientist):
    typed = form(
        sql="SELECT customer_id, balanse FROM balances",
        tags="a, b",
        description="for offers",
        words__bal_avg="Mean",
        timeless__balances="a snapshot",
        kind__bal_avg="numeric",
    )
    page = scientist.post("/features/new/", typed)
    assert page.status_code == 422
    html = page.content.decode()
    assert "SELECT customer_id, balanse FROM balances</textarea>" in html
    assert 'value="a, b"' in html
    assert "for offers</textarea>" in html
    assert "Nothing was saved" in html
    assert 'data-error-line="1"' in html


def test_a_set_of_many_columns_fits_in_one_form(store, scientist):
    columns = ", ".join(f"SUM(balance + {n}) AS c_{n}" for n in range(505))
    sql = f"SELECT customer_id, {columns} FROM balances WHERE ym = '{{base_ym}}' GROUP BY customer_id"
    words = {f"kind__c_{n}": "numeric" for n in range(505)} | {f"words__c_{n}": f"w{n}" for n in range(505)}
    assert scientist.post("/features/new/", form(sql=sql, **words)).status_code == 302
    row = FeatureSet.objects.get()
    assert (row.features.count(), row.features.get(name="c_504").description) == (505, "w504")


def test_an_open_end_is_answered_for_in_the_page(store, scientist):
    sql = SQL.replace("BETWEEN '{bf_2m_ym}' AND '{base_ym}'", ">= '{base_ym}'")
    page = scientist.post("/features/new/", form(sql=sql))
    assert page.status_code == 422
    assert "without an end date" in text_of(page)
    assert 'name="acknowledge"' in page.content.decode()
    done = scientist.post("/features/new/", form(sql=sql, acknowledge="cut by its view"))
    assert done.status_code == 302
    assert AuditEvent.objects.get(action="feature_set.published").data["acknowledged"] == "cut by its view"


def test_a_taken_name_is_not_overwritten_from_the_page_for_new_ones(store, scientist):
    make_feature_set("cust_bal")
    page = scientist.post("/features/new/", form())
    assert page.status_code == 422
    assert "There is a feature set of this name" in text_of(page)
    assert FeatureSet.objects.count() == 1


def test_a_draft_that_somebody_saved_since_is_told_and_the_text_stays(store, scientist):
    given = {"actor": make_user("data_scientist"), "store": store, "name": "cust_bal", "entity": "customer"}
    seen = save_draft(**given, title="First", entity_key="customer_id", sql=SQL).updated_at
    save_draft(**given, title="Theirs", entity_key="customer_id", sql=SQL)
    posted = form(action="draft", based_on="cust_bal", seen_at=seen.isoformat(), title="Mine")
    page = scientist.post("/features/sets/cust_bal/edit/", posted)
    assert page.status_code == 422
    assert "saved by somebody else" in text_of(page)
    assert 'value="Mine"' in page.content.decode()
    assert not page.context["form"]["sql"].errors
    assert FeatureSet.objects.get().title == "Theirs"
    again = page.context["form"]["seen_at"].value()
    assert scientist.post("/features/sets/cust_bal/edit/", posted | {"seen_at": again}).status_code == 302
    assert FeatureSet.objects.get().title == "Mine"


def test_only_data_scientists_write(store, client_as):
    make_feature_set("cust_bal")
    viewer = client_as("reviewer")
    for address in ("/features/new/", "/features/sets/cust_bal/edit/", "/features/editor/columns/balances/"):
        assert viewer.get(address).status_code == 403, address
    for verb in ("publish", "deprecate", "restore", "delete"):
        assert viewer.post(f"/features/sets/cust_bal/{verb}/").status_code in (403, 404), verb
    for part in ("check", "preview", "dry-run", "duplicates"):
        assert viewer.post(f"/features/editor/{part}/", form()).status_code == 403, part
        assert viewer.get(f"/features/editor/{part}/").status_code == 405, part


# what the editor asks for while a person writes -----------------------------------------------------


def test_the_check_shows_columns_dates_and_what_is_wrong(store, scientist):
    good = scientist.post("/features/editor/check/", form(words__bal_avg="Mean", kind__bal_avg="category"))
    html = good.content.decode()
    assert 'name="words__bal_avg" value="Mean"' in html
    assert '<option value="category" selected>' in html
    assert "2026-02-01 to 2026-04-30" in html
    assert "ends by the base date" in html
    bad = scientist.post("/features/editor/check/", form(sql=SQL.replace("{base_ym}", "{bas_ym}")))
    assert 'data-error-line="3"' in bad.content.decode()
    assert "did you mean {base_ym}" in text_of(bad)


def test_a_month_that_is_none_is_told(store, scientist):
    for part in ("check", "preview", "dry-run"):
        page = scientist.post(f"/features/editor/{part}/", form(base_ym="2026-13"))
        assert page.status_code == 200
        assert "no month 13" in text_of(page), part


def test_the_preview_shows_rows_and_what_the_key_is_like(store, scientist):
    pk = uuid.uuid4()
    page = scientist.post("/features/editor/preview/", form(query_id=str(pk)))
    assert "customer_id names each of 2 rows once." in text_of(page)
    assert re.findall(r">(C\d)</td>", page.content.decode()) in (["C1", "C2"], ["C2", "C1"])
    assert EngineQuery.objects.get(pk=pk).state == "DONE"
    twice = scientist.post("/features/editor/preview/", form(sql="SELECT customer_id, balance FROM balances"))
    assert "repeats: 6 rows for 2 entities" in text_of(twice)
    refused = scientist.post("/features/editor/preview/", form(sql="DROP TABLE balances"))
    assert "must be one SELECT" in text_of(refused)


def test_the_dry_run_tells_of_values_and_models(store, scientist):
    given = {"title": "Balances", "entity": "customer", "entity_key": "customer_id", "sql": SQL}
    row = create_feature_set(actor=scientist.user, store=store, name="cust_bal", **given)
    model = make_model(feature_sets=[row])
    page = text_of(scientist.post("/features/editor/dry-run/", form(sql=SQL.replace("AVG", "MAX"))))
    assert "2 entities are in both." in page
    assert f"{model.name} pins v1" in page
    assert "not touched by publishing" in page
    assert "its inputs with other values: bal_avg" in page
    gone = text_of(
        scientist.post("/features/editor/dry-run/", form(sql=SQL.replace("AS bal_avg", "AS mean")))
    )
    assert "on v2 it would lose bal_avg" in gone


def test_duplicates_name_the_same_query(store, scientist):
    given = {"title": "Balances", "entity": "customer", "entity_key": "customer_id", "sql": SQL}
    create_feature_set(actor=scientist.user, store=store, name="cust_old", **given)
    page = scientist.post("/features/editor/duplicates/", form(sql=SQL.lower().replace("{bf", "{bf")))
    assert "cust_old v1 is the same query in other words." in text_of(page)


def test_the_palette_and_the_columns_of_a_table_insert_names(store, scientist):
    palette = scientist.get("/features/editor/parameters/?base_ym=2026-04").content.decode()
    assert 'data-insert="{bf_2m_ym}"' in palette
    assert "202602" in palette
    assert "af_1m" not in palette
    columns = scientist.get("/features/editor/columns/balances/").content.decode()
    assert 'data-insert="balance"' in columns
    assert "no table" in text_of(scientist.get("/features/editor/columns/nowhere/"))


def test_a_query_is_cancelled_by_its_address(store, scientist, client_as):
    row = EngineQuery.objects.create(kind="preview", sql="SELECT 1", requested_by=scientist.user)
    address = f"/features/queries/{row.pk}/cancel/"
    assert client_as("viewer").post(address).status_code == 403
    assert scientist.get(address).status_code == 405
    assert scientist.post(address).json() == {"state": "RUNNING", "asked": True}
    row.refresh_from_db()
    assert row.cancel_requested_at is not None
    assert scientist.post(f"/features/queries/{uuid.uuid4()}/cancel/").status_code == 404


# the end ------------------------------------------------------------------------------------------


def test_a_set_is_deprecated_taken_back_and_deleted_from_its_page(store, scientist):
    make_feature_set("cust_bal")
    page = scientist.post("/features/sets/cust_bal/deprecate/", {"reason": "it ends"}, follow=True)
    assert "What uses it keeps running." in text_of(page)
    assert "it ends" in text_of(page)
    assert "say why" in text_of(
        scientist.post("/features/sets/cust_bal/deprecate/", {"reason": ""}, follow=True)
    )
    scientist.post("/features/sets/cust_bal/restore/")
    assert FeatureSet.objects.get().status == "PUBLISHED"
    gone = scientist.post("/features/sets/cust_bal/delete/", {"version": "1"}, follow=True)
    assert gone.redirect_chain[-1][0] == "/features/sets/"
    assert scientist.get("/features/sets/cust_bal/").status_code == 404
    assert scientist.get("/features/sets/cust_bal/?version=1").status_code == 404
    assert scientist.get("/features/cust_bal/visit_days_1m/").status_code == 404


def test_a_set_in_use_says_by_whom_instead_of_offering_to_delete_it(bank, scientist):
    page = scientist.get("/features/sets/cust_balance/")
    assert "It cannot be deleted while it is in use" in text_of(page)
    assert "Delete cust_balance" not in text_of(page)
    refused = scientist.post("/features/sets/cust_balance/delete/", {"version": "1"}, follow=True)
    assert "in use and cannot be deleted: model loan_needs" in text_of(refused)
    assert FeatureSet.objects.get(name="cust_balance").status == "PUBLISHED"


def test_a_feature_is_deprecated_by_itself(bank, scientist):
    address = "/features/cust_balance/grade/"
    page = scientist.post(f"{address}deprecate/", {"reason": "the grade ends"}, follow=True)
    assert "grade is deprecated" in text_of(page)
    assert Feature.objects.get(name="grade").deprecation_reason == "the grade ends"
    scientist.post(f"{address}deprecate/", {"reason": ""})
    assert Feature.objects.get(name="grade").deprecated_at is None


# the leak proof -----------------------------------------------------------------------------------


def bound(table: str, status: str, low: str | None, high: str | None, reason: str = "") -> dict[str, Any]:
    dates = {"column": "ym", "low": low, "high": high}
    return {"table": table, **dates, "status": status, "reason": reason, "where": "the query"}


def prove(row: FeatureSet, outcome: str = "LEAK", **fields: Any) -> LeakProof:
    values = {
        "sentence": "bal_avg moved when balances was poisoned",
        "poisoned": {"balances": {"changed": 1200, "added": 300}},
        "differences": [
            {"feature": "bal_avg", "entities": 41, "example": {"entity": "C7", "before": 1.5, "after": 99.0}}
        ],
        "bounds": [
            bound("balances", "after_base", "20260201", "20260531", "ends a month late"),
            bound("codes", "timeless", None, None, "a list"),
            bound("events", "open", "20260401", None),
            bound("accounts", "bounded", None, "20260430"),
        ],
    } | fields
    proof = LeakProof.objects.create(feature_set=row, base_ym="202604", outcome=outcome, **values)
    FeatureSet.objects.filter(pk=row.pk).update(proof=outcome if outcome != "UNDECIDED" else "UNPROVED")
    return proof


def test_a_leak_shows_its_dates_its_features_and_an_example(store, client_as):
    prove(make_feature_set("cust_bal"))
    page = client_as("viewer").get("/features/sets/cust_bal/proof/")
    text = text_of(page)
    for words in (
        "This version reads the future.",
        "2026-02-01 to 2026-05-31",
        "everything up to 2026-04-30",
        "2026-04-01 and everything after it",
        "declared timeless",
        "ends a month late",
        "1,200 changed, 300 added",
        "C7 1.5 99",
    ):
        assert words in text, words
    assert "Prove for these months" not in text


def test_the_base_date_stands_at_one_place_on_every_line(store, client_as):
    prove(make_feature_set("cust_bal"))
    html = client_as("viewer").get("/features/sets/cust_bal/proof/").content.decode()
    assert len(set(re.findall(r'class="timeline-base" x1="([\d.]+)%"', html))) == 1
    base = float(re.search(r'class="timeline-base" x1="([\d.]+)%"', html)[1])
    bars = re.findall(r'class="timeline-bar" x="([\d.]+)%" y="7" width="([\d.]+)%"', html)
    ends = [float(x) + float(width) for x, width in bars]
    assert [round(end - base, 1) > 0 for end in ends] == [True, True, False]
    after = re.findall(r'class="timeline-after" x="([\d.]+)%"', html)
    assert [float(x) for x in after] == [base, base]


def test_a_proved_version_says_for_how_many_months(store, client_as):
    row = make_feature_set("cust_bal", proof="PROVED", proved_months=2)
    for month in ("202603", "202604"):
        LeakProof.objects.create(feature_set=row, base_ym=month, outcome="PROVED", sentence="nothing moved")
    client = client_as("data_scientist")
    text = text_of(client.get("/features/sets/cust_bal/proof/"))
    assert "Proved for 2 base months." in text
    assert "2 proved · 0 with a leak · 0 undecided" in text
    assert (
        'action="/runs/start/leak_proof/cust_bal/"'
        in client.get("/features/sets/cust_bal/proof/").content.decode()
    )


def test_without_a_proof_the_text_of_the_query_is_read(store, client_as):
    make_feature_set("cust_bal", sql=SQL)
    client = client_as("viewer")
    text = text_of(client.get("/features/sets/cust_bal/proof/?base_ym=2026-04"))
    assert "Not proved yet." in text
    assert "2026-02-01 to 2026-04-30" in text
    assert client.get("/features/sets/cust_bal/proof/?base_ym=%27x").status_code == 200


def test_words_of_people_are_escaped(store, scientist):
    row = make_feature_set("cust_bal", title=BAD[:120], description=BAD, sql=f"{SQL} -- {BAD}")
    FeatureSet.objects.filter(pk=row.pk).update(
        status="DEPRECATED", deprecation_reason=BAD, deprecated_at=timezone.now(), timeless_tables={BAD: BAD}
    )
    row.features.update(description=BAD, deprecation_reason=BAD)
    prove(
        row,
        sentence=BAD,
        poisoned={BAD: {"changed": 1, "added": 2}},
        differences=[
            {"feature": BAD, "entities": 1, "example": {"entity": BAD, "before": BAD, "after": BAD}}
        ],
        bounds=[bound(BAD, "open", None, None, BAD)],
    )
    posted = form(sql=BAD, name=BAD, entity_key=BAD, tags=BAD, title=BAD, acknowledge=BAD)
    posted[f"timeless__{BAD}"] = BAD
    evil = form(sql=f"SELECT customer_id, '{BAD}' AS words FROM balances", timeless__balances=BAD)
    pages = [
        scientist.get("/features/sets/cust_bal/"),
        scientist.get("/features/sets/cust_bal/edit/"),
        scientist.get("/features/sets/cust_bal/proof/"),
        scientist.post("/features/new/", posted),
        *(
            scientist.post(f"/features/editor/{part}/", body)
            for part in ("check", "preview", "dry-run", "duplicates")
            for body in (posted, evil)
        ),
    ]
    for page in pages:
        assert "<script>alert" not in page.content.decode()
        assert "<img" not in page.content.decode()
