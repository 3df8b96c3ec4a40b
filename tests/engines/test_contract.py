"""What every offline store does, on the embedded engine and on a real HiveServer2."""

from __future__ import annotations

import datetime as dt
import json
import math
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlopslib.definition import FeatureSetSpec, FeatureSpec
from mlopslib.errors import (
    ColumnMismatch,
    DataError,
    DefinitionInvalid,
    EmptyMonth,
    InputTypeException,
    InvalidInput,
    QueryCancelled,
    QueryFailed,
    QueryTimeout,
    QueryTooLarge,
    SqlRejected,
    TableExists,
    TableNotFound,
)
from mlopslib.offline import Column, Limits, OfflineStore, open_store
from tests.engines.writer import SPEC as KILLED

ROWS = {
    "id": [9007199254740993, 2, 3],
    "name": ['it\'s "quoted" \\ 😀\n한국은행 ${spark.app.id}', "", None],
    "amount": [Decimal("12.50"), Decimal("-0.01"), None],
    "rate": [0.1, float("inf"), None],
    "is_open": [True, False, None],
    "opened": [dt.date(1999, 12, 31), dt.date(1600, 2, 29), None],
    "seen_at": [dt.datetime(2022, 1, 2, 3, 4, 5, 123456), dt.datetime(1970, 1, 1), None],
    "ym": ["202201", "202202", "202202"],
}
SCHEMA = pa.schema(
    {
        "id": pa.int64(),
        "name": pa.string(),
        "amount": pa.decimal128(18, 2),
        "rate": pa.float64(),
        "is_open": pa.bool_(),
        "opened": pa.date32(),
        "seen_at": pa.timestamp("us"),
        "ym": pa.string(),
    }
)
SPEC = FeatureSetSpec(
    name="account",
    version=1,
    entity_key="cust_id",
    sql="",
    features=(FeatureSpec("balance", "numeric"), FeatureSpec("grade", "category")),
)
MONTH = "select cust_id, balance, grade from accounts where ym = '202201'"
#: rows of the table whose cross product no engine counts in time
MANY = 2_000
SLOW = "select sum(a.k * b.k + c.k) s from keys a cross join keys b cross join keys c where a.k <> b.k + c.k"


@pytest.fixture(scope="module", params=["duckdb", pytest.param("spark", marks=pytest.mark.spark)])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> OfflineStore:
    if request.param == "spark":
        opened: OfflineStore = request.getfixturevalue("spark_store")
    else:
        opened = open_store(f"delta://{tmp_path_factory.mktemp('contract')}/offline")
    opened.create_table("rows_of_all_types", pa.table(ROWS, SCHEMA))
    opened.create_table("keys", pa.table({"k": list(range(MANY))}))
    opened.create_table(
        "accounts",
        pa.table(
            {
                "cust_id": ["b", "a", "c", "a", None, "d"],
                "balance": [10.5, math.nan, math.inf, 1.0, 2.0, 3.0],
                "grade": [1, 2, None, 1, 1, 1],
                "ym": ["202201", "202201", "202201", "202202", "202203", "202202"],
            }
        ),
        partition_by="ym",
    )
    return opened


@pytest.fixture
def url(store: OfflineStore, request: pytest.FixtureRequest) -> str:
    """The address of the store, for a process of its own."""
    return store.url


class Watched:
    """What the engine itself says about the slow query."""

    def __init__(self, is_running: Callable[[], bool], is_idle: Callable[[], bool]) -> None:
        self.is_running, self.is_idle = is_running, is_idle

    def wait_until_gone(self) -> None:
        wait_until(lambda: not self.is_running() and self.is_idle())


@pytest.fixture
def spark_pages(spark_ports: tuple[int, int]) -> Watched:
    """The pages of the Spark server: its running statements, and whether a core still works on one."""
    root = f"http://127.0.0.1:{spark_ports[1]}/api/v1/applications"

    def ask(path: str) -> Any:
        with urllib.request.urlopen(root + path, timeout=60) as answer:
            return json.load(answer)

    name = ask("")[0]["id"]

    def is_running() -> bool:
        return any("`c`" in job.get("description", "") for job in ask(f"/{name}/jobs?status=running"))

    # tests of another process may use the server too; between two of their statements it is idle
    return Watched(is_running, lambda: ask(f"/{name}/executors")[0]["activeTasks"] == 0)


