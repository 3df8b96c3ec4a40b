"""Instant checks of a query: everything that is wrong, at the place where it is wrong."""

from __future__ import annotations

import pytest

from apps.features.models import FeatureSet, Materialisation
from apps.features.services import CheckReport, check_sql
from mlopslib.definition import FeatureSpec
from mlopslib.errors import DefinitionInvalid, InvalidDate
from mlopslib.offline.base import OfflineStore
from tests.features_app.store import SQL, published

pytestmark = pytest.mark.django_db


def check(store: OfflineStore, sql: str = SQL, **given: object) -> CheckReport:
    return check_sql(store=store, sql=sql, **{"entity_key": "customer_id", "base_ym": "202604"} | given)


def told(report: CheckReport) -> list[tuple[str, str, int | None]]:
    return [(item.level, item.field, item.line) for item in report.findings]


def test_a_good_query_shows_its_columns_tables_dates_and_a_guess_of_its_rows(
    small_store: OfflineStore,
) -> None:
    report = check(
        small_store,
        timeless_tables={"customers": "a list"},
        features=[FeatureSpec("bal_avg", "category", "a code")],
    )
    assert (report.is_ok, report.findings) == (True, [])
    assert [(c.name, c.dtype, c.is_key, c.description) for c in report.columns] == [
        ("customer_id", "", True, ""),
        ("bal_avg", "category", False, "a code"),
        ("grade", "category", False, ""),
    ]
    assert [column.may_be_numeric for column in report.features] == [True, False]
    assert report.tables == ["balances", "customers"]
    assert report.parameters == {"bf_2m_ym": "202602", "base_ym": "202604"}
    assert report.estimate is not None
    assert {source.table: source.status for source in report.leaks.sources} == {
        "balances": "bounded",
        "customers": "timeless",
    }


def test_every_unknown_parameter_and_table_is_told_at_its_line_with_the_nearest(
    small_store: OfflineStore,
) -> None:
    sql = (
        SQL.replace("{base_ym}", "{bas_ym}")
        .replace("{bf_2m_ym}", "{bf_2n_ym}")
        .replace("customers c", "custmers c")
    )
    report = check(small_store, sql)
    assert told(report) == [("error", "sql", 4), ("error", "sql", 4), ("error", "sql", 3)]
    texts = " ".join(item.text for item in report.findings)
    for near in ("{base_ym}", "{bf_2m_ym}", "customers"):
        assert f"did you mean {near}" in texts


@pytest.mark.parametrize(
    ("sql", "words", "line"),
    [
        ("", "one SELECT", None),
        ("DROP TABLE balances", "DROP", None),
        ("SELECT customer_id,\n  FROM balances WHERE (", "", 2),
        ("SELECT customer_id, load_file('/etc/passwd') AS x\nFROM balances", "LOAD_FILE", 1),
        ("SELECT customer_id,\n  sleep(9) AS x FROM balances", "SLEEP", 2),
        (SQL.replace("b.balance)", "b.balanse)"), "balanse", 1),
        ("SELECT customer_id, balance AS x, balance AS x FROM balances", "more than once", None),
        ("SELECT customer_id, balance AS target FROM balances", "name of the pipeline", None),
        ("SELECT customer_id, CAST('2026-01-01' AS TIMESTAMP) AS t FROM balances", "CAST it", None),
        ("SELECT customer_id FROM balances WHERE ym = '{base_ym}'", "one feature", None),
    ],
)
def test_what_is_wrong_is_said(small_store: OfflineStore, sql: str, words: str, line: int | None) -> None:
    report = check(small_store, sql)
    assert not report.is_ok
    assert words in report.errors[0].text
    assert line is None or report.errors[0].line == line


def test_a_key_that_is_not_given_is_told_with_the_nearest_column(small_store: OfflineStore) -> None:
    finding = check(small_store, entity_key="custmer_id").errors[0]
    assert finding.field == "entity_key"
    assert "did you mean customer_id" in finding.text
    assert check(small_store, entity_key="").errors[0].field == "entity_key"


