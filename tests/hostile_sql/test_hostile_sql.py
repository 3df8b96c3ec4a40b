"""Hostile texts: the guard refuses each, and so does the jailed engine where the guard is passed by."""

# ruff: noqa: E501 (a statement on one line is easier to read)
from __future__ import annotations

import hashlib
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from mlopslib.errors import GijunError, QueryFailed, SqlRejected, TableNotFound
from mlopslib.offline.embedded import EmbeddedStore
from mlopslib.offline.jail import jailed_connection, select_only
from mlopslib.sql import guard_select

SECRET = "the-secret-of-the-machine"

#: {secret} is a file that exists outside of the store, {out} a place to write to, {store} the store
HOSTILE = {
    # several statements
    "two selects": "select 1; select 2",
    "a drop behind a select": "select * from txn; drop table txn",
    "a semicolon between odd white space": "select 1\u00a0;\u2003\n;\tdrop\u000btable txn",
    "a semicolon in a comment that ends": "select 1 /* ; */ ; delete from txn",
    "nothing and then something": ";;;; drop view txn",
    "a statement behind a line comment": "select 1 -- x\n; create table y as select 1",
    # comments
    "a comment in a comment": "select /* a /* b */ 1; drop table txn -- */",
    "a comment that does not end": "select * from txn /* drop",
    "a comment of MySQL's kind": "select 1 /*! ; drop table txn */ ; drop table txn",
    "a hint that is a statement": "select /*+ SET_VAR(memory_limit='1GB') */ * from read_text('{secret}')",
    "a hash comment": "select 1 # comment\n; drop table txn",
    # quotes
    "curly quotes": "select \u2018a\u2019; drop table txn",
    "a text that does not end": "select 'abc",
    "a dollar quote": "select $$a$$; drop table txn",
    "a quoted name that is a path": 'select * from "{secret}"',
    "a backtick name that is a path": "select * from `{secret}`",
    "a text as a table": "select * from '{secret}'",
    "a text with a wildcard as a table": "select * from '{store}/*/*.parquet'",
    "an escaped quote": "select 'a\\''; drop table txn; --'",
    # changes
    "drop": "drop table txn",
    "delete": "delete from txn",
    "update": "update txn set amt = 0",
    "insert": "insert into txn select * from txn",
    "insert overwrite": "insert overwrite table txn select * from txn",
    "merge": "merge into txn using txn as s on txn.id = s.id when matched then delete",
    "truncate": "truncate table txn",
    "alter": "alter table txn add column x int",
    "create table": "create table x as select * from txn",
    "create view over the table": "create or replace view txn as select 1 as id",
    "create macro": "create macro sum(x) as 1",
    "create secret": "create secret s (type s3, key_id 'a', secret 'b')",
    "create schema": "create schema other",
    "select into": "select * into x from txn",
    "DML in WITH": "with d as (delete from txn returning *) select * from d",
    "insert in WITH": "with d as (insert into txn values ('x', 1) returning *) select * from d",
    "COPY in WITH": "with c as (copy txn to '{out}') select * from c",
    "COPY in WITH, of a query": "with c as (copy (select 1) to '{out}' (format csv)) select * from c",
    "a select into an outfile": "select * from txn into outfile '{out}'",
    # files
    "copy to": "copy txn to '{out}'",
    "copy from": "copy txn from '{secret}'",
    "copy a query": "copy (select * from txn) to '{out}' (format parquet)",
    "export database": "export database '{out}'",
    "import database": "import database '{out}'",
    "read_csv": "select * from read_csv('{secret}')",
    "read_csv_auto": "select * from read_csv_auto('{secret}')",
    "read_parquet": "select * from read_parquet('{store}/other/part-0.parquet')",
    "read_json": "select * from read_json('{secret}')",
    "read_text": "select content from read_text('{secret}')",
    "read_blob": "select content from read_blob('{secret}')",
    "read_text as a value": "select (select content from read_text('{secret}')) as x from txn",
    "glob": "select * from glob('/*')",
    "sniff_csv": "select * from sniff_csv('{secret}')",
    "parquet_metadata": "select * from parquet_metadata('{store}/other/part-0.parquet')",
    "a path that climbs": "select * from read_text('{store}/txn/../../secret.txt')",
    "a file by another protocol": "select * from read_text('file://{secret}')",
    "a file of the web": "select * from read_csv('http://127.0.0.1:9/x.csv')",
    "an object store": "select * from read_parquet('s3://bucket/key.parquet')",
    # the engine
    "attach": "attach '{out}' as x",
    "attach in memory": "attach ':memory:' as x",
    "detach": "detach memory",
    "use": "use memory.main",
    "install": "install httpfs",
    "load": "load httpfs",
    "set": "set memory_limit = '1TB'",
    "set global": "set global threads = 64",
    "set a variable": "set variable x = 1",
    "reset": "reset enable_external_access",
    "pragma": "pragma database_list",
    "pragma that sets": "pragma enable_external_access = true",
    "unlock": "set lock_configuration = false",
    "call": "call pragma_version()",
    "checkpoint": "checkpoint",
    "vacuum": "vacuum",
    "begin": "begin transaction",
    "prepare": "prepare p as select 1",
    "execute": "execute p",
    "explain analyze": "explain analyze select * from txn",
    "describe": "describe txn",
    "show": "show tables",
    "summarize": "summarize txn",
    # what the engine knows of itself and of the machine
    "settings": "select * from duckdb_settings()",
    "secrets": "select * from duckdb_secrets()",
    "extensions": "select * from duckdb_extensions()",
    "databases": "select * from duckdb_databases()",
    "temporary files": "select * from duckdb_temporary_files()",
    "information_schema": "select * from information_schema.tables",
    "pg_catalog": "select * from pg_catalog.pg_settings",
    "sqlite_master": "select * from sqlite_master",
    "current_setting": "select current_setting('temp_directory') from txn",
    "getenv": "select getenv('HOME') from txn",
    "version": "select version() from txn",
    "pg_read_file": "select pg_read_file('{secret}') from txn",
    "query": "select * from query('select 1')",
    "query_table": "select * from query_table('txn')",
    "json_execute_serialized_sql": "select * from json_execute_serialized_sql('{}')",
    "getvariable": "select getvariable('x') from txn",
    "which_secret": "select * from which_secret('s3://x', 's3')",
    "nextval": "select nextval('s') from txn",
    "sleep": "select pg_sleep(100) from txn",
    # Hive, Impala and Spark
    "reflect": "select reflect('java.lang.Runtime', 'getRuntime') from txn",
    "java_method": "select java_method('java.lang.System', 'exit', 0) from txn",
    "TRANSFORM": "select transform(id) using '/bin/sh' as (x) from txn",
    "MAP .. USING": "from txn map id using 'cat' as x",
    "add jar": "add jar '{out}'",
    "create function": "create temporary function f as 'x.Y' using jar 'hdfs:///x.jar'",
    "load data": "load data inpath '{secret}' into table txn",
    "a Hive variable": "select '${system:user.home}' from txn where 1 = ${hiveconf:x}",
    "a table of a file in Spark": "select * from parquet.`{secret}`",
    "a table of text in Spark": "select * from text.`{secret}`",
    "a virtual column": "select input__file__name() from txn",
    "explode": "select * from txn lateral view explode(split(id, '')) t as c",
    "invalidate metadata": "invalidate metadata txn",
    "compute stats": "compute stats txn",
    "refresh": "refresh txn",
    "xpath": "select xpath('<a/>', '/a') from txn",
    # names that look like others
    "a Cyrillic letter": "select * from t\u0445n",
    "a full-width name": "select * from \uff54\uff58\uff4e",
    "a zero-width space": "select * from tx\u200bn",
    "right to left": "select * from \u202etxn",
    "a table of the engine by its schema": "select * from main.duckdb_tables",
    # too much
    "a NUL byte": "select 1 \x00; drop table txn",
    "a NUL byte in a name": 'select * from "txn\x00"',
    "very long": "select '" + "x" * 120_000 + "' from nowhere",
    "deeply nested": "select " + "(" * 4000 + "1" + ")" * 4000,
    "many subqueries": "select * from (" * 500 + "select * from no_table" + ") q" * 500,
    "a recursion without an end": "with recursive r as (select 1 as n union all select n + 1 from r) select * from r, nowhere",
    "a series": "select * from generate_series(1, 1000000000000)",
    "range": "select * from range(1000000000000)",
    "unnest": "select * from unnest([1, 2, 3])",
    "repeat_row": "select * from repeat_row(1, num_rows = 1000000000)",
    "values": "values (1), (2)",
    "table": "table txn",
    "pivot": "pivot txn on id using sum(amt)",
    "a lambda": "select list_transform([1], x -> getenv('HOME')) from txn",
}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("machine")
    (root / "secret.txt").write_text(f"id,amt\n{SECRET},1\n")
    store = EmbeddedStore(root / "offline", threads=1)
    store.create_table("txn", pa.table({"id": ["a", "b"], "amt": [1.0, 2.0]}))
    store.create_table("other", pa.table({"id": [SECRET]}))
    return root


