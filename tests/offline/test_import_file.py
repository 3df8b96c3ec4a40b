import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlopslib.errors import InvalidInput, TableExists
from mlopslib.offline.embedded import EmbeddedStore
from mlopslib.offline.files import imported_names, snake_case


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def types(store: EmbeddedStore, name: str = "t") -> dict[str, str]:
    return {column.name: column.type for column in store.describe(name)}


def nothing_is_left(store: EmbeddedStore) -> bool:
    staging = store.root / ".staging"
    return store.list_tables() == [] and not (staging.exists() and any(staging.iterdir()))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("InvoiceNo", "invoice_no"),
        ("CustomerID", "customer_id"),
        ("emp.var.rate", "emp_var_rate"),
        ("HTTPStatus", "http_status"),
        (" Unit Price (GBP) ", "unit_price_gbp"),
        ("bf_1m_amt", "bf_1m_amt"),
        ("feature01", "feature01"),
        ("Q4Sales", "q4_sales"),
        ("__x__", "x"),
        ("금액", ""),
    ],
)
def test_names_become_snake_case(name: str, wanted: str) -> None:
    assert snake_case(name) == wanted


def test_a_parquet_file_becomes_a_table(store: EmbeddedStore, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "InvoiceNo": ["536365", "C536379", None],
            "Quantity": np.array([6, -1, 2], dtype="int32"),
            "InvoiceDate": pd.to_datetime(["2010-12-01 08:26", None, "2011-12-09 12:50"]).astype(
                "datetime64[ms]"
            ),
            "UnitPrice": [2.55, np.nan, 0.0],
            "CustomerID": pd.array([17850, None, 12680], dtype="Int64"),
            "Country": pd.Categorical(["UK", "UK", None]),
        },
        index=[5, 6, 7],
    )
    frame.to_parquet(tmp_path / "orders.parquet")
    assert store.import_file("orders", tmp_path / "orders.parquet") == 3
    assert types(store, "orders") == {
        "invoice_no": "varchar",
        "quantity": "bigint",
        "invoice_date": "timestamp",
        "unit_price": "double",
        "customer_id": "bigint",
        "country": "varchar",
    }
    assert store.read_sql("select * from orders").to_pylist()[1] == {
        "invoice_no": "C536379",
        "quantity": -1,
        "invoice_date": None,
        "unit_price": None,
        "customer_id": None,
        "country": "UK",
    }


def test_a_csv_column_has_the_type_that_all_its_values_have(store: EmbeddedStore, tmp_path: Path) -> None:
    text = (
        "\ufeffCustNo;Count;Price;Flag;Day;At;base_ym;Big;Late;Nothing;Note\r\n"
        '007;1;1.50;true;2024-01-02;2024-01-02 03:04;202401;12345678901234567890;1;;"a;""b""\n c"\r\n'
        "010;;-2;FALSE;;2024-01-02T03:04:05.000006;202402;1;C1;;\r\n"
    )
    assert store.import_file("t", write(tmp_path / "f.csv", text)) == 2
    assert types(store) == {
        "cust_no": "varchar",
        "count": "bigint",
        "price": "double",
        "flag": "boolean",
        "day": "date",
        "at": "timestamp",
        "base_ym": "varchar",
        "big": "varchar",
        "late": "varchar",
        "nothing": "varchar",
        "note": "varchar",
    }
    assert store.read_sql("select * from t order by cust_no").to_pylist() == [
        {
            "cust_no": "007",
            "count": 1,
            "price": 1.5,
            "flag": True,
            "day": dt.date(2024, 1, 2),
            "at": dt.datetime(2024, 1, 2, 3, 4),
            "base_ym": "202401",
            "big": "12345678901234567890",
            "late": "1",
            "nothing": None,
            "note": 'a;"b"\n c',
        },
        {
            "cust_no": "010",
            "count": None,
            "price": -2.0,
            "flag": False,
            "day": None,
            "at": dt.datetime(2024, 1, 2, 3, 4, 5, 6),
            "base_ym": "202402",
            "big": "1",
            "late": "C1",
            "nothing": None,
            "note": None,
        },
    ]


