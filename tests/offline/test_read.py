from pathlib import Path

import pyarrow as pa
import pytest

from mlopslib.errors import OfflineStoreError, QueryFailed, SqlRejected, TableNotFound
from mlopslib.offline.embedded import EmbeddedStore
from mlopslib.offline.jail import jailed_connection
from mlopslib.offline.limits import Limits


@pytest.fixture
def bank(store: EmbeddedStore) -> EmbeddedStore:
    store.create_table("customers", pa.table({"cust_id": ["1", "2"], "segment": ["A", None]}))
    store.create_table(
        "txn",
        pa.table({"cust_id": ["1", "1", "2"], "amount": [10, 5, 7], "ym": ["202209", "202210", "202210"]}),
        partition_by="ym",
    )
    return store


def test_impala_sql_joins_and_sums(bank: EmbeddedStore) -> None:
    answer = bank.read_sql(
        "select c.cust_id, nvl(c.segment, 'none') segment, sum(t.amount) amt, count(distinct t.ym) as months "
        "from customers c join Txn t on t.cust_id = c.cust_id "
        "where t.ym between '202209' and '202210' group by c.cust_id, c.segment order by c.cust_id"
    )
    assert answer.to_pylist() == [
        {"cust_id": "1", "segment": "A", "amt": 15, "months": 2},
        {"cust_id": "2", "segment": "none", "amt": 7, "months": 1},
    ]
    assert answer.schema.field("amt").type == pa.int64()


def test_columns_of_a_query_are_known_before_it_runs(bank: EmbeddedStore) -> None:
    columns = bank.describe_sql("select cust_id, sum(amount) amt, avg(amount) mean from txn group by cust_id")
    assert [(column.name, column.type) for column in columns] == [
        ("cust_id", "varchar"),
        ("amt", "bigint"),
        ("mean", "double"),
    ]


def test_a_past_version_can_be_read_again(bank: EmbeddedStore) -> None:
    bank.overwrite_partition("txn", pa.table({"cust_id": ["9"], "amount": [1]}), column="ym", value="202210")
    count = "select count(*) n, sum(amount) s from txn"
    assert bank.read_sql(count).to_pylist() == [{"n": 2, "s": 11}]
    assert bank.read_sql(count, versions={"txn": 0, "customers": 0}).to_pylist() == [{"n": 3, "s": 22}]
    with pytest.raises(TableNotFound, match="no version 9; the newest is 1"):
        bank.read_sql(count, versions={"txn": 9})


def test_unknown_tables_and_columns_are_named(bank: EmbeddedStore) -> None:
    with pytest.raises(TableNotFound, match="did you mean 'txn'"):
        bank.read_sql("select * from txns")
    with pytest.raises(QueryFailed, match="amonut"):
        bank.read_sql("select amonut from txn")
    with pytest.raises(QueryFailed, match="amonut"):
        bank.describe_sql("select amonut from txn")
    with pytest.raises(QueryFailed, match=r'"amonut" not found .*: near to it are "amount"'):
        bank.describe_sql("select amonut from txn")
    with pytest.raises(TableNotFound):
        bank.describe("nothing")


HOSTILE = [
    "drop table txn",
    "select 1; drop table txn",
    "delete from txn",
    "insert into txn values ('1', 1, '202209')",
    "with a as (delete from txn returning *) select * from a",
    "copy (select 1) to '{outside}/x.csv'",
    "with a as (copy txn to '{outside}/x.csv') select 1",
    "select * from read_csv('/etc/passwd')",
    "select * from read_text('/etc/passwd')",
    "select * from '/etc/passwd'",
    "select * from `/etc/passwd`",
    'select * from "/etc/passwd"',
    "select * from glob('/*')",
    "select * from duckdb_settings()",
    "select getenv('HOME')",
    "attach '{outside}/x.db'",
    "install httpfs",
    "load httpfs",
    "set memory_limit = '90GB'",
    "pragma database_list",
    "select * from information_schema.tables",
    "create table x as select 1",
    "select 1 into x",
    "explain select 1",
    "",
    ";",
]


@pytest.mark.parametrize("sql", HOSTILE)
def test_hostile_sql_is_refused_before_it_reaches_the_engine(
    bank: EmbeddedStore, tmp_path: Path, sql: str
) -> None:
    for read in (bank.read_sql, bank.describe_sql):
        with pytest.raises((SqlRejected, TableNotFound)):
            read(sql.format(outside=tmp_path))
    assert not list(tmp_path.glob("x*"))
    assert bank.read_sql("select count(*) n from txn").to_pylist() == [{"n": 3}]


JAILBREAKS = [
    "select * from read_text('/etc/passwd')",
    "select * from read_csv('/etc/passwd')",
    "select * from '{root}/secret/part.parquet'",
    "select * from read_parquet('{root}/../outside.parquet')",
    "select * from glob('{root}/*')",
    "copy (select 1) to '{root}/x.parquet'",
    "copy (select 1) to '{root}/txn/x.parquet'",
    "attach '{root}/x.db'",
    "install httpfs",
    "load httpfs",
    "select * from read_parquet('https://example.com/x.parquet')",
    "set memory_limit = '90GB'",
    "set enable_external_access = true",
    "set allowed_directories = ['/']",
    "reset lock_configuration",
    "export database '{root}/all'",
]


@pytest.mark.parametrize("sql", JAILBREAKS)
def test_the_jail_holds_without_the_guard(bank: EmbeddedStore, sql: str) -> None:
    before = sorted(bank.root.rglob("*"))
    with (
        pytest.raises(QueryFailed),
        jailed_connection([], memory_limit="100MB", threads=1) as connection,
    ):
        connection.execute(sql.format(root=bank.root)).fetchall()
    assert sorted(bank.root.rglob("*")) == before


def test_what_does_not_fit_in_memory_spills_or_fails_with_a_message(bank: EmbeddedStore) -> None:
    small = EmbeddedStore(bank.root, limits=Limits(memory="20MB"), threads=1)
    assert small.read_sql("select count(*) n from txn").to_pylist() == [{"n": 3}]
    with (
        pytest.raises(QueryFailed, match=r"(?i)memory"),
        jailed_connection([], memory_limit="20MB", threads=1) as connection,
    ):
        connection.execute("select list(range) from range(50000000)").fetchall()


def test_a_table_with_features_that_would_be_misread_is_refused(
    bank: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlopslib.offline import delta

    monkeypatch.setattr(delta, "_READABLE_FEATURES", set())
    bank.create_table("stamped", pa.table({"at": pa.array([0], pa.timestamp("us"))}))
    with pytest.raises(OfflineStoreError, match="timestampNtz"):
        bank.read_sql("select * from stamped")
