import pyarrow as pa
import pytest

from mlopslib.errors import ColumnMismatch, InvalidInput, TableExists, TableNotFound
from mlopslib.offline.embedded import EmbeddedStore


def months(*values: int) -> pa.Table:
    return pa.table({"a": list(values)})


def test_overwriting_replaces_one_month_only(store: EmbeddedStore) -> None:
    assert store.overwrite_partition("t", months(1, 2), column="base_ym", value="202209") == 0
    assert store.overwrite_partition("t", months(3), column="base_ym", value="202210") == 1
    assert store.overwrite_partition("t", months(4, 5), column="base_ym", value="202210") == 2
    assert store.partitions("t", "base_ym") == ["202209", "202210"]
    assert store.read_sql("select base_ym, a from t order by a").to_pylist() == [
        {"base_ym": "202209", "a": 1},
        {"base_ym": "202209", "a": 2},
        {"base_ym": "202210", "a": 4},
        {"base_ym": "202210", "a": 5},
    ]


def test_a_month_without_rows_is_emptied(store: EmbeddedStore) -> None:
    store.overwrite_partition("t", months(1), column="base_ym", value="202209")
    store.overwrite_partition("t", months(), column="base_ym", value="202209")
    assert store.partitions("t", "base_ym") == []
    assert store.read_partition("t", "base_ym", "202209").num_rows == 0
    assert [column.type for column in store.describe("t")] == ["bigint", "varchar"]


def test_a_month_that_is_not_there_is_empty_with_the_right_columns(store: EmbeddedStore) -> None:
    store.overwrite_partition("t", months(1), column="base_ym", value="202209")
    empty = store.read_partition("t", "base_ym", "209901", columns=["base_ym", "a"])
    assert empty.schema == pa.schema({"base_ym": pa.string(), "a": pa.int64()})
    assert empty.num_rows == 0
    with pytest.raises(TableNotFound):
        store.read_partition("nothing", "base_ym", "202209")
    with pytest.raises(ColumnMismatch, match="lacks 'z'"):
        store.read_partition("t", "base_ym", "202209", columns=["z"])
    with pytest.raises(ColumnMismatch, match="not partitioned by 'a'"):
        store.read_partition("t", "a", "1")
    assert store.partitions("nothing", "base_ym") == []


@pytest.mark.parametrize("value", ["", "../x", "a/b", "a'b", "a%20b", "x=1", "a b", ".hidden", None])
def test_a_value_that_is_no_directory_name_is_refused(store: EmbeddedStore, value: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be a partition"):
        store.overwrite_partition("t", months(1), column="base_ym", value=value)
    with pytest.raises(InvalidInput, match="cannot be a partition"):
        store.create_table("t", pa.table({"base_ym": pa.array([value])}), partition_by="base_ym")
    assert store.list_tables() == []


def test_rows_of_another_month_are_refused(store: EmbeddedStore) -> None:
    data = pa.table({"a": [1, 2], "base_ym": ["202209", "202210"]})
    with pytest.raises(InvalidInput, match="other values"):
        store.overwrite_partition("t", data, column="base_ym", value="202209")


def test_other_columns_or_types_change_nothing(store: EmbeddedStore) -> None:
    store.overwrite_partition("t", months(1), column="base_ym", value="202209")
    for wrong in (pa.table({"b": [1]}), pa.table({"a": ["x"]}), pa.table({"a": [1], "b": [1]})):
        with pytest.raises(ColumnMismatch):
            store.overwrite_partition("t", wrong, column="base_ym", value="202209")
    assert store.read_sql("select a from t").to_pylist() == [{"a": 1}]
    store.create_table("flat", months(1))
    with pytest.raises(ColumnMismatch, match="not partitioned by 'base_ym'"):
        store.overwrite_partition("flat", pa.table({"a": [1]}), column="base_ym", value="202209")


def test_a_table_is_created_once(store: EmbeddedStore) -> None:
    data = pa.table({"a": [1, 2], "ym": ["202209", "202210"]})
    assert store.create_table("t", data, partition_by="ym") == 0
    assert store.partitions("t", "ym") == ["202209", "202210"]
    with pytest.raises(TableExists):
        store.create_table("t", data)
    with pytest.raises(ColumnMismatch, match="no column 'z'"):
        store.create_table("u", data, partition_by="z")
    store.drop_table("t")
    assert store.list_tables() == []
    with pytest.raises(TableNotFound):
        store.drop_table("t")
    store.create_table("t", months(9))
    assert store.read_sql("select a from t").to_pylist() == [{"a": 9}]


def test_what_a_filter_on_the_partition_leaves_is_not_guessed(store: EmbeddedStore) -> None:
    for month in range(1, 7):
        store.overwrite_partition("t", months(*range(100)), column="base_ym", value=f"2026{month:02d}")
    assert store.estimate_rows("SELECT a FROM t") == 600
    one = "SELECT a, COUNT(*) AS n FROM t WHERE base_ym = '202603' GROUP BY a"
    assert store.estimate_rows(one) is None