@pytest.fixture
def watched(store: OfflineStore, request: pytest.FixtureRequest) -> Watched:
    if store.engine == "spark":
        pages: Watched = request.getfixturevalue("spark_pages")
        return pages
    return Watched(
        lambda: any(thread.name == "offline-query" for thread in threading.enumerate()), lambda: True
    )


def wait_until(claim: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.1)


# what there is


def test_a_store_names_its_engine_and_tables(store: OfflineStore) -> None:
    assert store.engine in ("duckdb", "spark")
    assert {"rows_of_all_types", "keys", "accounts"} <= set(store.list_tables())
    assert store.table_exists("keys")
    assert not store.table_exists("key")
    assert not store.table_exists("k*")
    assert store.table_version("keys") == 0


def test_columns_of_a_table_have_the_engines_types(store: OfflineStore) -> None:
    text = "varchar" if store.engine == "duckdb" else "string"
    assert store.describe("accounts") == [
        Column("cust_id", text),
        Column("balance", "double"),
        Column("grade", "bigint"),
        Column("ym", text),
    ]
    with pytest.raises(TableNotFound, match="no table 'nothing'"):
        store.describe("nothing")


def test_columns_of_a_query_are_told_without_running_it(store: OfflineStore) -> None:
    columns = store.describe_sql(
        "select COUNT(*) N, max(amount) as most, max(opened) d from rows_of_all_types"
    )
    assert [column.name for column in columns] == ["n", "most", "d"]
    assert [column.type for column in columns] == ["bigint", "decimal(18,2)", "date"]
    started = time.monotonic()
    assert [column.name for column in store.describe_sql(SLOW)] == ["s"]
    assert time.monotonic() - started < 15


def test_an_estimate_is_a_number_or_unknown(store: OfflineStore) -> None:
    guess = store.estimate_rows("select * from keys")
    assert guess == MANY if store.engine == "duckdb" else guess is None


# reading


def test_every_type_comes_back_as_it_was_stored(store: OfflineStore) -> None:
    answer = store.read_sql("select * from rows_of_all_types order by id desc")
    assert answer.schema == SCHEMA
    expected = pa.table(ROWS, SCHEMA).take([0, 2, 1])
    assert answer.to_pylist() == expected.to_pylist()


def test_an_answer_without_rows_keeps_its_types(store: OfflineStore) -> None:
    answer = store.read_sql("select * from rows_of_all_types where id = -1")
    assert (answer.num_rows, answer.schema) == (0, SCHEMA)


def test_texts_in_a_query_stay_as_they_are(store: OfflineStore) -> None:
    text = "it's 😀 ${spark.app.id} ? :1 %s {x} -- /* */ ;"
    answer = store.read_sql("select '" + text.replace("'", "\\'") + "' as t, count(*) as n from keys")
    assert answer.to_pylist() == [{"t": text, "n": MANY}]


def test_a_whole_number_with_gaps_stays_exact(store: OfflineStore) -> None:
    answer = store.read_sql(
        "select case when k = 1 then 9007199254740993 end n from keys where k < 3 order by k"
    )
    assert answer.column("n").to_pylist() == [None, 9007199254740993, None]
    assert answer.schema.field("n").type == pa.int64()


def test_a_whole_table_is_read_in_batches(store: OfflineStore) -> None:
    answer = store.read_sql("select k from keys order by k")
    assert answer.column("k").to_pylist() == list(range(MANY))


