import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlopslib.errors import ColumnMismatch, DefinitionInvalid, InputTypeException, InvalidInput, TableNotFound
from mlopslib.offline.embedded import EmbeddedStore

HOSTILE = [
    "it's",
    'say "x"',
    "a\\b",
    "line\nbreak",
    "tab\t",
    "100%",
    "?",
    "{base_ym}",
    "한글",
    "🙂 👩‍👩‍👧",
    "nul\0nul",
    "",
    " x ",
    "007",
]


def rows(store: EmbeddedStore, name: str = "t") -> list[dict[str, object]]:
    return store.read_sql(f"select * from {name}").to_pylist()


def types(store: EmbeddedStore, name: str = "t") -> dict[str, str]:
    return {column.name: column.type for column in store.describe(name)}


def test_the_table_is_made_only_when_asked(store: EmbeddedStore) -> None:
    frame = pd.DataFrame({"a": [1, 2]})
    with pytest.raises(TableNotFound, match="table_creation=True"):
        store.save_pandas_to_table(frame, "t")
    assert not store.table_exists("t")
    assert store.save_pandas_to_table(frame, "t", table_creation=True) is True
    assert store.save_pandas_to_table(frame, "t") is True
    assert store.save_pandas_to_table(frame, "t", table_creation=True) is True
    assert len(rows(store)) == 6


@pytest.mark.parametrize("thing", [None, [1, 2], {"a": [1]}, pd.Series([1]), "select 1", np.zeros((2, 2))])
def test_only_a_frame_is_taken(store: EmbeddedStore, thing: object) -> None:
    with pytest.raises(InputTypeException, match="DataFrame is needed"):
        store.save_pandas_to_table(thing, "t", table_creation=True)
    with pytest.raises(TypeError):
        store.save_pandas_to_table(thing, "t", table_creation=True)


def test_columns_are_matched_by_name_in_any_order(store: EmbeddedStore) -> None:
    store.save_pandas_to_table(pd.DataFrame({"a": [1], "b": ["x"]}), "t", table_creation=True)
    store.save_pandas_to_table(pd.DataFrame({"b": ["y"], "a": [2]}, index=[77]), "t")
    assert rows(store) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_missing_and_unknown_columns_are_named(store: EmbeddedStore) -> None:
    store.save_pandas_to_table(pd.DataFrame({"a": [1], "bf_1m_amt": [2]}), "t", table_creation=True)
    with pytest.raises(ColumnMismatch, match=r"table has 2 columns, frame lacks 'bf_1m_amt'$"):
        store.save_pandas_to_table(pd.DataFrame({"a": [1]}), "t")
    with pytest.raises(ColumnMismatch, match="frame has 'c' that the table lacks"):
        store.save_pandas_to_table(pd.DataFrame({"a": [1], "bf_1m_amt": [2], "c": [3]}), "t")
    assert store.table_version("t") == 0


def test_names_that_sql_cannot_say_are_refused(store: EmbeddedStore) -> None:
    for name in ("InvoiceNo", "a b", "1a", "", "a;drop"):
        with pytest.raises(DefinitionInvalid, match="is not a name"):
            store.save_pandas_to_table(pd.DataFrame({name: [1]}), "t", table_creation=True)
        with pytest.raises(DefinitionInvalid, match="is not a name"):
            store.save_pandas_to_table(pd.DataFrame({"a": [1]}), name, table_creation=True)
    with pytest.raises(DefinitionInvalid, match="is not a name"):
        store.save_pandas_to_table(pd.DataFrame({7: [1]}), "t", table_creation=True)
    with pytest.raises(ColumnMismatch, match="comes twice"):
        store.save_pandas_to_table(pd.DataFrame([[1, 2]], columns=["a", "a"]), "t", table_creation=True)
    with pytest.raises(ColumnMismatch, match="at least one"):
        store.save_pandas_to_table(pd.DataFrame(), "t", table_creation=True)
    assert store.list_tables() == []
    assert not store.table_exists("../t")


