"""The dates that a query can read, as the text alone tells them."""

# ruff: noqa: E501 (a query on one line is easier to compare)
from __future__ import annotations

import pytest

from mlopslib.sql.leaks import check_static, date_bounds

SCHEMA = {
    "bal": {"id": "varchar", "ym": "varchar", "amt": "double", "open_dt": "varchar"},
    "ev": {"id": "varchar", "ts": "timestamp", "amt": "double"},
    "cal": {"day": "date", "ym": "varchar"},
    "shop": {"shop_id": "bigint", "name": "varchar"},
    "due": {"id": "varchar", "contract_dt": "varchar", "maturity_dt": "varchar"},
}


def bounds(sql, base="202402", timeless=None, **options):
    found = date_bounds(sql, base, schema=SCHEMA, timeless=timeless or {}, **options)
    return [(item.table, item.column, item.low, item.high, item.status) for item in found]


@pytest.mark.parametrize(
    ("where", "low", "high"),
    [
        ("ym = '{base_ym}'", "20240201", "20240229"),
        ("ym between '{bf_11m_ym}' and '{bf_1m_ym}'", "20230301", "20240131"),
        ("ym < '{base_ym}' and ym >= '{bf_3m_ym}'", "20231101", "20240131"),
        ("ym in ('202312', '202401')", "20231201", "20240131"),
        ("ym <= '{base_dt}'", None, "20240229"),
        ("concat(ym, '01') <= '{base_dt}'", None, "20240229"),
        ("ym = '{base_ym}' or ym = '{bf_12m_ym}'", "20230201", "20240229"),
        ("not ym > '{base_ym}'", None, "20240229"),
        ("(ym <= '{base_ym}' and amt > 0) or (ym <= '{bf_1m_ym}')", None, "20240229"),
        ("case when ym <= '{base_ym}' then 1 else 0 end = 1", None, "20240229"),
        ("nvl(ym, '000000') <= '{base_ym}'", None, "20240229"),
    ],
)
def test_a_month_is_bounded(where, low, high):
    assert bounds(f"select id from bal where {where}") == [("bal", "ym", low, high, "bounded")]


@pytest.mark.parametrize(
    ("where", "low", "high"),
    [
        ("ts < to_timestamp('{af_1m_dt}', 'yyyyMMdd')", None, "20240229"),
        ("ts <= to_timestamp('{base_dt}', 'yyyyMMdd')", None, "20240229"),
        ("ts >= '2024-02-01' and ts < '2024-03-01'", "20240201", "20240229"),
        ("to_date(ts) between '2023-12-05' and '2024-02-29'", "20231205", "20240229"),
        ("year(ts) * 100 + month(ts) = 202401", "20240101", "20240131"),
        ("months_between(to_timestamp('{base_dt}', 'yyyyMMdd'), ts) >= 1", None, "20240131"),
        ("add_months(ts, 1) <= to_timestamp('{base_dt}', 'yyyyMMdd')", None, "20240131"),
        ("from_timestamp(ts, 'yyyyMMdd') <= '{base_dt}'", None, "20240229"),
    ],
)
def test_a_timestamp_is_bounded(where, low, high):
    assert bounds(f"select id from ev where {where}") == [("ev", "ts", low, high, "bounded")]


@pytest.mark.parametrize(
    ("where", "high", "status"),
    [
        ("1 = 1", None, "open"),
        ("ym >= '{base_ym}'", None, "open"),
        ("ym <= '{base_ym}' or amt > 0", None, "open"),
        ("ym <> '{af_1m_ym}'", None, "open"),
        ("substr(ym, 5, 2) <= '12'", None, "open"),
        ("ym <= '{af_1m_ym}'", "20240331", "after_base"),
        ("ym = '{base_ym}' or ym = '{af_2m_ym}'", "20240430", "after_base"),
        ("ym <= (select max(b.ym) from bal b)", None, "open"),
    ],
)
def test_what_reaches_beyond_the_base_date_is_flagged(where, high, status):
    found = bounds(f"select id from bal where {where}")
    assert (found[0][3], found[0][4]) == (high, status)


@pytest.mark.parametrize(
    ("sql", "statuses"),
    [
        ("select a.id from bal a join bal b on a.id = b.id and b.ym <= a.ym where a.ym = '{base_ym}'", ["bounded", "bounded"]),
        ("select a.id from bal a left join bal b on a.id = b.id and b.ym <= '{base_ym}' where a.ym = '{base_ym}'", ["bounded", "bounded"]),
        ("select a.id from bal a left join bal b on a.id = b.id where a.ym = '{base_ym}' and b.ym <= '{base_ym}'", ["bounded", "bounded"]),
        ("select a.id from bal a left join bal b on a.id = b.id where a.ym = '{base_ym}' and (b.ym <= '{base_ym}' or b.id is null)", ["bounded", "open"]),
        ("select a.id from bal a left join bal b on a.id = b.id where a.ym = '{base_ym}' and nvl(b.ym, '0') <= '{base_ym}'", ["bounded", "open"]),
        ("select a.id from bal a left join bal b on a.id = b.id and a.ym <= '{base_ym}' and b.ym <= '{base_ym}'", ["open", "bounded"]),
        ("select b.id from bal a right join bal b on a.id = b.id and a.ym <= '{base_ym}' where b.ym = '{base_ym}'", ["bounded", "bounded"]),
        ("select a.id from bal a full join bal b on a.id = b.id and a.ym <= '{base_ym}' and b.ym <= '{base_ym}'", ["open", "open"]),
        ("select a.id from bal a left semi join bal b on a.id = b.id and b.ym <= '{base_ym}' and a.ym <= '{base_ym}'", ["bounded", "bounded"]),
        ("select a.id from bal a left anti join bal b on a.id = b.id and b.ym <= '{base_ym}' and a.ym <= '{base_ym}'", ["open", "bounded"]),
        ("select b.id from cal c join bal b on b.ym = c.ym where c.day <= to_timestamp('{base_dt}', 'yyyyMMdd')", ["bounded", "open"]),
        ("select b.id from cal c join bal b on b.ym = c.ym where c.ym <= '{base_ym}'", ["bounded", "bounded"]),
    ],
)  # fmt: skip
def test_joins_bound_what_they_may(sql, statuses):
    assert [item[4] for item in bounds(sql)] == statuses


