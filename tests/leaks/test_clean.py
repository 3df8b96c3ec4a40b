"""Clean definitions: none is called a leak, and the text alone shows nearly all to be clean."""

# ruff: noqa: E501 (a query on one line is easier to compare)
from __future__ import annotations

import pytest

from mlopslib.leakproof import prove
from mlopslib.sql.leaks import check_static
from tests.leaks.case import BASE_YM, SHOPS, Case

DUE = {"loans.maturity_dt": "the due date is agreed when the contract is signed"}

CLEAN = [
    # plain bounds in every writing
    Case("the base month", "select customer_id, amt as f, grade as g from balances where ym = '{base_ym}'"),
    Case(
        "three months by BETWEEN",
        "select customer_id, avg(amt) as f from balances where ym between '{bf_2m_ym}' and '{base_ym}' group by customer_id",
    ),
    Case(
        "a list of months",
        "select customer_id, sum(amt) as f from balances where ym in ('{bf_1m_ym}', '{base_ym}') group by customer_id",
    ),
    Case(
        "before the next month",
        "select customer_id, max(cnt) as f from balances where ym < '{af_1m_ym}' group by customer_id",
    ),
    Case(
        "the month written first",
        "select customer_id, max(cnt) as f from balances where '{base_ym}' >= ym group by customer_id",
    ),
    Case("a month as a number", "select customer_id, score as f from grades where base_ym = {base_ym}"),
    Case(
        "a month as a number, cast",
        "select customer_id, max(score) as f from grades where cast(base_ym as string) <= '{base_ym}' group by customer_id",
    ),
    Case(
        "a text day",
        "select customer_id, count(*) as f from loans where contract_dt between '{bf_6m_dt}' and '{base_dt}' group by customer_id",
    ),
    Case(
        "the first six digits of a day",
        "select customer_id, count(*) as f from loans where substr(contract_dt, 1, 6) = '{base_ym}' group by customer_id",
    ),
    Case(
        "the first digits by LEFT",
        "select customer_id, sum(amount) as f from loans where strleft(contract_dt, 6) <= '{base_ym}' group by customer_id",
    ),
    Case(
        "a timestamp before the next month",
        "select customer_id, count(*) as f from events where event_ts < to_timestamp('{af_1m_dt}', 'yyyyMMdd') group by customer_id",
    ),
    Case(
        "a timestamp with the last moment",
        "select customer_id, sum(amount) as f from events where event_ts between to_timestamp('{bf_2m_dt}', 'yyyyMMdd') and '2024-01-31 23:59:59' group by customer_id",
    ),
    Case(
        "a timestamp written as a month",
        "select customer_id, count(*) as f from events where from_timestamp(event_ts, 'yyyyMM') = '{base_ym}' group by customer_id",
    ),
    Case(
        "a timestamp as a day",
        "select customer_id, max(amount) as f from events where to_date(event_ts) <= to_date(to_timestamp('{base_dt}', 'yyyyMMdd')) group by customer_id",
    ),
    Case(
        "the month made of year and month",
        "select customer_id, count(*) as f from events where year(event_ts) * 100 + month(event_ts) <= {base_ym} group by customer_id",
    ),
    Case(
        "the last ninety days",
        "select customer_id, count(*) as f from events where datediff(to_timestamp('{base_dt}', 'yyyyMMdd'), event_ts) between 0 and 90 group by customer_id",
    ),
    Case(
        "truncated to the month",
        "select customer_id, count(*) as f from events where trunc(event_ts, 'MM') <= to_timestamp('{base_first_dt}', 'yyyyMMdd') group by customer_id",
    ),
    Case(
        "the last day of the month",
        "select customer_id, count(*) as f from events where last_day(event_ts) <= to_timestamp('{base_dt}', 'yyyyMMdd') group by customer_id",
    ),
    Case(
        "a day with dashes",
        "select customer_id, sum(minutes) as f from calls where call_dt <= from_timestamp(to_timestamp('{base_dt}', 'yyyyMMdd'), 'yyyy-MM-dd') group by customer_id",
    ),
    Case(
        "a day without its dashes",
        "select customer_id, sum(minutes) as f from calls where replace(call_dt, '-', '') between '{bf_2m_dt}' and '{base_dt}' group by customer_id",
    ),
    Case(
        "months back by ADD_MONTHS",
        "select customer_id, sum(amount) as f from events where event_ts >= add_months(to_timestamp('{base_first_dt}', 'yyyyMMdd'), -3) and event_ts < add_months(to_timestamp('{base_first_dt}', 'yyyyMMdd'), 1) group by customer_id",
    ),
    # AND, OR, NOT
    Case(
        "every branch of OR is bounded",
        "select customer_id, sum(amt) as f from balances where (ym = '{base_ym}' and grade = 'A') or ym = '{bf_1m_ym}' group by customer_id",
    ),
    Case(
        "NOT of the future",
        "select customer_id, sum(amt) as f from balances where not (ym > '{base_ym}') group by customer_id",
    ),
    Case(
        "NOT of an OR",
        "select customer_id, sum(amt) as f from balances where not (ym > '{base_ym}' or grade = 'C') group by customer_id",
    ),
    Case(
        "CASE inside the bound",
        "select customer_id, sum(case when ym = '{base_ym}' then amt end) as f, sum(case when ym = '{bf_1m_ym}' then amt end) as g from balances where ym between '{bf_1m_ym}' and '{base_ym}' group by customer_id",
    ),
    # joins
    Case(
        "joined by the month",
        "select b.customer_id, max(g.score) as f from balances b join grades g on g.customer_id = b.customer_id and cast(g.base_ym as string) = b.ym where b.ym = '{base_ym}' group by b.customer_id",
    ),
    Case(
        "joined up to the other's date",
        "select b.customer_id, count(l.loan_id) as f from balances b left join loans l on l.customer_id = b.customer_id and substr(l.contract_dt, 1, 6) <= b.ym where b.ym = '{base_ym}' group by b.customer_id",
    ),
    Case(
        "LEFT JOIN with its bound in ON",
        "select c.customer_id, sum(e.amount) as f from customers c left join events e on e.customer_id = c.customer_id and e.event_ts < to_timestamp('{af_1m_dt}', 'yyyyMMdd') where c.join_dt <= '{base_dt}' group by c.customer_id",
    ),
    Case(
        "LEFT JOIN with its bound in WHERE",
        "select c.customer_id, count(*) as f from customers c left join loans l on l.customer_id = c.customer_id where c.join_dt <= '{base_dt}' and l.contract_dt <= '{base_dt}' group by c.customer_id",
    ),
    Case(
        "tables with a comma",
        "select c.customer_id, b.amt as f from customers c, balances b where c.customer_id = b.customer_id and b.ym = '{base_ym}' and c.join_dt <= '{base_dt}'",
    ),
    Case(
        "a dimension declared timeless",
        "select e.customer_id, sum(case when s.category = 'FOOD' then e.amount else 0 end) as f from events e join shops s on s.shop_id = e.shop_id where e.event_ts < to_timestamp('{af_1m_dt}', 'yyyyMMdd') group by e.customer_id",
        timeless=SHOPS,
    ),
    Case(
        "USING instead of ON",
        "select customer_id, max(score) as f from balances join grades using (customer_id) where ym = '{base_ym}' and base_ym <= {base_ym} group by customer_id",
    ),
    Case(
        "an anti join on what was",
        "select b.customer_id, b.amt as f from balances b left anti join loans l on l.customer_id = b.customer_id and l.contract_dt <= '{base_dt}' where b.ym = '{base_ym}'",
    ),
    # subqueries
    Case(
        "bounded inside a WITH query",
        "with t as (select customer_id, amt from balances where ym <= '{base_ym}') select customer_id, sum(amt) as f from t group by customer_id",
    ),
    Case(
        "bounded around a WITH query",
        "with t as (select customer_id, ym, amt from balances) select customer_id, sum(amt) as f from t where ym = '{base_ym}' group by customer_id",
    ),
    Case(
        "bounded around a subquery by its group",
        "select q.customer_id, sum(q.s) as f from (select customer_id, ym, sum(amt) as s from balances group by customer_id, ym) q where q.ym <= '{base_ym}' group by q.customer_id",
    ),
    Case(
        "bounded around a union",
        "select u.customer_id, sum(u.v) as f from (select customer_id, ym, amt as v from balances union all select customer_id, cast(base_ym as string), score from grades) u where u.ym = '{base_ym}' group by u.customer_id",
    ),
    Case(
        "a correlated subquery up to the outer month",
        "select b.customer_id, (select max(g.score) from grades g where g.customer_id = b.customer_id and cast(g.base_ym as string) <= b.ym) as f from balances b where b.ym = '{base_ym}'",
    ),
    Case(
        "EXISTS in the past",
        "select b.customer_id, case when exists (select 1 from loans l where l.customer_id = b.customer_id and l.contract_dt <= '{base_dt}') then 1 else 0 end as f from balances b where b.ym = '{base_ym}'",
    ),
    Case(
        "IN a list of known months",
        "select customer_id, sum(amt) as f from balances where ym in (select cast(base_ym as string) from grades where base_ym between {bf_2m_ym} and {base_ym}) group by customer_id",
    ),
    Case(
        "the newest month that is known",
        "select b.customer_id, b.amt as f from balances b where b.ym = (select max(m.ym) from balances m where m.ym <= '{base_ym}')",
    ),
    # aggregates and windows
    Case(
        "HAVING on a known group",
        "select customer_id, sum(amt) as f from balances where ym <= '{base_ym}' group by customer_id having max(ym) = '{base_ym}'",
    ),
    Case(
        "a window over known months",
        "select q.customer_id, q.f from (select customer_id, ym, lag(amt) over (partition by customer_id order by ym) as f from balances where ym <= '{base_ym}') q where q.ym = '{base_ym}'",
    ),
    Case(
        "a rank within the month",
        "select q.customer_id, q.f from (select customer_id, ym, percent_rank() over (partition by ym order by amt) as f from balances) q where q.ym = '{base_ym}'",
    ),
    Case(
        "the last known event",
        "select q.customer_id, q.amount as f from (select customer_id, amount, row_number() over (partition by customer_id order by event_ts desc, event_id) as n from events where event_ts < to_timestamp('{af_1m_dt}', 'yyyyMMdd')) q where q.n = 1",
    ),
    Case(
        "a share of the month's average",
        "select b.customer_id, b.amt / a.mean as f from balances b join (select ym, avg(amt) as mean from balances group by ym) a on a.ym = b.ym where b.ym = '{base_ym}'",
    ),
    Case(
        "a spread over known months",
        "select customer_id, stddev(amt) as f, corr(amt, cnt) as g from balances where ym <= '{base_ym}' group by customer_id",
    ),
    # several dates in one table
    Case(
        "cards open at the base date",
        "select customer_id, count(*) as f from cards where open_dt <= to_timestamp('{base_dt}', 'yyyyMMdd') and (closed_dt is null or closed_dt > to_timestamp('{base_dt}', 'yyyyMMdd')) group by customer_id",
    ),
    Case(
        "why cards were closed until now",
        "select customer_id, max(case when closed_dt <= to_timestamp('{base_dt}', 'yyyyMMdd') then closed_reason end) as f from cards where open_dt <= to_timestamp('{base_dt}', 'yyyyMMdd') group by customer_id",
    ),
    Case(
        "a due date that is known",
        "select customer_id, min(datediff(to_timestamp(maturity_dt, 'yyyyMMdd'), to_timestamp('{base_dt}', 'yyyyMMdd'))) as f from loans where contract_dt <= '{base_dt}' group by customer_id",
        timeless=DUE,
    ),
    Case(
        "rows that were loaded a day later",
        "select customer_id, count(*) as f, max(kind) as g from events where event_ts < to_timestamp('{af_1m_dt}', 'yyyyMMdd') and loaded_at is not null group by customer_id",
    ),
    Case(
        "a label that is ripe",
        "select customer_id, default_flag_next_3m as f from balances where ym = '{bf_3m_ym}'",
        is_told_by_text=False,
    ),
    Case(
        "read beyond, used within",
        "select c.customer_id, max(case when b.ym = '{base_ym}' then b.amt end) as f from customers c left join balances b on b.customer_id = c.customer_id where c.join_dt <= '{base_dt}' group by c.customer_id",
        is_told_by_text=False,
    ),
]


@pytest.mark.parametrize("case", CLEAN, ids=lambda case: case.name)
def test_no_false_alarm(bank, spec_of, case):
    result = prove(bank, spec_of(case), BASE_YM, timeless=case.timeless)
    assert result.outcome == "PROVED", result.sentence
    assert result.differences == []
    dated = {name: counts for name, counts in result.poisoned.items() if name not in case.timeless}
    assert dated
    assert all(counts["added"] > 0 for counts in dated.values())


@pytest.mark.parametrize("case", [case for case in CLEAN if case.is_told_by_text], ids=lambda case: case.name)
def test_the_text_shows_it(bank, case):
    schema = {name: {c.name: c.type for c in bank.describe(name)} for name in bank.list_tables()}
    verdict = check_static(case.sql, BASE_YM, schema=schema, timeless=case.timeless)
    assert verdict.is_clean, verdict.sentence
    assert all(item.high is None or item.high <= "20240131" for item in verdict.sources)