@pytest.mark.parametrize(
    ("sql", "error", "words"),
    [
        ("drop table keys", SqlRejected, "must be one SELECT"),
        ("select 1; select 2", SqlRejected, "exactly one"),
        ("select * from kays", TableNotFound, "did you mean 'keys'"),
        ("select kk from keys", QueryFailed, "kk"),
        ("select no_such_function(k) from keys", SqlRejected, "not on the list"),
    ],
)
def test_a_wrong_query_is_answered_with_one_line(
    store: OfflineStore, sql: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        store.read_sql(sql)
    assert "\n" not in str(caught.value)
    assert "Exception" not in str(caught.value)
    assert len(str(caught.value)) < 600


# limits


def test_a_slow_query_ends_at_its_limit_and_is_gone(store: OfflineStore, watched: Watched) -> None:
    started = time.monotonic()
    with pytest.raises(QueryTimeout, match=r"longer than 2\.5 s"):
        store.read_sql(SLOW, limits=Limits(seconds=2.5))
    assert time.monotonic() - started < 12
    watched.wait_until_gone()


def test_a_person_stops_a_query_and_it_is_gone(store: OfflineStore, watched: Watched) -> None:
    was_running = False

    def stop() -> bool:
        nonlocal was_running
        was_running = was_running or watched.is_running()
        return was_running

    with pytest.raises(QueryCancelled):
        store.read_sql(SLOW, limits=Limits(seconds=60), is_cancelled=stop)
    assert was_running
    watched.wait_until_gone()


def test_a_query_stopped_before_it_began_never_runs(store: OfflineStore) -> None:
    with pytest.raises(QueryCancelled):
        store.read_sql("select 1 as one", is_cancelled=lambda: True)


def test_a_question_that_fails_stops_the_query(store: OfflineStore, watched: Watched) -> None:
    def ask() -> bool:
        if watched.is_running():
            raise ZeroDivisionError
        return False

    with pytest.raises(ZeroDivisionError):
        store.read_sql(SLOW, limits=Limits(seconds=60), is_cancelled=ask)
    watched.wait_until_gone()


def test_the_stores_own_limits_hold_where_a_call_names_none(store: OfflineStore, url: str) -> None:
    limited = open_store(url, limits=Limits(seconds=1))
    with pytest.raises(QueryTimeout):
        limited.read_sql(SLOW)


def test_more_rows_than_allowed_are_refused(store: OfflineStore) -> None:
    assert store.read_sql("select k from keys where k < 10", limits=Limits(rows=10)).num_rows == 10
    for sql in ("select k from keys where k < 11", "select k from keys limit 5000"):
        with pytest.raises(QueryTooLarge, match="more than 10 rows"):
            store.read_sql(sql, limits=Limits(rows=10))
    first = store.read_sql("select k from keys order by k desc limit 3", limits=Limits(rows=10))
    assert first.column("k").to_pylist() == [MANY - 1, MANY - 2, MANY - 3]


# writing


def test_a_frame_becomes_a_table_only_when_asked(store: OfflineStore) -> None:
    frame = pd.DataFrame({"a": [1], "b": ["x"]})
    with pytest.raises(TableNotFound, match="table_creation=True"):
        store.save_pandas_to_table(frame, "new_table")
    assert store.save_pandas_to_table(frame, "new_table", table_creation=True) is True
    assert store.save_pandas_to_table(frame[["b", "a"]], "new_table") is True
    assert store.read_sql("select * from new_table").to_pylist() == [{"a": 1, "b": "x"}] * 2
    with pytest.raises(ColumnMismatch, match="lacks 'b'"):
        store.save_pandas_to_table(frame[["a"]], "new_table")
    with pytest.raises(InputTypeException):
        store.save_pandas_to_table({"a": [1]}, "new_table")  # type: ignore[arg-type]
    assert store.read_sql("select count(*) n from new_table").to_pylist() == [{"n": 2}]


def test_a_frame_goes_into_the_right_partitions(store: OfflineStore) -> None:
    store.create_table("by_month", pa.table({"ym": ["202201"], "v": [1]}), partition_by="ym")
    store.save_pandas_to_table(pd.DataFrame({"v": [2, 3], "ym": ["202201", "202203"]}), "by_month")
    assert store.partitions("by_month", "ym") == ["202201", "202203"]
    assert sorted(store.read_partition("by_month", "ym", "202201").column("v").to_pylist()) == [1, 2]
    with pytest.raises(InvalidInput, match="cannot be a partition"):
        store.save_pandas_to_table(pd.DataFrame({"v": [2], "ym": ["2022/03"]}), "by_month")


def test_a_table_is_made_once(store: OfflineStore) -> None:
    store.create_table("made_once", pa.table({"a": [1]}))
    with pytest.raises(TableExists, match="made_once"):
        store.create_table("made_once", pa.table({"a": [2]}))
    assert store.read_sql("select a from made_once").to_pylist() == [{"a": 1}]


def test_of_writers_who_make_one_table_at_once_one_wins_and_all_rows_are_there(store: OfflineStore) -> None:
    def save(number: int) -> bool:
        return store.save_pandas_to_table(pd.DataFrame({"n": [number]}), "raced", table_creation=True)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(save, range(4)))
    assert sorted(store.read_sql("select n from raced").column("n").to_pylist()) == [0, 1, 2, 3]