@pytest.mark.parametrize(
    ("sql", "status"),
    [
        ("select q.id from (select * from bal) q where q.ym = '{base_ym}'", "bounded"),
        ("with q as (select * from bal) select id from q where ym = '{base_ym}'", "bounded"),
        ("select q.id from (select id, ym, sum(amt) s from bal group by id, ym) q where q.ym = '{base_ym}'", "bounded"),
        ("select q.id from (select id, max(ym) as ym from bal group by id) q where q.ym <= '{base_ym}'", "open"),
        ("select q.id from (select distinct id, ym from bal) q where q.ym = '{base_ym}'", "bounded"),
        ("select q.id from (select id, ym from bal limit 10) q where q.ym = '{base_ym}'", "open"),
        ("select q.id from (select id, ym, rank() over (partition by ym order by amt) r from bal) q where q.ym = '{base_ym}'", "bounded"),
        ("select q.id from (select id, ym, rank() over (partition by id order by ym) r from bal) q where q.ym = '{base_ym}'", "open"),
        ("select id, sum(amt) s from bal group by id, ym having ym = '{base_ym}'", "bounded"),
        ("select id from bal group by id having max(ym) <= '{base_ym}'", "open"),
    ],
)  # fmt: skip
def test_a_condition_around_a_subquery_counts_where_it_changes_nothing_else(sql, status):
    assert [item[4] for item in bounds(sql)] == [status]


def test_each_occurrence_is_judged_by_itself():
    found = bounds(
        "with t as (select * from bal) "
        "select a.id from t a join t b on a.id = b.id where a.ym = '{base_ym}' "
        "union all select id from bal where ym = '{bf_1m_ym}'"
    )
    assert [(item[3], item[4]) for item in found] == [
        ("20240229", "bounded"),
        (None, "open"),
        ("20240131", "bounded"),
    ]


def test_a_snapshot_is_dated_by_its_month_and_not_by_the_age_of_the_account():
    (item,) = date_bounds(
        "select id from bal where open_dt <= '{base_dt}'", "202402", schema=SCHEMA, timeless={}
    )
    assert item.status == "open"
    assert (
        item.reason
        == "open_dt is limited, but ym says when a row became known: add bal.ym <= '{base_ym}' to the conditions"
    )


def test_a_table_without_dates_asks_to_be_declared_and_its_reason_travels():
    sql = "select e.id from ev e join shop s on s.name = e.id where e.ts < to_timestamp('{af_1m_dt}', 'yyyyMMdd')"
    assert bounds(sql)[1] == ("shop", None, None, None, "no_date_column")
    (_, item) = date_bounds(sql, "202402", schema=SCHEMA, timeless={"shop": "kept by hand"})
    assert (item.status, item.reason) == ("timeless", "kept by hand")


def test_a_column_that_is_known_beforehand_does_not_date_its_row():
    sql = "select id from due where maturity_dt <= '{base_dt}'"
    assert bounds(sql)[0][1] == "contract_dt"
    declared = {"due.contract_dt": "for the test", "due.maturity_dt": "agreed at the start"}
    assert bounds(sql, timeless=declared)[0][4] == "no_date_column"


def test_what_the_data_say_of_a_writing_counts_more_than_the_name():
    sql = "select id from bal where open_dt <= '{base_dt}' and ym = '{base_ym}'"
    options = {"dated_by": {"bal": ("open_dt",)}}
    assert bounds(sql, **options)[0][3:] == ("20240229", "bounded")
    options["writings"] = {"bal": {"open_dt": "iso"}}
    # '2024-12-31' is not after '20240229' for an engine that compares texts
    assert bounds(sql, **options)[0][3:] == ("20241231", "after_base")


def test_a_base_day_inside_of_a_month_bounds_to_that_day():
    assert bounds("select id from ev where to_date(ts) <= '2024-02-15'", base="20240215")[0][3:] == (
        "20240215",
        "bounded",
    )
    assert bounds("select id from bal where ym = '{base_ym}'", base="20240215")[0][4] == "after_base"


def test_conditions_that_exclude_each_other_read_nothing():
    (item,) = date_bounds(
        "select id from bal where ym = '202401' and ym = '202402'", "202402", schema=SCHEMA, timeless={}
    )
    assert (item.status, item.low, item.high) == ("bounded", None, None)
    assert "no date" in item.reason


def test_the_verdict_says_in_sentences_what_is_wrong():
    verdict = check_static(
        "select a.id, b.amt from bal a join bal b on a.id = b.id where b.ym = '{af_1m_ym}'",
        "202402",
        schema=SCHEMA,
        timeless={},
        labels=[("bal", "amt")],
    )
    assert not verdict.is_clean
    assert verdict.sentence == (
        "bal is read without an end: nothing limits ym: add a.ym <= '{base_ym}' to the conditions. "
        "bal is read up to 2024-03-31, after the base date 2024-02-29. "
        "bal.amt is a label: it is known only after its row's date."
    )
    assert verdict.labels == (("bal", "amt"),)
