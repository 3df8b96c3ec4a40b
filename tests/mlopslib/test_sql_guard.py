"""A feature query is one SELECT over known tables, and nothing else gets through."""

from __future__ import annotations

import pytest

from mlopslib.dates import date_params
from mlopslib.errors import InvalidDate, SqlRejected, TableNotFound, UnknownParameter
from mlopslib.sql import guard_select, parameters_in, render_sql, tables_in, to_duckdb

TABLES = ["txn", "cust", "balance", "mart.daily"]

GOOD = [
    "select * from txn",
    "SELECT t.cust_id, SUM(t.amt) AS amt FROM txn t JOIN cust c ON t.cust_id = c.cust_id GROUP BY t.cust_id",
    "with a as (select * from txn), b as (select * from a) select * from b",
    "select 1 as x union all select 2",
    "(select 1 as x)",
    "select * from mart.daily",
    "select * from (select id, row_number() over (partition by id order by dt) n from txn) x where n = 1",
    "select case when exists (select 1 from cust) then 1 else 0 end as f from txn",
    "select * from txn where cust_id in (select cust_id from cust) and dt between '20220101' and '20220131'",
    "select count(distinct cust_id), avg(amt), max(if(amt > 0, amt, null)) from txn having count(*) > 1",
    "select a.x from txn a left semi join cust b on a.id = b.id",
    "select a.x from txn a left anti join cust b on a.id = b.id",
    "select `cust_id` from `txn` -- a comment; drop table txn\n",
    "/* one */ select '/* not a comment /* ' as x from txn /* two */",
    "select \"it's\" as x, 'it\\'s' as y from txn limit 5",
    "select cust_id from txn;",
    "select sum(amt) over (order by dt rows between 2 preceding and current row) from txn",
    "select cust_id, ifnull(amt, 0) from txn group by cust_id, amt with rollup",
]

BAD = [
    "",
    ";",
    "   -- nothing",
    "drop table txn",
    "select 1; select 2",
    "select 1; drop table txn",
    "insert into txn select * from cust",
    "insert overwrite table txn select * from cust",
    "update txn set amt = 1",
    "delete from txn",
    "merge into txn using cust on txn.id = cust.id when matched then update set amt = 1",
    "create table x as select * from txn",
    "create view x as select * from txn",
    "alter table txn add columns (x int)",
    "truncate table txn",
    "with a as (delete from txn returning *) select * from a",
    "with a as (insert into txn select 1) select * from a",
    "with a as (select 1) insert into txn select * from a",
    "from txn insert overwrite table x select *",
    "copy txn to 'x.csv'",
    "with a as (copy txn to 'x') select * from a",
    "attach 'x.db' as x",
    "install httpfs",
    "load httpfs",
    "pragma database_list",
    "set memory_limit='1GB'",
    "use other",
    "call f()",
    "explain select 1",
    "describe txn",
    "show tables",
    "export database 'x'",
    "invalidate metadata",
    "compute stats txn",
    "refresh txn",
    "load data inpath 'x' into table txn",
    "values (1), (2)",
    "select * into x from txn",
    "select * from read_csv('/etc/passwd')",
    "select * from read_parquet('x')",
    "select * from '/etc/passwd'",
    "select * from `/etc/passwd`",
    "select * from glob('*')",
    "select * from range(10)",
    "select * from table(f())",
    "select * from unnest([1, 2])",
    "select * from txn lateral view explode(split(x, ',')) t as y",
    "select explode(split(x, ',')) from txn",
    "select * from txn tablesample (10 percent)",
    "select * from txn for system_time as of '2022-01-01'",
    "select * from txn for update",
    "select * from txn pivot (sum(amt) for kind in ('a', 'b'))",
    "select read_text('/etc/passwd')",
    "select getenv('HOME')",
    "select current_setting('x')",
    "select pg_read_file('x')",
    "select now()",
    "select current_timestamp()",
    "select current_timestamp",
    "select current_date",
    "select unix_timestamp()",
    "select utc_timestamp()",
    "select rand() from txn",
    "select uuid() from txn",
    "select reflect('java.lang.System', 'exit', 0)",
    "select java_method('x', 'y')",
    "select transform(a) using 'sh' as b from txn",
    "select ${hiveconf:x} from txn",
    "select @x, @@version from txn",
    "select ? from txn",
    "select :x from txn",
    "select {base_ym} from txn",
    "with recursive a as (select 1 as n union all select n + 1 from a) select * from a",
    "select straight_join a.x from txn a join cust b on a.id = b.id",
    "select cast(dt as string format 'YYYY') from txn",
    "select substr(x, 0, 2) from txn",
    "select substr(cast(ts as timestamp), 1, 4) from txn",
    "select /* a /* b */ ; drop table txn -- */ 1",
    "select 1 /* open",
    "select 'open",
    "select " + "(" * 3000 + "1" + ")" * 3000,
    "select '" + "x" * 100_000 + "'",
    "select x.y.z() from txn",
    "select system$whoami()",
    "select * from txn, lateral (select 1)",
    "select trunc(dt, 'century') from txn",
]


@pytest.mark.parametrize("sql", GOOD)
def test_a_read_passes_and_can_be_translated(sql):
    query = guard_select(sql, tables=TABLES)
    assert to_duckdb(query)


@pytest.mark.parametrize("sql", BAD, ids=lambda sql: sql[:60])
def test_everything_else_is_refused_with_a_sentence(sql):
    with pytest.raises(SqlRejected) as caught:
        guard_select(sql, tables=TABLES)
    assert caught.value.field == "sql"
    assert 10 < len(caught.value.message) < 400


