"""The functions for notebooks find their store and take date parameters."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mlopslib import tables
from mlopslib.errors import InputTypeException, InvalidDate, InvalidInput, TableNotFound, UnknownParameter


@pytest.fixture(autouse=True)
def no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_chosen", [])
    monkeypatch.delenv("OFFLINE_URL", raising=False)


def test_without_a_store_the_message_says_how_to_name_one() -> None:
    with pytest.raises(InvalidInput, match=r"use_store\('delta:///absolute/path'\) or set OFFLINE_URL"):
        tables.list_tables()


def test_the_store_of_the_environment_and_the_chosen_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OFFLINE_URL", f"delta://{tmp_path}/one")
    tables.save_pandas_to_table(pd.DataFrame({"a": [1]}), "here", table_creation=True)
    tables.use_store(f"delta://{tmp_path}/two")
    assert tables.list_tables() == []
    tables.use_store(f"delta://{tmp_path}/one")
    assert (tables.list_tables(), tables.table_exists("here")) == (["here"], True)
    assert [(column.name, column.type) for column in tables.describe("here")] == [("a", "bigint")]
    with pytest.raises(InvalidInput, match="not known"):
        tables.use_store("mysql://x")


def test_a_base_month_or_a_base_day_gives_every_date(tmp_path: Path) -> None:
    tables.use_store(f"delta://{tmp_path}/one")
    frame = pd.DataFrame({"ym": ["202310", "202312", "202401"], "n": [1, 2, 3]})
    tables.save_pandas_to_table(frame, "t", table_creation=True)
    sql = "select sum(n) as n, '{base_dt}' as day from t where ym between '{bf_3m_ym}' and '{bf_1m_ym}'"
    assert tables.read_sql(sql, base_ym="202401").to_dict("records") == [{"n": 3, "day": "20240131"}]
    assert tables.read_sql(sql, base_dt="20240115").day[0] == "20240115"
    assert tables.read_sql(sql, base_ym="202401", bf_3m_ym="202312").n[0] == 2
    with pytest.raises(UnknownParameter, match="takes no parameters"):
        tables.read_sql(sql)
    with pytest.raises(InvalidDate):
        tables.read_sql(sql, base_ym="202413")
    with pytest.raises(TableNotFound, match="'t'"):
        tables.read_sql("select 1 from tt")


@pytest.mark.parametrize("thing", [[1], {"a": [1]}, pd.Series([1]), None, "a"])
def test_only_a_frame_is_saved(tmp_path: Path, thing: object) -> None:
    tables.use_store(f"delta://{tmp_path}/one")
    with pytest.raises(InputTypeException, match="DataFrame is needed, this is a"):
        tables.save_pandas_to_table(thing, "t", table_creation=True)