def test_a_query_that_nothing_makes_one_row_for_each_entity_is_noted(small_store: OfflineStore) -> None:
    sql = "SELECT customer_id, balance FROM balances WHERE ym = '{base_ym}'"
    report = check(small_store, sql)
    assert told(report) == [("warning", "entity_key", None)]
    assert "GROUP BY customer_id" in report.findings[0].text
    assert check(small_store, sql.replace("SELECT", "SELECT DISTINCT")).findings == []


def test_the_future_is_an_error_and_an_open_end_a_warning(small_store: OfflineStore) -> None:
    after = check(
        small_store, SQL.replace("AND '{base_ym}'", "AND '{af_1m_ym}'"), timeless_tables={"customers": "x"}
    )
    assert told(after) == [("error", "leaks", 2)]
    lines = SQL.splitlines()
    lines[3] = " WHERE b.ym >= '{bf_2m_ym}'"
    still = check(small_store, "\n".join(lines), timeless_tables={"customers": "x"})
    assert told(still) == [("warning", "leaks", 2)]
    assert still.is_ok


def test_a_query_that_stands_already_in_other_words_is_pointed_out(small_store: OfflineStore) -> None:
    published(small_store, name="cust_old", timeless_tables={"customers": "a list"})
    again = SQL.lower().replace("{bf_2m_ym}", "{bf_2m_ym}").replace("  ", " ") + " -- the same"
    twin = check(small_store, again, name="cust_new", timeless_tables={"customers": "a list"}).findings
    assert [(item.level, item.field) for item in twin] == [("warning", "duplicates")]
    assert "cust_old v1" in twin[0].text
    own = check(small_store, again, name="cust_old", timeless_tables={"customers": "a list"}).findings
    assert [item.level for item in own] == ["ok"]


def test_a_month_that_is_none_is_refused(small_store: OfflineStore) -> None:
    with pytest.raises(InvalidDate):
        check(small_store, base_ym="202613")


def test_a_key_that_repeats_is_counted_while_one_writes(small_store: OfflineStore) -> None:
    repeated = "SELECT customer_id, balance FROM balances WHERE ym BETWEEN '{bf_2m_ym}' AND '{base_ym}'"
    report = check(small_store, repeated, count_seconds=5.0)
    assert report.is_counted
    rows = report.estimate
    found = [item for item in report.errors if item.field == "entity_key"]
    assert len(found) == 1
    assert f"customer_id repeats: {rows:,} rows for" in found[0].text


def test_rows_are_counted_where_the_key_is_unique(small_store: OfflineStore) -> None:
    report = check(small_store, timeless_tables={"customers": "a list"}, count_seconds=5.0)
    assert (report.is_ok, report.is_counted) == (True, True)
    counted = small_store.read_sql(
        f"SELECT COUNT(*) AS n FROM ({SQL.format(base_ym='202604', bf_2m_ym='202602')}) t"
    )
    assert report.estimate == counted.to_pylist()[0]["n"] > 0


def test_a_count_that_takes_too_long_gives_way_to_the_guess(small_store: OfflineStore) -> None:
    report = check(small_store, timeless_tables={"customers": "a list"}, count_seconds=1e-9)
    assert (report.is_ok, report.is_counted) == (True, False)


def test_a_version_whose_key_repeats_is_not_published(small_store: OfflineStore) -> None:
    first = published(small_store, timeless_tables={"customers": "a list"})
    Materialisation.objects.create(feature_set=first, base_ym="202604", rows=3, table_version=0)
    repeated = "SELECT customer_id, balance FROM balances WHERE ym BETWEEN '{bf_2m_ym}' AND '{base_ym}'"
    with pytest.raises(DefinitionInvalid, match="customer_id repeats: 9 rows for 3 entities in 202604") as no:
        published(small_store, name="twice", sql=repeated)
    assert no.value.field == "sql"
    assert not FeatureSet.objects.filter(name="twice").exists()
