"""An expression in Impala SQL has one value, whichever engine computes it.

The reference is a real Spark HiveServer2. Each group of expressions is one query on each engine.
"""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlopslib.errors import QueryFailed
from mlopslib.offline.embedded import EmbeddedStore
from tests.engines import expressions as cases

if TYPE_CHECKING:
    from mlopslib.offline.base import OfflineStore

pytestmark = pytest.mark.spark
Rows = list[dict[str, object]]


@pytest.fixture(scope="module")
def duckdb_store(tmp_path_factory: pytest.TempPathFactory) -> OfflineStore:
    store = EmbeddedStore(tmp_path_factory.mktemp("values") / "offline", threads=1)
    store.save_pandas_to_table(cases.frame(), cases.TABLE, table_creation=True)
    return store


@pytest.fixture(scope="module")
def reference(spark_store: OfflineStore) -> OfflineStore:
    spark_store.save_pandas_to_table(cases.frame(), cases.TABLE, table_creation=True)
    return spark_store


def comparable(value: object) -> object:
    """NaN and infinity are no feature value: both engines store NULL. A DATE is a time at midnight."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return dt.datetime(value.year, value.month, value.day)
    return value


def is_same(left: object, right: object, tolerance: float = 1e-12) -> bool:
    one, other = comparable(left), comparable(right)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other or math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
    return type(one) is type(other) and one == other


def differences(expected: Rows, found: Rows, names: dict[str, str], tolerance: float = 1e-12) -> list[str]:
    assert len(expected) == len(found) > 0
    return [
        f"{expression}: Spark {[row[name] for row in expected]}, DuckDB {[row[name] for row in found]}"
        for name, expression in names.items()
        if not all(is_same(a[name], b[name], tolerance) for a, b in zip(expected, found, strict=True))
    ]


def select(expressions: tuple[str, ...], key: str = "id", tail: str = "order by id") -> str:
    listed = ", ".join(f"{expression} as c{number}" for number, expression in enumerate(expressions))
    return f"select {key}, {listed} from {cases.TABLE} {tail}"


def both(one: OfflineStore, other: OfflineStore, sql: str) -> tuple[Rows, Rows]:
    return one.read_sql(sql).to_pylist(), other.read_sql(sql).to_pylist()


def named(expressions: tuple[str, ...]) -> dict[str, str]:
    return {f"c{number}": expression for number, expression in enumerate(expressions)}


@pytest.mark.parametrize("group", [*cases.SCALARS, *cases.WINDOWS])
def test_expressions_have_one_value(reference: OfflineStore, duckdb_store: OfflineStore, group: str) -> None:
    expressions = {**cases.SCALARS, **cases.WINDOWS}[group]
    expected, found = both(reference, duckdb_store, select(expressions))
    assert differences(expected, found, named(expressions)) == []


@pytest.mark.parametrize("group", cases.AGGREGATES)
def test_aggregates_have_one_value(reference: OfflineStore, duckdb_store: OfflineStore, group: str) -> None:
    expressions = cases.AGGREGATES[group]
    sql = select(expressions, "grp", "group by grp order by grp")
    expected, found = both(reference, duckdb_store, sql)
    assert differences(expected, found, named(expressions)) == []


def test_rounded_values_agree_in_the_digits_that_both_keep(
    reference: OfflineStore, duckdb_store: OfflineStore
) -> None:
    expected, found = both(reference, duckdb_store, select(cases.ROUNDED))
    assert differences(expected, found, named(cases.ROUNDED), tolerance=1e-7) == []


@pytest.mark.parametrize("name", cases.QUERIES)
def test_queries_have_one_answer(reference: OfflineStore, duckdb_store: OfflineStore, name: str) -> None:
    expected, found = both(reference, duckdb_store, cases.QUERIES[name])
    assert list(expected[0]) == list(found[0])
    assert differences(expected, found, {column: column for column in expected[0]}) == []


def test_known_differences_are_as_told(reference: OfflineStore, duckdb_store: OfflineStore) -> None:
    expressions = tuple(expression for expression, _, _ in cases.DIFFERENT)
    spark, embedded = both(reference, duckdb_store, select(expressions, tail="where id = 1"))
    for number, (expression, ours, theirs) in enumerate(cases.DIFFERENT):
        assert is_same(embedded[0][f"c{number}"], ours), expression
        assert spark[0][f"c{number}"] == theirs, expression


def test_a_product_of_decimals_that_is_too_large_is_refused_not_wrong(
    reference: OfflineStore, duckdb_store: OfflineStore
) -> None:
    sql = select(("m * m", "cast(m as double) * m"), tail="where id = 5")
    assert reference.read_sql(sql).to_pylist()[0]["c0"] == Decimal("9999999999980000.00000001")
    with pytest.raises(QueryFailed, match="Overflow"):
        duckdb_store.read_sql(sql)


def test_the_list_is_long_enough() -> None:
    groups = {**cases.SCALARS, **cases.AGGREGATES, **cases.WINDOWS}
    assert sum(len(expressions) for expressions in groups.values()) >= 400


def test_the_table_is_the_same_on_both(
    reference: OfflineStore, duckdb_store: OfflineStore, tmp_path: Path
) -> None:
    expected, found = both(reference, duckdb_store, f"select * from {cases.TABLE} order by id")
    assert expected == found
