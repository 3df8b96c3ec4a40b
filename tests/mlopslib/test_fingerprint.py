"""Two texts that say the same have one fingerprint; two that do not, have two."""

# ruff: noqa: E501 (a query on one line is easier to compare)
from __future__ import annotations

import pytest

from mlopslib.sql.fingerprint import fingerprint

BASE = "select c.id, sum(t.amt) as total from cust c join txn t on c.id = t.id where t.ym = '{base_ym}' and t.amt > 0 group by c.id"

SAME = [
    "SELECT c.id, SUM(t.amt) AS total\n FROM cust c JOIN txn t ON c.id = t.id -- a comment\n WHERE t.ym='{base_ym}' AND t.amt>0 GROUP BY c.id",
    "select x.id, sum(y.amt) as other from CUST x join TXN y on x.id = y.id where y.ym = '{base_ym}' and y.amt > 0 group by x.id",
    "select c.id, sum(t.amt) as total from cust c join txn t on c.id = t.id where t.amt > 0 and t.ym = '{base_ym}' group by c.id",
    "select c.id, sum(t.amt) as total from cust c join txn t on t.id = c.id where ('{base_ym}' = t.ym) and 0 < t.amt group by c.id",
    "select c.id, sum(t.amt) as total from cust c, txn t where c.id = t.id and t.ym = '{base_ym}' and t.amt > 0 group by c.id",
    "select c.id, sum(t.amt) as total from txn t join cust c on c.id = t.id where t.ym = '{base_ym}' and t.amt > 0 group by 1",
    "select sum(t.amt) as total, c.id from cust c join txn t on c.id = t.id where t.ym = '{ base_ym }' and t.amt > 0 group by c.id",
]  # fmt: skip

OTHER = [
    BASE.replace("base_ym", "bf_1m_ym"),
    BASE.replace("sum", "max"),
    BASE.replace("> 0", ">= 0"),
    BASE.replace("t.amt > 0", "0 > t.amt"),
    BASE.replace(" join ", " left join "),
    BASE.replace("and", "or"),
    BASE.replace("from cust c", "from cust_2 c"),
    BASE.replace("sum(t.amt)", "sum(distinct t.amt)"),
    BASE.replace("sum(t.amt)", "sum(c.amt)"),
    BASE.replace("'{base_ym}'", "{base_ym}"),
    BASE + " limit 5",
]


@pytest.mark.parametrize("sql", SAME)
def test_other_words_for_the_same_query_have_the_same_fingerprint(sql):
    assert fingerprint(sql) == fingerprint(BASE)


@pytest.mark.parametrize("sql", OTHER)
def test_another_query_has_another_fingerprint(sql):
    assert fingerprint(sql) != fingerprint(BASE)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("with b as (select id from t where x = 1) select id from b", "select q.id from (select id from T where x = 1) q"),
        ("select id from t where x between 1 and 3 and y = 2", "select id from t where y = 2 and x <= 3 and x >= 1"),
        ("select id from t where a = 1 or b = 2 or c = 3", "select id from t where c = 3 or (a = 1 or b = 2)"),
        ("select id from t where a + b > 1", "select id from t where 1 < (b + a)"),
        ("select id from a union all select id from b", "select id from b union all select id from a"),
    ],
)  # fmt: skip
def test_spellings_that_mean_one_thing(one, other):
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select id from t where a - b > 1", "select id from t where b - a > 1"),
        ("select id from a union select id from b", "select id from a union all select id from b"),
        ("select id from a except select id from b", "select id from b except select id from a"),
        ("select id from t where x = '1'", "select id from t where x = 1"),
        ("select id from t where x = 'A'", "select id from t where x = 'a'"),
        ("select a.x from t a left join t b on a.i = b.i", "select b.x from t a left join t b on a.i = b.i"),
        ("select sum(x) over (order by y) from t", "select sum(x) over (order by y desc) from t"),
    ],
)
def test_differences_that_count(one, other):
    assert fingerprint(one) != fingerprint(other)