def test_a_type_is_judged_by_the_last_row_too(store: EmbeddedStore, tmp_path: Path) -> None:
    lines = "\n".join(str(number) for number in range(50_000))
    assert store.import_file("t", write(tmp_path / "f.csv", f"InvoiceNo\n{lines}\nC1\n")) == 50_001
    assert types(store) == {"invoice_no": "varchar"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", "line 3, Expected Number of Columns: 2 Found: 1"),
        ("a,b\n1,2,3\n", "line 2, Expected Number of Columns: 2 Found: 3"),
        ('a,b\n1,"x\n', "unterminated quote"),
        ("CustomerID,customer_id\n1,2\n", "two columns of f.csv become 'customer_id'"),
        ("a,a\n1,2\n", "two columns of f.csv become 'a'"),
        ("a,,c\n1,2,3\n", "column 2 of f.csv is named ''"),
        ("a,2nd\n1,2\n", "column 2 of f.csv is named '2nd'"),
        ("", "no header line"),
        ("\n1\n", "no header line"),
        ("a\x00b\n1\n", "not a CSV file"),
    ],
)
def test_a_bad_csv_is_refused_and_leaves_nothing(
    store: EmbeddedStore, tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        store.import_file("t", write(tmp_path / "f.csv", text))
    assert nothing_is_left(store)


def test_a_row_of_a_bad_file_is_not_shown(store: EmbeddedStore, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        store.import_file("t", write(tmp_path / "f.csv", "name,card\nKim,5555-4444,x\n"))
    assert "5555" not in str(caught.value)


def test_text_that_is_not_utf8_is_refused(store: EmbeddedStore, tmp_path: Path) -> None:
    for text in ("café\n1\n", "a\ncafé\n"):
        with pytest.raises(InvalidInput, match=r"(?i)utf-8"):
            store.import_file("t", write(tmp_path / "f.csv", text, "latin-1"))
    assert nothing_is_left(store)


def test_other_files_are_refused(store: EmbeddedStore, tmp_path: Path) -> None:
    for name, content in (("f.xlsx", b"PK"), ("f.parquet.gz", b""), ("f", b"a\n1\n")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidInput, match=r"neither a \.parquet nor a \.csv"):
            store.import_file("t", tmp_path / name)
    with pytest.raises(InvalidInput, match="there is no file"):
        store.import_file("t", tmp_path / "none.csv")
    (tmp_path / "f.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(InvalidInput, match="cannot be read as Parquet"):
        store.import_file("t", tmp_path / "f.parquet")
    assert nothing_is_left(store)


def test_a_file_that_breaks_in_the_middle_leaves_the_old_table(store: EmbeddedStore, tmp_path: Path) -> None:
    whole = tmp_path / "whole.parquet"
    values = np.random.default_rng(1).random(400_000)
    pq.write_table(pa.table({"a": values}), whole, write_page_checksum=True, row_group_size=100_000)
    content = bytearray(whole.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 5000] = b"\x00" * 5000
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"broken\.parquet cannot be read as Parquet"):
        store.import_file("t", broken)
    assert nothing_is_left(store)
    store.import_file("t", whole)
    with pytest.raises(InvalidInput):
        store.import_file("t", broken, replace=True)
    assert store.table_version("t") == 0
    assert store.read_sql("select count(*) n from t").to_pylist() == [{"n": 400_000}]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([[1]]), "list"),
        (pa.array([b"x"]), "binary"),
        (pa.array([0], pa.timestamp("us", "UTC")), "without a zone"),
        (pa.array([1], pa.timestamp("ns")), "does not become"),
        (pa.array([2**63], pa.uint64()), "does not become"),
    ],
)
def test_types_that_tables_do_not_hold_are_named(
    store: EmbeddedStore, tmp_path: Path, column: pa.Array, message: str
) -> None:
    pq.write_table(pa.table({"Odd": column}), tmp_path / "f.parquet", version="2.6")
    with pytest.raises(InvalidInput, match=rf"'odd'.*{message}|{message}.*'odd'"):
        store.import_file("t", tmp_path / "f.parquet")
    assert nothing_is_left(store)


def test_an_existing_table_is_replaced_only_when_asked(store: EmbeddedStore, tmp_path: Path) -> None:
    store.import_file("t", write(tmp_path / "f.csv", "a\n1\n"))
    other = write(tmp_path / "g.csv", "b,ym\nx,202210\ny,202211\n")
    with pytest.raises(TableExists, match="there is a table 't' already"):
        store.import_file("t", other)
    assert store.import_file("t", other, replace=True) == 2
    assert types(store) == {"b": "varchar", "ym": "varchar"}
    assert store.read_sql("select a from t", versions={"t": 0}).to_pylist() == [{"a": 1}]
    assert store.import_file("new", other, replace=True) == 2


def test_a_partitioned_table_can_be_replaced(store: EmbeddedStore, tmp_path: Path) -> None:
    store.overwrite_partition("t", pa.table({"a": [1]}), column="base_ym", value="202210")
    assert store.import_file("t", write(tmp_path / "f.csv", "a\nx\n"), replace=True) == 1
    assert store.read_sql("select * from t").to_pylist() == [{"a": "x"}]


def test_imported_names_keep_the_order_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", "StockCode\tUnitPrice\nA\t1\n")
    assert list(imported_names(path).items()) == [("StockCode", "stock_code"), ("UnitPrice", "unit_price")]
