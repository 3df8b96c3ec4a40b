"""What each engine is sent, and how the answers of Impala and Hive about tables are read.

No Impala could be reached for these tests: its forms are those of its documentation.
"""

from __future__ import annotations

import pyarrow as pa
import pytest

from mlopslib.errors import InvalidInput, QueryTimeout, QueryTooLarge
from mlopslib.offline.base import Column
from mlopslib.offline.hiveserver2 import ddl, literals
from mlopslib.offline.hiveserver2.faults import first_line, query_fault
from mlopslib.sql.engines import to_engine


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (
            "select zeroifnull(x) y, add_months(d, -3) -- why\nfrom t",
            "SELECT ZEROIFNULL(x) AS y, ADD_MONTHS(d, -3) FROM t",
        ),
        ("select months_add(d, 2) m from t", "SELECT MONTHS_ADD(d, 2) AS m FROM t"),
        ("select date_sub(d, interval 3 days) m from t", "SELECT DATE_SUB(d, INTERVAL 3 DAYS) AS m FROM t"),
        ("select trunc(ts, 'MM') m from t", "SELECT TRUNC(ts, 'MM') AS m FROM t"),
        ("select ndv(a), group_concat(b, '; ') from t", "SELECT NDV(a), GROUP_CONCAT(b, '; ') FROM t"),
        (r"select 'it\'s \\ ' t from x /* end */", r"SELECT 'it\'s \\ ' AS t FROM x"),
        (
            "select sum(x) over (partition by a order by b desc rows between 2 preceding and current row) "
            "s from t",
            "SELECT SUM(x) OVER (PARTITION BY a ORDER BY b DESC rows BETWEEN 2 preceding AND CURRENT ROW) "
            "AS s FROM t",
        ),
    ],
)
def test_impala_gets_its_own_words_back_without_comments(given: str, sent: str) -> None:
    assert to_engine(given, "impala") == sent


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("select nvl(x, 0) y from t order by 1", "SELECT NVL(x, 0) AS y FROM t ORDER BY 1 LIMIT 11"),
        ("select x from t limit 5 offset 2", "SELECT x FROM t LIMIT 5 OFFSET 2"),
        ("select x from t limit 500", "SELECT x FROM t LIMIT 11"),
        ("select x from t union all select y from u", "SELECT x FROM t UNION ALL SELECT y FROM u LIMIT 11"),
    ],
)
def test_a_limit_of_rows_keeps_the_words_and_the_order(given: str, sent: str) -> None:
    assert to_engine(given, "impala", limit=11) == sent


def test_hive_gets_functions_that_it_has() -> None:
    assert to_engine("select zeroifnull(x) y from t", "hive") == "SELECT COALESCE(x, 0) AS y FROM t"


def test_a_table_of_impala_is_described() -> None:
    rows = [
        {"name": "# col_name", "type": "data_type", "comment": "comment"},
        {"name": "", "type": None, "comment": None},
        {"name": "cust_id", "type": "string", "comment": None},
        {"name": "amount", "type": "decimal(18,2)", "comment": None},
        {"name": "", "type": None, "comment": None},
        {"name": "# Partition Information", "type": None, "comment": None},
        {"name": "# col_name", "type": "data_type", "comment": "comment"},
        {"name": "", "type": None, "comment": None},
        {"name": "base_ym", "type": "string", "comment": None},
        {"name": "", "type": None, "comment": None},
        {"name": "# Detailed Table Information", "type": None, "comment": None},
        {"name": "Database:", "type": "risk", "comment": None},
    ]
    shape = ddl.read_shape(rows)
    assert shape.columns == (
        Column("cust_id", "string"),
        Column("amount", "decimal(18,2)"),
        Column("base_ym", "string"),
    )
    assert shape.partition_columns == ("base_ym",)
    assert shape.schema.field("amount").type == pa.decimal128(18, 2)


def test_partitions_of_impala_stand_in_a_column_with_a_total() -> None:
    rows = [{"base_ym": "202202", "#rows": 5}, {"base_ym": "202201", "#rows": 5}, {"base_ym": "Total"}]
    assert ddl.partition_values(rows, "base_ym") == ["202201", "202202"]
    hive = [{"partition": "base_ym=202202"}, {"partition": "base_ym=__HIVE_DEFAULT_PARTITION__"}]
    assert ddl.partition_values(hive, "base_ym") == ["202202"]


@pytest.mark.parametrize(
    ("engine", "plan", "rows"),
    [
        ("impala", "01:EXCHANGE\n|  row-size=16B cardinality=7.30K\n00:SCAN cardinality=90M", 7300),
        ("impala", "00:SCAN HDFS [risk.txn]\n   row-size=16B cardinality=unavailable", None),
        ("hive", "Statistics: Num rows: 1500 Data size: 15000", 1500),
        ("spark", "Project [k#1L], Statistics(sizeInBytes=1.2 MiB, rowCount=2.00E+3)", 2000),
        ("spark", "Project [k#1L], Statistics(sizeInBytes=1.2 MiB)", None),
    ],
)
def test_the_outermost_step_of_a_plan_gives_the_estimate(engine: str, plan: str, rows: int | None) -> None:
    assert ddl.estimated_rows(engine, plan) == rows


def test_left_over_tables_are_known_by_name_and_age() -> None:
    name = ddl.temporary_name()
    assert not ddl.is_left_over(name, older_than_seconds=60)
    assert ddl.is_left_over(name, older_than_seconds=-1)
    assert not ddl.is_left_over("gijun_tmp_of_a_person", older_than_seconds=-1)


@pytest.mark.parametrize(
    ("java", "said"),
    [
        (
            "org.apache.hive.service.cli.HiveSQLException: Error running query: [UNRESOLVED_COLUMN] "
            "org.apache.spark.sql.AnalysisException: [UNRESOLVED_COLUMN] no column `x`. SQLSTATE: 42703\n"
            "\tat org.apache.spark.Deep.stack(Trace.java:1)",
            "no column `x`.",
        ),
        ("AnalysisException: Could not resolve column/field reference: 'x'\n", None),
        ("", "the server gave no reason"),
    ],
)
def test_of_a_java_error_the_first_line_stays(java: str, said: str | None) -> None:
    assert first_line(java) == (said or "Could not resolve column/field reference: 'x'")


def test_an_engine_that_runs_out_of_memory_or_time_is_told_apart() -> None:
    memory = query_fault("Memory limit exceeded: Error occurred on backend node7:27000 by fragment 4e:1")
    assert isinstance(memory, QueryTooLarge)
    assert "aggregate before joining" in memory.message
    time = query_fault("Query 4e:0 expired due to execution time limit of 10s000ms")
    assert isinstance(time, QueryTimeout)


def test_rows_as_text_are_split_by_number_and_by_size() -> None:
    many = pa.table({"a": list(range(literals.MOST_ROWS + 1))})
    assert [statement.count("CAST(") for statement in literals.inserts("t", many)] == [literals.MOST_ROWS, 1]
    large = pa.table({"a": ["x" * 400_000] * 5})
    statements = list(literals.inserts("t", large))
    assert len(statements) == 3
    assert all(len(statement) < literals.MOST_BYTES + 1000 for statement in statements)


def test_a_nul_character_is_refused_not_cut() -> None:
    with pytest.raises(InvalidInput, match="NUL"):
        literals.quote_text("a\x00b")