def test_a_partition_is_replaced_and_others_stay(store: OfflineStore) -> None:
    def put(ym: str, values: list[int]) -> None:
        store.overwrite_partition(
            "replaced", pa.table({"v": pa.array(values, pa.int64())}), column="ym", value=ym
        )

    put("202201", [1, 2, 3])
    put("202202", [9])
    put("202201", [4])
    put("202201", [4])
    assert store.partitions("replaced", "ym") == ["202201", "202202"]
    assert store.read_partition("replaced", "ym", "202201").to_pylist() == [{"v": 4, "ym": "202201"}]
    assert store.read_partition("replaced", "ym", "202202", columns=["v"]).to_pylist() == [{"v": 9}]
    put("202201", [])
    assert store.partitions("replaced", "ym") == ["202202"]
    nothing = store.read_partition("replaced", "ym", "202201")
    assert (nothing.num_rows, nothing.column_names) == (0, ["v", "ym"])
    with pytest.raises(ColumnMismatch, match="lacks 'w'"):
        store.read_partition("replaced", "ym", "202202", columns=["w"])
    with pytest.raises(ColumnMismatch, match="not partitioned by 'k'"):
        store.partitions("keys", "k")
    assert store.partitions("nothing", "ym") == []


def test_a_file_becomes_a_table(store: OfflineStore, tmp_path: Path) -> None:
    pq.write_table(pa.table({"OrderNo": [1, 2], "Qty": [1.5, None]}), tmp_path / "orders.parquet")
    assert store.import_file("orders", tmp_path / "orders.parquet") == 2
    with pytest.raises(TableExists):
        store.import_file("orders", tmp_path / "orders.parquet")
    (tmp_path / "orders.csv").write_text("OrderNo,Base_ym\n7,202201\n")
    assert store.import_file("orders", tmp_path / "orders.csv", replace=True) == 1
    assert store.read_sql("select * from orders").to_pylist() == [{"order_no": 7, "base_ym": "202201"}]


def test_a_dropped_table_is_gone(store: OfflineStore) -> None:
    store.create_table("dropped", pa.table({"a": [1]}))
    store.drop_table("dropped")
    assert not store.table_exists("dropped")
    with pytest.raises(TableNotFound):
        store.drop_table("dropped")


# a month of a feature set


def test_a_month_is_written_with_its_types_and_no_nan(store: OfflineStore) -> None:
    written = store.write_partition(SPEC, MONTH, value="202201")
    assert (written.rows, written.infinite) == (3, 1)
    month = store.read_partition(SPEC.table, "base_ym", "202201").sort_by("cust_id")
    assert month.schema.field("balance").type == pa.float64()
    assert month.select(["cust_id", "balance", "grade"]).to_pylist() == [
        {"cust_id": "a", "balance": None, "grade": "2"},
        {"cust_id": "b", "balance": 10.5, "grade": "1"},
        {"cust_id": "c", "balance": None, "grade": None},
    ]


def test_a_month_written_again_replaces_itself(store: OfflineStore) -> None:
    spec = replace(SPEC, name="again")
    for _ in range(2):
        assert store.write_partition(spec, MONTH, value="202201").rows == 3
    assert store.read_sql("select count(*) n from fs_again_v1").to_pylist() == [{"n": 3}]
    assert store.partitions("fs_again_v1", "base_ym") == ["202201"]