def test_every_type_comes_back_exactly(store: EmbeddedStore) -> None:
    moment = dt.datetime(2022, 10, 31, 23, 59, 59, 999999)
    frame = pd.DataFrame(
        {
            "int_gap": pd.array([9007199254740993, None], dtype="Int64"),
            "int_small": np.array([-128, 127], dtype="int8"),
            "floats": [0.1, np.nan],
            "single": np.array([1.5, np.inf], dtype="float32"),
            "amount": [Decimal("1234567890.1200"), None],
            "huge": [Decimal("12345678901234567890.12"), Decimal("-1")],
            "day": [dt.date(2022, 10, 31), None],
            "at_us": pd.Series([moment, None], dtype="datetime64[us]"),
            "at_ns": pd.Series([moment, None], dtype="datetime64[ns]"),
            "at_object": pd.Series([moment, None], dtype=object),
            "flag": pd.array([True, None], dtype="boolean"),
            "plain_flag": [True, False],
            "text": ["007", None],
            "kind": pd.Categorical(["A", None]),
            "empty": [None, None],
        }
    )
    store.save_pandas_to_table(frame, "t", table_creation=True)
    assert types(store) == {
        "int_gap": "bigint",
        "int_small": "bigint",
        "floats": "double",
        "single": "double",
        "amount": "decimal(18,4)",
        "huge": "decimal(38,2)",
        "day": "date",
        "at_us": "timestamp",
        "at_ns": "timestamp",
        "at_object": "timestamp",
        "flag": "boolean",
        "plain_flag": "boolean",
        "text": "varchar",
        "kind": "varchar",
        "empty": "varchar",
    }
    first, second = rows(store)
    assert first == {
        "int_gap": 9007199254740993,
        "int_small": -128,
        "floats": 0.1,
        "single": 1.5,
        "amount": Decimal("1234567890.1200"),
        "huge": Decimal("12345678901234567890.12"),
        "day": dt.date(2022, 10, 31),
        "at_us": moment,
        "at_ns": moment,
        "at_object": moment,
        "flag": True,
        "plain_flag": True,
        "text": "007",
        "kind": "A",
        "empty": None,
    }
    assert second["int_small"] == 127
    assert second["single"] == float("inf")
    assert [name for name, value in second.items() if value is None] == [
        "int_gap", "floats", "amount", "day", "at_us", "at_ns", "at_object", "flag", "text", "kind", "empty",
    ]  # fmt: skip


def test_text_is_kept_byte_for_byte(store: EmbeddedStore) -> None:
    store.save_pandas_to_table(pd.DataFrame({"a": HOSTILE}), "t", table_creation=True)
    assert [row["a"] for row in rows(store)] == HOSTILE


def test_nan_is_missing(store: EmbeddedStore) -> None:
    store.save_pandas_to_table(pd.DataFrame({"a": [1.0, np.nan, None]}), "t", table_creation=True)
    assert store.read_sql("select count(*) n, count(a) k from t").to_pylist() == [{"n": 3, "k": 1}]