def filled(sql: str, machine: Path) -> str:
    places = {"secret": machine / "secret.txt", "out": machine / "out.file", "store": machine / "offline"}
    for name, path in places.items():
        sql = sql.replace(f"{{{name}}}", str(path))
    return sql


def state_of(machine: Path) -> dict[str, str]:
    """Every file of the machine with what is in it."""
    return {
        str(path.relative_to(machine)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(machine.rglob("*"))
        if path.is_file()
    }


def test_the_corpus_is_large_enough():
    assert len(HOSTILE) >= 80


@pytest.mark.parametrize("name", HOSTILE)
def test_the_guard_refuses_it_with_a_sentence(machine, name):
    with pytest.raises((SqlRejected, TableNotFound)) as caught:
        guard_select(filled(HOSTILE[name], machine), tables=["txn", "other"])
    assert caught.value.field == "sql"
    assert 10 < len(caught.value.message) < 600
    assert SECRET not in caught.value.message


@pytest.mark.parametrize("name", HOSTILE)
def test_the_store_refuses_it_and_stays_as_it_is(machine, name):
    store = EmbeddedStore(machine / "offline", threads=1)
    before = state_of(machine)
    for act in (store.read_sql, store.describe_sql):
        with pytest.raises(GijunError):
            act(filled(HOSTILE[name], machine))
    assert state_of(machine) == before


@pytest.fixture
def jail(machine):
    files = [str(path) for path in (machine / "offline" / "txn").glob("*.parquet")]
    with jailed_connection(files, memory_limit="200MB", threads=1) as connection:
        connection.execute(f"CREATE VIEW txn AS SELECT * FROM read_parquet('{files[0]}')")
        yield connection


#: to the engine, these are a text and a read of the store's own table
_READS = {"an escaped quote", "table"}


@pytest.mark.parametrize("name", [name for name in HOSTILE if name not in _READS])
def test_the_jailed_engine_refuses_it_again(machine, jail, name):
    """As if the guard were not there: the text goes to the engine as it is."""
    before, settings = state_of(machine), settings_of(jail)
    with pytest.raises((QueryFailed, duckdb.Error)) as caught:
        select_only(jail, filled(HOSTILE[name], machine), tables=["txn"]).to_arrow_table()
    assert SECRET not in str(caught.value)
    assert state_of(machine) == before
    assert settings_of(jail) == settings
    assert jail.execute("SELECT count(*), sum(amt) FROM txn").fetchall() == [(2, 3.0)]


def settings_of(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    return connection.execute("SELECT name, value FROM duckdb_settings() ORDER BY name").fetchall()


def test_the_jailed_engine_answers_a_read(jail):
    assert select_only(jail, "SELECT id FROM txn WHERE amt > 1", tables=["txn"]).fetchall() == [("b",)]


@pytest.mark.parametrize("name", HOSTILE)
def test_the_jail_holds_without_its_own_look_at_the_statement(machine, jail, name):
    """The last wall: what the engine runs of it, it runs in memory, and reads nothing of the machine."""
    if name in _ENDLESS:
        pytest.skip("runs for ever where nothing limits it")
    before = state_of(machine)
    try:
        found = str(jail.execute(filled(HOSTILE[name], machine)).fetchmany(1000))
    except (duckdb.Error, QueryFailed) as error:
        found = str(error)
    assert SECRET not in found
    assert state_of(machine) == before


_ENDLESS = {"a series", "range", "repeat_row", "sleep"}