@pytest.mark.parametrize(
    ("sql", "error", "words"),
    [
        (MONTH.replace("202201", "209912"), EmptyMonth, "no row for 202207"),
        (MONTH.replace("202201", "202203"), DataError, "1 rows have no cust_id"),
        (MONTH.replace("ym = '202201'", "cust_id is not null"), DataError, "1 rows repeat a cust_id"),
        (MONTH.replace(", grade", ""), DefinitionInvalid, "does not give grade"),
        (MONTH.replace(", grade", ", grade, 1 as more"), DefinitionInvalid, "also gives more"),
        (
            MONTH.replace("grade", "cast(balance as double) as grade"),
            DefinitionInvalid,
            "CAST it in the query",
        ),
        (MONTH.replace("balance", "grade as balance_typo"), DefinitionInvalid, "does not give balance"),
        ("drop table accounts", SqlRejected, "must be one SELECT"),
    ],
)
def test_a_month_that_fails_its_checks_changes_nothing(
    store: OfflineStore, sql: str, error: type[Exception], words: str
) -> None:
    spec = replace(SPEC, name="checked")
    store.write_partition(spec, MONTH, value="202207")
    with pytest.raises(error, match=words):
        store.write_partition(spec, sql, value="202207")
    assert store.read_partition("fs_checked_v1", "base_ym", "202207").num_rows == 3


def test_features_without_any_value_keep_their_declared_type(store: OfflineStore) -> None:
    spec = replace(SPEC, name="bare")
    sql = "select cust_id, null as balance, null as grade from accounts where ym = '202201'"
    assert store.write_partition(spec, sql, value="202201").rows == 3
    month = store.read_partition("fs_bare_v1", "base_ym", "202201")
    assert month.schema.field("balance").type == pa.float64()
    assert month.schema.field("grade").type == pa.string()
    booleans = (
        "select cust_id, balance > 0 as balance, balance > 0 as grade from accounts where cust_id = 'b'"
    )
    store.write_partition(spec, booleans, value="202202")
    kept = store.read_partition("fs_bare_v1", "base_ym", "202202", columns=["balance", "grade"])
    assert kept.to_pylist() == [{"balance": 1.0, "grade": "true"}]


def test_a_slow_month_is_stopped_and_leaves_nothing(store: OfflineStore, watched: Watched) -> None:
    spec = FeatureSetSpec("slow", 1, "s", "", ())
    with pytest.raises(QueryTimeout):
        store.write_partition(spec, SLOW, value="202201", limits=Limits(seconds=2))
    watched.wait_until_gone()
    assert not store.table_exists(spec.table)
    assert not [name for name in store.list_tables() if "tmp" in name]


# many at once


def test_readers_beside_a_writer_see_a_month_whole(store: OfflineStore) -> None:
    spec = FeatureSetSpec("beside", 1, "k", "", (FeatureSpec("turn", "numeric"),))

    def write(turn: int) -> None:
        store.write_partition(spec, f"select k, {turn} as turn from keys", value="202201")

    write(0)
    rounds = 12 if store.engine == "duckdb" else 3
    seen: list[tuple[int, int]] = []
    faults: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                answer = store.read_sql("select count(*) n, count(distinct turn) turns from fs_beside_v1")
            except QueryFailed as error:
                faults.append(error.message)
            else:
                seen.append(tuple(answer.to_pylist()[0].values()))

    with ThreadPoolExecutor(2) as pool:
        reader = pool.submit(read)
        for turn in range(1, rounds):
            write(turn)
        done.set()
        reader.result()
    assert set(seen) == {(MANY, 1)}
    # a cluster may refuse a read whose files were replaced under it; it never gives a part of them
    assert not faults or store.engine != "duckdb"


@pytest.fixture
def writer(url: str) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.engines.writer", url, str(MANY)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_killed_writer_leaves_the_old_month_or_the_new_one(
    store: OfflineStore, writer: Callable[[], subprocess.Popen[str]]
) -> None:
    for wait in (0.05, 0.2, 0.4, 0.7, 1.0)[: 5 if store.engine == "duckdb" else 2]:
        process = writer()
        assert process.stdout is not None
        first = int(process.stdout.readline())
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        month = store.read_partition(KILLED.table, "base_ym", "202201")
        turns = set(month.column("turn").to_pylist())
        assert month.num_rows == MANY
        assert len(turns) == 1
        assert turns.pop() >= first


@pytest.mark.spark
def test_a_query_of_a_killed_process_does_not_go_on(spark_store: OfflineStore, spark_pages: Watched) -> None:
    program = f"from mlopslib.offline import open_store; open_store({spark_store.url!r}).read_sql({SLOW!r})"
    process = subprocess.Popen([sys.executable, "-c", program])
    try:
        wait_until(spark_pages.is_running, 60)
    finally:
        process.kill()
        process.wait()
    spark_pages.wait_until_gone()