@pytest.mark.parametrize(
    "sql",
    [
        "select * from secret",
        "select * from cust, (with secret as (select 1) select * from secret) z, secret",
        "with secret as (select * from secret) select * from secret",
        "with a as (select * from b), b as (select 1) select * from a",
        "with txn2 as (select 1) select * from other.txn2",
        "select * from cust where id in (select id from secret)",
        "select (select max(x) from secret) from cust",
        "select * from information_schema.tables",
        "select * from duckdb_settings",
    ],
)
def test_a_table_that_is_not_in_the_catalog_is_refused_wherever_it_stands(sql):
    with pytest.raises(TableNotFound) as caught:
        guard_select(sql, tables=TABLES)
    assert caught.value.field == "sql"


def test_an_unknown_table_names_the_nearest():
    with pytest.raises(TableNotFound, match=r"no table is called 'blance': did you mean 'balance'\?"):
        guard_select("select * from blance", tables=TABLES)


def test_tables_are_matched_without_regard_to_case():
    assert guard_select("select * from TXN", tables=["Txn"])
    assert tables_in("select * from TXN a join Mart.Daily b on a.x = b.x join txn c on c.x = a.x") == [
        "mart.daily",
        "txn",
    ]


def test_names_of_with_queries_are_not_tables():
    sql = "with a as (select * from txn), b as (select * from a join cust on true) select * from b, a"
    assert tables_in(sql) == ["cust", "txn"]


def test_an_unknown_function_names_the_nearest():
    with pytest.raises(SqlRejected, match="did you mean COALESCE"):
        guard_select("select coalesc(a, b) from txn")


def test_a_wrong_number_of_arguments_is_told():
    with pytest.raises(SqlRejected, match="ZEROIFNULL takes 1 arguments, not 2"):
        guard_select("select zeroifnull(a, b) from txn")


def test_parameters_are_listed_once_in_order():
    sql = "select '{base_ym}' from t where dt >= '{bf_3m_dt}' and ym < '{base_ym}' and x rlike '[0-9]{2}'"
    assert parameters_in(sql) == ["base_ym", "bf_3m_dt"]
    assert render_sql(sql, date_params("202210")) == (
        "select '202210' from t where dt >= '20220701' and ym < '202210' and x rlike '[0-9]{2}'"
    )


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("bse_ym", "base_ym"), ("bf_3m_yn", "bf_3m_ym"), ("BASE_YM", "base_ym"), ("bf_99m_ym", "bf_9m_ym")],
)
def test_an_unknown_parameter_names_the_nearest(name, nearest):
    with pytest.raises(UnknownParameter) as caught:
        render_sql(f"select '{{{name}}}'", date_params("202210"))
    assert f"{{{name}}}" in caught.value.message
    assert f"did you mean {{{nearest}}}?" in caught.value.message
    assert caught.value.field == "sql"


def test_an_unknown_parameter_that_is_near_to_none_shows_what_there_is():
    with pytest.raises(UnknownParameter) as caught:
        render_sql("select '{parametr}'", date_params("202210"))
    assert "did you mean" not in caught.value.message
    assert "there are {base_ym}, " in caught.value.message


def test_text_that_cannot_be_parsed_is_told_without_the_parsers_own_objects():
    with pytest.raises(SqlRejected) as caught:
        guard_select("SELECT FROM WHERE")
    assert caught.value.message == (
        "this is not SQL that can be read: Expected table name but got 'WHERE' (line 1, character 17)"
    )


def test_a_parameter_without_a_dictionary_is_an_error():
    with pytest.raises(UnknownParameter):
        render_sql("select '{base_ym}'", {})


def test_a_value_cannot_bring_in_text():
    with pytest.raises(InvalidDate):
        render_sql("select '{base_ym}'", {"base_ym": "1' or '1'='1"})
    with pytest.raises(InvalidDate):
        render_sql("select '{base_ym}'", {"base_ym": "202210\n"})


@pytest.mark.parametrize(
    "name", ["current_timestamp", "current_date", "localtime", "LocalTimestamp", "session_user"]
)
@pytest.mark.parametrize("written", ["`{}`", "{}"])
def test_the_clock_and_the_session_cannot_be_read_by_a_name(name, written):
    with pytest.raises(SqlRejected):
        guard_select(f"select {written.format(name)} as x from txn", tables=TABLES)


def test_a_column_that_is_called_like_the_clock_is_read_by_its_table():
    assert guard_select("select t.`localtime` as x from txn t", tables=TABLES).named_selects == ["x"]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select id from txn natural join cust", "NATURAL JOIN is not supported"),
        ("select id from txn asof join cust using (id)", "ASOF JOIN is not supported"),
        ("select * exclude (amt) from txn", "name the columns"),
        ("select t.* except (amt) from txn t", "name the columns"),
        ("select * replace (1 as amt) from txn", "name the columns"),
        ("select distinct on (id) id from txn", "DISTINCT ON is not supported"),
        ("select id, sum(amt) as a from txn group by all", "GROUP BY ALL is not supported"),
        ("select sum(amt) over (order by dt groups 1 preceding) as a from txn", "ROWS or RANGE"),
        (
            "select sum(amt) over (order by dt rows between 1 preceding and current row exclude current row)"
            " as a from txn",
            "without EXCLUDE",
        ),
        ("select id from txn limit (select 1)", "take a number"),
    ],
)
def test_what_the_warehouse_does_not_know_is_refused_in_words(sql, said):
    with pytest.raises(SqlRejected, match=said):
        guard_select(sql, tables=TABLES)
