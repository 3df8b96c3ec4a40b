"""A frame saved on Spark comes back as it went, as it does from the embedded store."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from mlopslib import tables
from mlopslib.errors import ColumnMismatch, InputTypeException, InvalidInput, TableNotFound
from mlopslib.offline.base import OfflineStore
from mlopslib.offline.hiveserver2 import open_hiveserver2

pytestmark = pytest.mark.spark
TEXTS = ["it's", 'say "x"', "a\\b\\n", "line\nbreak\ttab", "100%_?:1", "{base_ym}", "한글 🙂", "", " x "]
#: times that the clocks of Seoul left out
GAPS = (dt.datetime(1988, 5, 8, 2, 30), dt.datetime(1961, 8, 10, 0, 15), dt.datetime(1912, 1, 1, 0, 15))
MOMENT = dt.datetime(2022, 10, 31, 23, 59, 59, 999999)


def hard_frame(*, with_nul: bool) -> pd.DataFrame:
    size = len(TEXTS)

    def column(*values: object) -> list[object]:
        return [*values, *[None] * (size - len(values))]

    return pd.DataFrame(
        {
            "row_id": np.arange(size),
            "n": pd.array(column(9007199254740993, -(2**63), 2**63 - 1), dtype="Int64"),
            "x": column(0.1, -1e300, 5e-324, float("inf")),
            "m": column(Decimal("1234567890.1234"), Decimal("-0.5"), Decimal("1e3")),
            "wide": column(Decimal("12345678901234567890.12"), Decimal("-1")),
            "d": column(dt.date(2024, 2, 29), dt.date(1582, 10, 15), dt.date(9999, 12, 31)),
            "ts": pd.Series(column(MOMENT, dt.datetime(1969, 12, 31, 23, 59, 59, 1)), dtype="datetime64[us]"),
            "old": pd.Series(
                column(dt.datetime(1900, 1, 1), dt.datetime(9999, 1, 1), *GAPS), dtype="datetime64[us]"
            ),
            "flag": pd.array(column(True, False), dtype="boolean"),
            "kind": pd.Categorical(column("A", "한")),
            "text": ["nul\0nul", *TEXTS[1:]] if with_nul else TEXTS,
            "nothing": [None] * size,
        }
    )  # fmt: skip


def cells(frame: pd.DataFrame) -> list[dict[str, object]]:
    plain = frame.astype(object)
    return plain.where(plain.notna(), None).to_dict("records")


@pytest.fixture
def chosen(spark_store: OfflineStore, monkeypatch: pytest.MonkeyPatch) -> OfflineStore:
    monkeypatch.setattr(tables, "_store", lambda: spark_store)
    return spark_store


def test_a_hard_frame_comes_back_exactly(chosen: OfflineStore) -> None:
    frame = hard_frame(with_nul=True)
    assert tables.save_pandas_to_table(frame, "hard", table_creation=True) is True
    found = tables.read_sql("select * from hard order by row_id")
    assert cells(found) == cells(frame)
    assert str(found.n.dtype) == "Int64"
    assert {column.name: column.type for column in tables.describe("hard")} == {
        "row_id": "bigint",
        "n": "bigint",
        "x": "double",
        "m": "decimal(18,4)",
        "wide": "decimal(38,2)",
        "d": "date",
        "ts": "timestamp",
        "old": "timestamp",
        "flag": "boolean",
        "kind": "string",
        "text": "string",
        "nothing": "string",
    }
    # appended by name, columns in another order, and only once
    tables.save_pandas_to_table(frame[list(reversed(frame.columns))], "hard")
    twice = tables.read_sql("select * from hard order by row_id")
    assert cells(twice)[::2] == cells(twice)[1::2] == cells(frame)


def test_rows_that_travel_as_text_come_back_exactly(chosen: OfflineStore, spark_store: OfflineStore) -> None:
    """Without an uploader the rows are literals of SQL."""
    plain = open_hiveserver2(spark_store.url.partition("&uploader=")[0])
    frame = hard_frame(with_nul=False)
    assert plain.save_pandas_to_table(frame, "as_text", table_creation=True) is True
    assert cells(tables.read_sql("select * from as_text order by row_id")) == cells(frame)


def test_what_is_refused_leaves_the_table_as_it_was(chosen: OfflineStore) -> None:
    frame = pd.DataFrame({"a": [1], "b": ["x"]})
    with pytest.raises(TableNotFound, match="table_creation=True"):
        tables.save_pandas_to_table(frame, "kept")
    tables.save_pandas_to_table(frame, "kept", table_creation=True)
    with pytest.raises(ColumnMismatch, match="frame lacks 'b'"):
        tables.save_pandas_to_table(frame[["a"]], "kept")
    with pytest.raises(ColumnMismatch, match="'a'"):
        tables.save_pandas_to_table(pd.DataFrame({"a": ["1"], "b": ["x"]}), "kept")
    with pytest.raises(InvalidInput, match="mixes text"):
        tables.save_pandas_to_table(pd.DataFrame({"a": [1, 2], "b": ["x", 1]}), "kept")
    with pytest.raises(InputTypeException, match="this is a list"):
        tables.save_pandas_to_table([1], "kept")
    for early in ([dt.date(1, 1, 1)], [dt.datetime(1899, 12, 31, 23, 59)]):
        with pytest.raises(
            InvalidInput, match=r"'d' holds a (date before 1582-10-15|time before 1900-01-01)"
        ):
            tables.save_pandas_to_table(pd.DataFrame({"d": early}), "early", table_creation=True)
    assert not tables.table_exists("early")
    tables.save_pandas_to_table(frame.iloc[:0], "kept")
    assert cells(tables.read_sql("select * from kept")) == [{"a": 1, "b": "x"}]
    assert tables.list_tables() == sorted({*tables.list_tables()})
    assert (tables.table_exists("kept"), tables.table_exists("gone")) == (True, False)
