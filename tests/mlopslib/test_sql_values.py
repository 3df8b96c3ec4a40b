"""The translated text gives the values of the warehouse, not only a text that runs.

Expected values: measured on a Spark HiveServer2 where Spark and Impala agree, else from Impala's manual.
"""

from __future__ import annotations

from datetime import date, datetime

import duckdb
import pytest

from mlopslib.errors import SqlRejected
from mlopslib.sql import to_duckdb


@pytest.fixture(scope="module")
def engine():
    connection = duckdb.connect()
    connection.execute(
        """create table t as select * from (values
            (1, 12.5::double, 'north', timestamp '2022-01-31 10:20:30', '20220131', null::int),
            (2, 200.0::double, 'south', timestamp '2022-02-28 23:00:00', '20220228', 7)
        ) v(id, x, s, ts, dt, m)"""
    )
    yield connection
    connection.close()


def one(engine, expression: str, *, where: str = "id = 1"):
    sql = to_duckdb(f"select {expression} as v from t where {where}")
    return engine.sql(sql).fetchall()[0][0]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # values that the plain translation would change
        ("dayofweek(ts)", 2),  # a Monday; Sunday is 1
        ("dayofweek('2026-11-22')", 1),
        ("cast(12.7 as int)", 12),
        ("cast(-12.7 as int)", -12),
        ("cast('12.7' as int)", 12),
        ("cast('9007199254740993' as bigint)", 9007199254740993),
        ("cast('x' as int)", None),
        ("cast(x > 1 as int)", 1),
        ("cast(300 as tinyint)", None),
        ("greatest(1, m)", None),
        ("least(1, m)", None),
        ("greatest(1, 3, 2)", 3),
        ("5 div 0", None),
        ("5 % 0", None),
        ("5 / 0", None),
        ("5 / 2", 2.5),
        ("-7 div 2", -3),
        ("-7 % 3", -1),
        ("pmod(-7, 3)", 2),
        # a time that moves keeps its time of day, a date stays a date
        ("add_months(ts, 1)", datetime(2022, 2, 28, 10, 20, 30)),
        ("add_months('2022-01-31', -1)", datetime(2021, 12, 31)),
        ("add_months(to_date(ts), 1)", date(2022, 2, 28)),
        ("add_months(cast('2024-02-29' as date), 12)", date(2025, 2, 28)),
        ("months_add(ts, id + 1)", datetime(2022, 3, 31, 10, 20, 30)),
        ("months_sub(ts, 2)", datetime(2021, 11, 30, 10, 20, 30)),
        ("days_sub(ts, 31)", datetime(2021, 12, 31, 10, 20, 30)),
        ("days_add(trunc(ts, 'MM'), 1)", date(2022, 1, 2)),
        ("years_add(ts, 1)", datetime(2023, 1, 31, 10, 20, 30)),
        ("date_sub(ts, 1)", datetime(2022, 1, 30, 10, 20, 30)),
        ("date_sub(date_add(to_date(ts), 1), 1)", date(2022, 1, 31)),
        ("date_sub(ts, interval 1 month)", datetime(2021, 12, 31, 10, 20, 30)),
        ("hours_add(ts, 2)", datetime(2022, 1, 31, 12, 20, 30)),
        ("date_add(ts, interval 2 hours)", datetime(2022, 1, 31, 12, 20, 30)),
        ("trunc(ts, 'MM')", date(2022, 1, 1)),
        ("trunc('2022-05-17', 'Q')", date(2022, 4, 1)),
        ("trunc(ts, 'YEAR')", date(2022, 1, 1)),
        ("trunc(ts, 'D')", date(2022, 1, 31)),  # Monday starts the week
        ("trunc(ts, 'HH')", datetime(2022, 1, 31, 10)),
        ("trunc(12.7)", 12),
        ("truncate(12.78, 1)", 12.7),
        ("datediff('2022-03-01', ts)", 29),
        ("months_between('2022-03-31', ts)", 2.0),
        # the manual of Impala: the time of day does not count
        ("months_between('2015-05-28 23:00:00', '2015-04-28 11:45:00')", 1.0),
        ("months_between('2015-06-02', '2015-05-29')", 4 / 31),
        ("int_months_between('2022-03-30', '2022-01-31')", 1),
        ("last_day('2022-02-05')", date(2022, 2, 28)),
        ("year('2022-02-05') * 100 + month('2022-02-05')", 202202),
        ("year('not a date')", None),
        ("date_part('month', ts)", 1),
        ("quarter(ts) * 10 + hour(ts)", 20),
        ("dayofyear('2022-02-01')", 32),
        ("weekofyear('2022-01-03')", 1),
        ("extract(ts, 'month')", 1),
        ("extract(second from ts)", 30),
        ("cast(ts as bigint)", 1643624430),
        ("cast(id as timestamp)", datetime(1970, 1, 1, 0, 0, 1)),
        # texts and dates
        ("from_timestamp(ts, 'yyyyMM')", "202201"),
        ("to_timestamp(dt, 'yyyyMMdd')", datetime(2022, 1, 31)),
        ("to_timestamp('bad', 'yyyyMMdd')", None),
        ("from_timestamp(add_months(to_timestamp(dt, 'yyyyMMdd'), -1), 'yyyyMM')", "202112"),
        ("unix_timestamp('1970-01-02')", 86400),
        ("unix_timestamp('19700102', 'yyyyMMdd')", 86400),
        ("from_unixtime(86400, 'yyyyMMdd')", "19700102"),
        ("substr(dt, 1, 6)", "202201"),
        ("substr(s, -2)", "th"),
        ("substr(s, 2, -1)", ""),
        ("'a_b' like 'a\\\\_b'", True),
        ("'axb' like 'a\\\\_b'", False),
        ("strleft(s, 2)", "no"),
        ("strright(s, 2)", "th"),
        ("concat(s, null)", None),
        ("concat_ws('-', s, null, 'a')", "north-a"),
        ("instr(s, 'th')", 4),
        ("lpad('7', 3, '0')", "007"),
        ("split_part('a-b-c', '-', 2)", "b"),
        ("regexp_extract('ab12', '([0-9]+)', 1)", "12"),
        ("regexp_replace('a1b2', '[0-9]', '')", "ab"),
        # missing
        ("zeroifnull(m)", 0),
        ("nullifzero(0)", None),
        ("nvl(m, 3)", 3),
        ("isnull(m, 3)", 3),
        ("nvl2(m, 1, 2)", 2),
        ("decode(id, 1, 'one', 'other')", "one"),
        ("decode(m, null, 'none', 'some')", "none"),
        ("m <=> null", True),
    ],
)
def test_values(engine, expression, expected):
    found = one(engine, expression)
    assert (
        found is None
        if expected is None
        else float(found) == expected
        if isinstance(expected, float)
        else found == expected
    )
    if isinstance(expected, date) and not isinstance(expected, datetime):
        assert not isinstance(found, datetime)