@pytest.mark.parametrize(
    ("values", "word"),
    [
        (["a", 1], r"'a' mixes text \(row 0\) and whole numbers \(row 1\)"),
        ([None, 1, "a", 2.5], r"whole numbers \(row 1\) and text \(row 2\)"),
        ([True, 1], r"booleans \(row 0\) and whole numbers"),
        ([Decimal("1.5"), 2], r"Decimals \(row 0\) and whole numbers"),
        ([Decimal("1.5"), 2.5], r"Decimals \(row 0\) and floats"),
        ([dt.date(2022, 1, 1), dt.datetime(2022, 1, 1)], r"dates \(row 0\) and datetimes"),
        ([b"raw"], r"values of type bytes \(row 0\), which a table does not"),
        ([None, [1, 2]], r"lists \(row 1\)"),
        ([{"x": 1}], r"dicts \(row 0\)"),
        ([np.array([1])], r"arrays \(row 0\)"),
        ([object()], "values of type object"),
        ([dt.time(1)], "values of type time"),
        (pd.Series(["\ud800"], dtype=object), "not Unicode"),
        ([2**63], r"too large for a BIGINT|lose digits"),
        ([Decimal("Infinity")], r"holds Infinity \(row 0\): a DECIMAL knows no infinity"),
        ([Decimal(10) ** 40], "more than 38 digits"),
        ([Decimal("1e-40")], "more than 38 digits"),
        ([Decimal("9" * 30), Decimal("0." + "1" * 20)], "more than 38 digits"),
        ([dt.timedelta(1)], r"duration|timedelta"),
        ([dt.datetime(2022, 1, 1, tzinfo=dt.UTC)], "without a zone"),
        ([dt.datetime(2022, 1, 1), dt.datetime(2022, 1, 1, tzinfo=dt.UTC)], r"zone \(row 1\)"),
        ([pd.Timestamp("2022-01-01 00:00:00.000000001")], r"nanoseconds|floor\('us'\)"),
        (np.array(["1399-12-31"], dtype="datetime64[us]"), "outside the years 1400 to 9999"),
        (np.array(["20000-01-01"], dtype="datetime64[s]"), "outside the years 1400 to 9999"),
        (pd.Categorical(["a", 1]), "mixes text"),
        (np.array([2**64 - 1], dtype="uint64"), "lose digits"),
        (pd.period_range("2022-01", periods=2, freq="M"), "which a table does not hold"),
        ([1 + 2j], r"no single type|type complex"),
    ],
)
@pytest.mark.parametrize("as_object", [False, True])
def test_values_without_one_clear_type_are_refused(
    store: EmbeddedStore, values: object, word: str, as_object: bool
) -> None:
    if as_object and not isinstance(values, list):
        return
    frame = pd.DataFrame({"a": pd.Series(values, dtype=object) if as_object else pd.Series(values)})
    with pytest.raises((InvalidInput, ColumnMismatch), match=word):
        store.save_pandas_to_table(frame, "t", table_creation=True)
    assert not store.table_exists("t")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pd.Categorical([2, None, 1]), "bigint"),
        (pd.Categorical([Decimal("1.5"), None]), "decimal(18,1)"),
        (pd.Categorical([dt.date(2022, 1, 1), None]), "date"),
        (pd.Categorical(["b", "a", None]), "varchar"),
        (pd.Categorical([None, None]), "varchar"),
        (pd.arrays.SparseArray([1, 0, 0]), "bigint"),
        (pd.Series([Decimal("1.50")], dtype=pd.ArrowDtype(pa.decimal128(5, 2))), "decimal(5,2)"),
        (pd.Series([1.5, None], dtype="Float64"), "double"),
        (pd.Series(["a", None], dtype="string"), "varchar"),
        (pd.Series([Decimal("NaN"), Decimal("1.25"), Decimal("1e3")], dtype=object), "decimal(18,2)"),
        (pd.Series([pd.NA, 2**53 + 1], dtype=object), "bigint"),
        (pd.Series([pd.NaT, dt.datetime(2022, 1, 1, 1, 2, 3, 4)], dtype=object), "timestamp"),
        (pd.Series([dt.date(1, 1, 1), dt.date(9999, 12, 31)], dtype=object), "date"),
        (pd.Series(["a\0b", "\0"]), "varchar"),
    ],
)
def test_less_usual_columns_come_back_exactly(store: EmbeddedStore, values: object, kind: str) -> None:
    store.save_pandas_to_table(pd.DataFrame({"a": values}), "t", table_creation=True)
    assert types(store) == {"a": kind}
    expected = [
        None if (pd.isna(value) is True or value is pd.NaT) else value
        for value in pd.Series(values).astype(object)
    ]
    assert [row["a"] for row in rows(store)] == expected


def test_whole_floats_fit_a_bigint_and_others_do_not(store: EmbeddedStore) -> None:
    store.save_pandas_to_table(pd.DataFrame({"a": [1, 2]}), "t", table_creation=True)
    store.save_pandas_to_table(pd.DataFrame({"a": [3.0, np.nan]}), "t")
    assert [row["a"] for row in rows(store)] == [1, 2, 3, None]
    for wrong in ([1.5], ["4"], [True], [dt.date(2022, 1, 1)], [2.0**70]):
        with pytest.raises(ColumnMismatch, match="'a'"):
            store.save_pandas_to_table(pd.DataFrame({"a": wrong}), "t")
    store.save_pandas_to_table(pd.DataFrame({"a": [None]}), "t")
    assert store.table_version("t") == 2


def test_a_decimal_column_takes_what_fits(store: EmbeddedStore) -> None:
    store.save_pandas_to_table(pd.DataFrame({"a": [Decimal("1.25")]}), "t", table_creation=True)
    store.save_pandas_to_table(pd.DataFrame({"a": [Decimal("1234567.5")]}), "t")
    with pytest.raises(ColumnMismatch, match="lose digits"):
        store.save_pandas_to_table(pd.DataFrame({"a": [Decimal("0.125")]}), "t")
    assert [row["a"] for row in rows(store)] == [Decimal("1.25"), Decimal("1234567.50")]


def test_an_empty_frame_makes_an_empty_table(store: EmbeddedStore) -> None:
    frame = pd.DataFrame({"a": pd.Series([], dtype="int64"), "b": pd.Series([], dtype="float64")})
    store.save_pandas_to_table(frame, "t", table_creation=True)
    assert types(store) == {"a": "bigint", "b": "double"}
    assert rows(store) == []
    store.save_pandas_to_table(pd.DataFrame({"a": [1], "b": [2.0]}), "t")
    assert rows(store) == [{"a": 1, "b": 2.0}]
