"""What is printed for Impala is Impala's SQL, and means what was read."""

from __future__ import annotations

import re

import duckdb
import pytest

from mlopslib.errors import SqlRejected
from mlopslib.offline.types import frame_to_arrow, stored_schema, to_stored
from mlopslib.sql import guard_select, to_duckdb
from mlopslib.sql.engines import to_engine
from tests.engines import expressions as cases

#: names that sqlglot and other engines have for functions, and Impala has not
NOT_IMPALA = (
    "DATE_FORMAT|APPROX_COUNT_DISTINCT|PERCENTILE\\w*|LISTAGG|ARRAY_\\w+|TRY_\\w+|STRPOS|POSITION|DAY_OF_\\w+|"
    "STR_TO_\\w+|TIME_TO_\\w+|UNIX_TO_\\w+|TS_OR_\\w+|VAR_POP|VAR_SAMP|TIMESTAMP_TRUNC"
)
GROUPS = {**cases.SCALARS, **cases.WINDOWS, **cases.AGGREGATES}


@pytest.fixture(scope="module")
def engine():
    connection = duckdb.connect()
    given = frame_to_arrow(cases.frame())
    stored = to_stored(given, stored_schema(given.schema))  # noqa: F841 - read by name
    connection.execute(f"create table {cases.TABLE} as select * from stored")
    yield connection
    connection.close()


@pytest.mark.parametrize("group", GROUPS)
def test_the_printed_text_is_read_as_the_same_query(engine, group: str) -> None:
    tail = "group by grp order by grp" if group in cases.AGGREGATES else "order by id"
    key = tail.split()[-1]
    listed = ", ".join(
        f"{expression} as c{number}"
        for number, expression in enumerate(GROUPS[group])
        if "percentile" not in expression
    )
    query = guard_select(f"select {key}, {listed} from {cases.TABLE} {tail}")
    printed = to_engine(query, "impala")
    assert not re.search(rf"\b({NOT_IMPALA})\(", printed)
    # as text, because NaN does not equal itself
    expected, found = (str(engine.sql(text).fetchall()) for text in (to_duckdb(query), to_duckdb(printed)))
    assert found == expected


def test_a_changed_tree_keeps_impalas_names() -> None:
    query = guard_select(
        "select from_timestamp(add_months(ts, -1), 'yyyyMM') ym, ndv(k) n, appx_median(x) m, a || b c "
        "from t where dt >= strleft('{}', 6) group by 1".format("20240131")
    ).limit(5)
    assert to_engine(query, "impala") == (
        "SELECT FROM_TIMESTAMP(CAST((CAST(`ts` AS TIMESTAMP) + INTERVAL (-1) MONTH) AS TIMESTAMP), 'yyyyMM') "
        "AS `ym`, NDV(`k`) AS `n`, APPX_MEDIAN(`x`) AS `m`, CONCAT(`a`, `b`) AS `c` FROM `t` "
        "WHERE `dt` >= STRLEFT('20240131', 6) GROUP BY 1 LIMIT 5"
    )


def test_percentiles_are_refused_with_what_impala_has() -> None:
    with pytest.raises(SqlRejected, match="use APPX_MEDIAN, or NTILE"):
        to_engine(guard_select("select percentile(x, 0.25) v from t"), "impala")