def test_thirty_days_beside_a_month(engine):
    """DuckDB alone gives both the same value: it takes the two intervals for one."""
    sql = """select days_add(ts, 30) a, months_add(ts, 1) b, ts + interval 30 days c, ts - interval 1 month d
             from t where id = 1"""
    assert engine.sql(to_duckdb(sql)).fetchall()[0] == (
        datetime(2022, 3, 2, 10, 20, 30),
        datetime(2022, 2, 28, 10, 20, 30),
        datetime(2022, 3, 2, 10, 20, 30),
        datetime(2021, 12, 31, 10, 20, 30),
    )


@pytest.mark.parametrize(
    "expression",
    [
        "from_timestamp(ts, 'YYYYMM')",
        "from_timestamp(ts, 'HH:mm:ss.SSS')",
        "to_timestamp(dt, s)",
        "from_unixtime(id, 'EEE')",
        "extract(epoch from ts)",
        "date_part('millisecond', ts)",
    ],
)
def test_what_has_no_one_value_is_refused_with_what_to_write(expression):
    with pytest.raises(SqlRejected, match=r"it knows|in quotes|knows YEAR"):
        to_duckdb(f"select {expression} as v from t")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("percentile(x, 0.5)", 106.25),  # interpolates
        ("percentile_approx(x, 0.5)", 12.5),  # a value that occurs
        ("appx_median(x)", 12.5),
        ("ndv(s)", 2),
        ("count(m)", 1),
        ("stddev(x)", 132.582521472478),
        ("variance_pop(x)", 8789.0625),
        ("sum(zeroifnull(m))", 7),
    ],
)
def test_aggregates(engine, expression, expected):
    assert one(engine, expression, where="true") == pytest.approx(expected)


def test_group_concat_has_impalas_separator(engine):
    assert one(engine, "group_concat(s)", where="true") in ("north, south", "south, north")
    assert one(engine, "group_concat(distinct s, '/')", where="id = 1") == "north"


def test_null_sorts_as_the_largest(engine):
    def order(direction: str) -> list[int]:
        return [
            row[0] for row in engine.sql(to_duckdb(f"select id from t order by m {direction}")).fetchall()
        ]

    assert order("asc") == [2, 1]
    assert order("desc") == [1, 2]


def test_reserved_words_of_the_engine_may_be_column_names(engine):
    found = engine.sql(to_duckdb("select id as `end`, x as `order`, s as qualify from t where id = 2"))
    assert found.columns == ["end", "order", "qualify"]


def test_seconds_are_utc_in_every_session():
    connection = duckdb.connect()
    connection.execute("set timezone = 'Asia/Seoul'")
    sql = to_duckdb("select from_unixtime(0, 'yyyy-MM-dd HH:mm:ss') as v, to_timestamp(0) as w")
    assert connection.sql(sql).fetchall()[0] == ("1970-01-01 00:00:00", datetime(1970, 1, 1))
