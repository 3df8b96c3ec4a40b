"""Every output column knows the table columns that it is computed from."""

# ruff: noqa: E501 (a query on one line is easier to compare)
from __future__ import annotations

import pytest

from mlopslib.errors import SqlRejected
from mlopslib.sql.lineage import filters_of, sources_of

SCHEMA = {
    "cust": {"id": "varchar", "name": "varchar", "join_dt": "varchar"},
    "txn": {"id": "varchar", "ym": "varchar", "amt": "double", "kind": "varchar"},
    "bal": {"id": "varchar", "ym": "varchar", "bal": "double"},
}


def columns(*words: str) -> frozenset[tuple[str, str]]:
    return frozenset((word.split(".")[0], word.split(".")[1]) for word in words)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select id, amt from txn", {"id": columns("txn.id"), "amt": columns("txn.amt")}),
        ("select * from bal", {name: columns(f"bal.{name}") for name in ("id", "ym", "bal")}),
        ("select b.* from bal b", {name: columns(f"bal.{name}") for name in ("id", "ym", "bal")}),
        ("SELECT T.AMT AS A FROM TXN T", {"a": columns("txn.amt")}),
        ("select amt * 2 + nvl(amt, 0) as x from txn", {"x": columns("txn.amt")}),
        ("select count(*) as n from txn", {"n": frozenset()}),
        ("select '{base_ym}' as ym from txn", {"ym": frozenset()}),
        (
            "select sum(case when kind = 'A' then amt end) as s from txn",
            {"s": columns("txn.kind", "txn.amt")},
        ),
        (
            "with t as (select id, amt as a from txn) select id, sum(a) as s from t group by id",
            {"id": columns("txn.id"), "s": columns("txn.amt")},
        ),
        (
            "with t as (select * from txn), u as (select id, max(amt) as m from t group by id) select m from u",
            {"m": columns("txn.amt")},
        ),
        (
            "select q.x from (select t.amt - b.bal as x from txn t join bal b on t.id = b.id) q",
            {"x": columns("txn.amt", "bal.bal")},
        ),
        (
            "select id, amt from txn union all select id, bal from bal",
            {"id": columns("txn.id", "bal.id"), "amt": columns("txn.amt", "bal.bal")},
        ),
        (
            "select u.v from (select amt as v from txn union select bal from bal) u",
            {"v": columns("txn.amt", "bal.bal")},
        ),
        (
            "select rank() over (partition by id order by ym desc) as r from bal",
            {"r": columns("bal.id", "bal.ym")},
        ),
        (
            "select c.id, (select max(t.amt) from txn t where t.id = c.id) as m from cust c",
            {"id": columns("cust.id"), "m": columns("txn.amt")},
        ),
        (
            "select a.amt, b.amt as amt_2 from txn a left join txn b on a.id = b.id",
            {"amt": columns("txn.amt"), "amt_2": columns("txn.amt")},
        ),
        ("select name from cust left semi join txn using (id)", {"name": columns("cust.name")}),
        (
            "with txn as (select id, bal as amt from bal) select amt from txn",
            {"amt": columns("bal.bal")},
        ),
    ],
)
def test_values_are_followed_to_the_tables(sql, expected):
    assert sources_of(sql, SCHEMA) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select amt from txn", frozenset()),
        ("select amt from txn where ym = '{base_ym}'", columns("txn.ym")),
        ("select id, sum(amt) as s from txn group by id having max(ym) > '1'", columns("txn.id", "txn.ym")),
        ("select name from cust join txn on cust.id = txn.id", columns("cust.id", "txn.id")),
        ("select name from cust join txn using (id)", columns("cust.id", "txn.id")),
        (
            "with t as (select * from txn where kind = 'A') select t.amt from t order by t.ym",
            columns("txn.kind", "txn.ym"),
        ),
        (
            "select name from cust c where exists (select 1 from txn t where t.id = c.id and t.amt > 0)",
            columns("txn.id", "cust.id", "txn.amt"),
        ),
        ("select name from cust where id in (select id from bal where bal > 1)", columns("cust.id", "bal.id", "bal.bal")),
        ("select q.amt from (select amt, kind as k from txn) q where q.k = 'A'", columns("txn.kind")),
    ],
)  # fmt: skip
def test_filters_are_followed_to_the_tables(sql, expected):
    assert filters_of(sql, SCHEMA) == expected


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("select nmae from cust", "no column is called 'nmae': did you mean 'name'?"),
        ("select c.nmae from cust c", "did you mean 'name'?"),
        ("select id from cust join txn on cust.id = txn.id", "write cust.id"),
        ("select q.amount from (select amt from txn) q", "'amount'"),
        ("select x.name from cust c", "'x.name'"),
    ],
)
def test_a_column_that_is_not_there_is_named(sql, words):
    with pytest.raises(SqlRejected) as caught:
        sources_of(sql, SCHEMA)
    assert words in caught.value.message


def test_a_with_query_that_doubles_itself_many_times_is_refused_and_not_written_out():
    names = ["q0 as (select id from txn)"]
    names += [f"q{n} as (select a.id from q{n - 1} a join q{n - 1} b on a.id = b.id)" for n in range(1, 30)]
    with pytest.raises(SqlRejected, match="2,000"):
        sources_of(f"with {', '.join(names)} select id from q29", SCHEMA)
