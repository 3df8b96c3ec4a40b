"""Planted leaks: every one is caught by the poison test, nearly all by the text as well."""

# ruff: noqa: E501 (a query on one line is easier to compare)
from __future__ import annotations

import pytest

from mlopslib.leakproof import prove
from mlopslib.sql.leaks import check_static
from tests.leaks.case import BASE_YM, SHOPS, Case

LEAKS = [
    # no bound, or the wrong one
    Case("no condition on the date", "select customer_id, sum(amt) as f from balances group by customer_id"),
    Case(
        "only a lower bound",
        "select customer_id, sum(amt) as f from balances where ym >= '{bf_2m_ym}' group by customer_id",
    ),
    Case("next month as a feature", "select customer_id, amt as f from balances where ym = '{af_1m_ym}'"),
    Case(
        "next month among others",
        "select customer_id, sum(amt) as f from balances where ym in ('{bf_1m_ym}', '{base_ym}', '{af_1m_ym}') group by customer_id",
    ),
    Case(
        "a window around the base month",
        "select customer_id, avg(amt) as f from balances where ym between '{bf_2m_ym}' and '{af_2m_ym}' group by customer_id",
    ),
    Case(
        "not equal is no bound",
        "select customer_id, sum(amt) as f from balances where ym <> '{af_1m_ym}' group by customer_id",
    ),
    Case(
        "a fixed month in the future",
        "select customer_id, max(cnt) as f from balances where ym <= '209912' group by customer_id",
    ),
    Case(
        "a month as a number",
        "select customer_id, max(score) as f from grades where base_ym <= {af_1m_ym} group by customer_id",
    ),
    Case(
        "snapshot limited by the account's age",
        "select customer_id, sum(amt) as f from balances where open_dt <= '{base_dt}' group by customer_id",
    ),
    Case(
        "events limited by a birthday",
        "select e.customer_id, sum(e.amount) as f from events e join customers c on e.customer_id = c.customer_id where c.birth_dt <= to_timestamp('{base_dt}', 'yyyyMMdd') and c.join_dt <= '{base_dt}' group by e.customer_id",
    ),
    # the end of the month
    Case(
        "the first of the next month with <=",
        "select customer_id, count(*) as f from events where event_ts >= to_timestamp('{bf_2m_dt}', 'yyyyMMdd') and event_ts <= to_timestamp('{af_1m_dt}', 'yyyyMMdd') group by customer_id",
    ),
    Case(
        "a day too many by BETWEEN",
        "select customer_id, sum(amount) as f from events where event_ts between to_timestamp('{bf_2m_dt}', 'yyyyMMdd') and date_add(to_timestamp('{base_dt}', 'yyyyMMdd'), 1) group by customer_id",
    ),
    Case(
        "the first of the next month as a text",
        "select customer_id, sum(minutes) as f from calls where call_dt <= from_timestamp(to_timestamp('{af_1m_dt}', 'yyyyMMdd'), 'yyyy-MM-dd') group by customer_id",
    ),
    Case(
        "a text compared in another writing",
        "select customer_id, sum(minutes) as f from calls where call_dt <= '{base_dt}' group by customer_id",
    ),
    Case(
        "a month's first six digits, one too many",
        "select customer_id, count(*) as f from loans where substr(contract_dt, 1, 6) <= '{af_1m_ym}' group by customer_id",
    ),
    Case(
        "only the year is limited",
        "select customer_id, count(*) as f from events where year(event_ts) <= 2024 group by customer_id",
    ),
    Case(
        "only the month of the year is limited",
        "select customer_id, count(*) as f from events where month(event_ts) <= 12 group by customer_id",
    ),
    # OR, NOT and missing values
    Case(
        "OR opens what AND closed",
        "select customer_id, sum(amt) as f from balances where ym = '{base_ym}' or grade = 'A' group by customer_id",
    ),
    Case(
        "NOT turns the bound round",
        "select customer_id, sum(amt) as f from balances where not (ym <= '{base_ym}') group by customer_id",
    ),
    Case(
        "COALESCE on the future",
        "select b.customer_id, coalesce(n.amt, b.amt) as f from balances b left join balances n on n.customer_id = b.customer_id and n.ym = '{af_1m_ym}' where b.ym = '{base_ym}'",
    ),
    Case(
        "CASE on the future",
        "select customer_id, sum(case when ym > '{base_ym}' then amt else 0 end) as f from balances where ym <= '{af_2m_ym}' group by customer_id",
    ),
    # joins
    Case(
        "the joined table has no bound",
        "select b.customer_id, b.amt, sum(e.amount) as f from balances b join events e on e.customer_id = b.customer_id where b.ym = '{base_ym}' group by b.customer_id, b.amt",
    ),
    Case(
        "LEFT JOIN on later months",
        "select b.customer_id, max(n.cnt) as f from balances b left join balances n on n.customer_id = b.customer_id and n.ym > b.ym where b.ym = '{base_ym}' group by b.customer_id",
    ),
    Case(
        "ON of a LEFT JOIN limits the right side alone",
        "select b.customer_id, sum(b.amt) as f from balances b left join customers c on c.customer_id = b.customer_id and b.ym <= '{base_ym}' and c.join_dt <= '{base_dt}' group by b.customer_id",
    ),
    Case(
        "LEFT JOIN and OR .. IS NULL",
        "select c.customer_id, count(l.loan_id) as f from customers c left join loans l on l.customer_id = c.customer_id where c.join_dt <= '{base_dt}' and (l.contract_dt <= '{base_dt}' or l.contract_dt is null) group by c.customer_id",
    ),
    Case(
        "FULL JOIN limits nothing by ON",
        "select coalesce(a.customer_id, b.customer_id) as customer_id, max(b.score) as f from (select * from balances where ym = '{base_ym}') a full join grades b on a.customer_id = b.customer_id and b.base_ym <= {base_ym} group by coalesce(a.customer_id, b.customer_id)",
    ),
    Case(
        "a dimension as of its newest month",
        "select b.customer_id, max(g.score) as f from balances b join grades g on g.customer_id = b.customer_id where b.ym = '{base_ym}' and g.base_ym = (select max(base_ym) from grades) group by b.customer_id",
    ),
    Case(
        "self join by number of month",
        "select a.customer_id, max(b.amt) as f from balances a join balances b on b.customer_id = a.customer_id and cast(b.ym as int) = cast(a.ym as int) + 1 where a.ym = '{base_ym}' group by a.customer_id",
    ),
    Case(
        "an anti join on what comes",
        "select b.customer_id, b.amt as f from balances b left anti join loans l on l.customer_id = b.customer_id and l.contract_dt > '{base_dt}' where b.ym = '{base_ym}'",
    ),
    Case(
        "a semi join on what comes",
        "select b.customer_id, b.amt as f from balances b left semi join loans l on l.customer_id = b.customer_id and l.contract_dt > '{base_dt}' where b.ym = '{base_ym}'",
    ),
    # subqueries
    Case(
        "a correlated subquery without a bound",
        "select b.customer_id, (select max(e.amount) from events e where e.customer_id = b.customer_id) as f from balances b where b.ym = '{base_ym}'",
    ),
    Case(
        "EXISTS in the future",
        "select b.customer_id, case when exists (select 1 from loans l where l.customer_id = b.customer_id and l.contract_dt between '{af_1m_dt}' and '{af_3m_last_dt}') then 1 else 0 end as f from balances b where b.ym = '{base_ym}'",
    ),
    Case(
        "NOT EXISTS ever",
        "select b.customer_id, b.amt as f from balances b where b.ym = '{base_ym}' and not exists (select 1 from calls k where k.customer_id = b.customer_id and k.minutes > 50)",
    ),
    Case(
        "IN a list of later customers",
        "select customer_id, amt as f from balances where ym = '{base_ym}' and customer_id in (select customer_id from loans where contract_dt > '{base_dt}')",
    ),
    Case(
        "NOT IN a list of all times",
        "select customer_id, amt as f from balances where ym = '{base_ym}' and customer_id not in (select customer_id from loans where amount > 9000)",
    ),
    Case(
        "the newest row of all",
        "select b.customer_id, b.amt as f from balances b where b.ym = (select max(m.ym) from balances m)",
    ),
    Case(
        "a WITH query that one use limits and the other does not",
        "with t as (select customer_id, ym, amt from balances) select a.customer_id, sum(a.amt) as f, max(x.m) as g from t a join (select customer_id, max(amt) as m from t group by customer_id) x on x.customer_id = a.customer_id where a.ym = '{base_ym}' group by a.customer_id",
    ),
    Case(
        "a limit around an aggregate",
        "select q.customer_id, q.f from (select customer_id, min(ym) as first_ym, sum(amt) as f from balances group by customer_id) q where q.first_ym <= '{base_ym}'",
    ),
    # unions
    Case(
        "one branch of a union",
        "select customer_id, sum(v) as f from (select customer_id, amt as v from balances where ym = '{base_ym}' union all select customer_id, amount from events) u group by customer_id",
    ),
    Case(
        "EXCEPT of the future",
        "select q.customer_id, 1 as f from (select customer_id from balances where ym = '{base_ym}' except select customer_id from balances where ym = '{af_1m_ym}' and cnt > 3) q",
    ),
    # aggregates and windows
    Case(
        "HAVING on the newest month",
        "select customer_id, sum(cnt) as f from balances group by customer_id having min(ym) <= '{base_ym}'",
    ),
    Case(
        "LEAD looks at the next month",
        "select q.customer_id, q.f from (select customer_id, ym, lead(amt) over (partition by customer_id order by ym) as f from balances) q where q.ym = '{base_ym}'",
    ),
    Case(
        "a rank over all months",
        "select q.customer_id, q.f from (select customer_id, ym, rank() over (partition by customer_id order by amt) as f from balances) q where q.ym = '{base_ym}'",
    ),
    Case(
        "the last row by a window",
        "select q.customer_id, q.amt as f from (select customer_id, amt, row_number() over (partition by customer_id order by ym desc) as n from balances) q where q.n = 1",
    ),
    Case(
        "a running sum that runs on",
        "select q.customer_id, q.f from (select customer_id, ym, sum(cnt) over (partition by customer_id order by ym rows between unbounded preceding and unbounded following) as f from balances) q where q.ym = '{base_ym}'",
    ),
    Case(
        "a share of the average of all months",
        "select b.customer_id, b.amt / a.mean as f from balances b cross join (select avg(amt) as mean from balances) a where b.ym = '{base_ym}'",
    ),
    Case(
        "days until the next event",
        "select b.customer_id, datediff(min(e.event_ts), to_timestamp('{base_dt}', 'yyyyMMdd')) as f from balances b left join events e on e.customer_id = b.customer_id and e.event_ts >= to_timestamp('{af_1m_dt}', 'yyyyMMdd') where b.ym = '{base_ym}' group by b.customer_id",
    ),
    # what a known row can only say in hindsight
    Case(
        "a label by its name",
        "select customer_id, default_flag_next_3m as f from balances where ym = '{base_ym}'",
    ),
    Case(
        "a label of two months ago that is not ripe",
        "select customer_id, max(default_flag_next_3m) as f from balances where ym = '{bf_2m_ym}' group by customer_id",
    ),
    Case(
        "a label that was named",
        "select customer_id, grade as f from balances where ym = '{base_ym}'",
        labels=(("balances", "grade"),),
    ),
    Case(
        "open today, not at the base date",
        "select customer_id, count(*) as f from cards where open_dt <= to_timestamp('{base_dt}', 'yyyyMMdd') and closed_dt is null group by customer_id",
        is_told_by_text=False,
    ),
    Case(
        "why it will be closed",
        "select customer_id, max(closed_reason) as f from cards where open_dt <= to_timestamp('{base_dt}', 'yyyyMMdd') group by customer_id",
        is_told_by_text=False,
    ),
    Case(
        "days until it will be closed",
        "select customer_id, max(datediff(closed_dt, open_dt)) as f from cards where open_dt <= to_timestamp('{base_dt}', 'yyyyMMdd') group by customer_id",
        is_told_by_text=False,
    ),
    # who is there at all
    Case("customers who have not joined yet", "select customer_id, segment as f from customers"),
    Case(
        "customers who have not joined yet, beside a bound",
        "select c.customer_id, sum(b.amt) as f from customers c left join balances b on b.customer_id = c.customer_id and b.ym = '{base_ym}' group by c.customer_id",
    ),
    Case(
        "popular shops of all times",
        "select e.customer_id, count(*) as f from events e join (select shop_id from events group by shop_id having count(*) > 250) p on p.shop_id = e.shop_id join shops s on s.shop_id = e.shop_id where e.event_ts < to_timestamp('{af_1m_dt}', 'yyyyMMdd') group by e.customer_id",
        timeless=SHOPS,
    ),
]


@pytest.mark.parametrize("case", LEAKS, ids=lambda case: case.name)
def test_the_poison_finds_it(bank, spec_of, case):
    result = prove(bank, spec_of(case), BASE_YM, timeless=case.timeless, labels=case.labels)
    assert result.outcome == "LEAK", result.sentence
    assert result.differences[0]["entities"] > 0
    example = result.differences[0]["example"]
    assert example["before"] != example["after"]
    assert str(example["entity"]) in result.sentence


@pytest.mark.parametrize("case", [case for case in LEAKS if case.is_told_by_text], ids=lambda case: case.name)
def test_the_text_shows_it(bank, case):
    schema = {name: {c.name: c.type for c in bank.describe(name)} for name in bank.list_tables()}
    verdict = check_static(case.sql, BASE_YM, schema=schema, timeless=case.timeless, labels=case.labels)
    if case.name == "a text compared in another writing":
        # by the names alone, a text column called call_dt could hold 20240131: the data tell
        writings = {"calls": {"call_dt": "iso"}}
        verdict = check_static(case.sql, BASE_YM, schema=schema, timeless={}, writings=writings)
    assert not verdict.is_clean
    assert verdict.sentence.endswith(".")
