"""Random frames come back as they went, value for value and type for type."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from decimal import Decimal

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlopslib import tables
from mlopslib.offline.embedded import EmbeddedStore

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
#: of each kind: its values, the dtype of the frame, and what comes back
KINDS: dict[str, tuple[st.SearchStrategy[object], str]] = {
    "whole": (st.integers(-(2**63), 2**63 - 1), "Int64"),
    "double": (st.floats(allow_nan=False), "float64"),
    "flag": (st.booleans(), "boolean"),
    "text": (TEXT, "str"),
    "category": (TEXT, "category"),
    "day": (st.dates(), "object"),
    "time": (st.datetimes(dt.datetime(1400, 1, 1)), "datetime64[us]"),
    "amount": (st.decimals(-(10**12), 10**12, places=4, allow_nan=False), "object"),
}


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    size = draw(st.integers(0, 6))
    columns = {}
    for name in names:
        values, dtype = KINDS[draw(st.sampled_from(sorted(KINDS)))]
        cells = draw(st.lists(st.none() | values, min_size=size, max_size=size))
        columns[name] = pd.Series(cells, dtype=dtype)
    return pd.DataFrame(columns)


def plain(value: object) -> object:
    """A cell without regard to who wraps it: missing is None, -0.0 is told from 0.0."""
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    if isinstance(value, float):
        return (float(value), math.copysign(1, value))
    return value.item() if hasattr(value, "item") else value


def cells(frame: pd.DataFrame) -> list[tuple[object, ...]]:
    return [tuple(map(plain, row)) for row in frame.astype(object).itertuples(index=False)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frame=frames(), data=st.data())
def test_a_frame_comes_back_as_it_went(
    store: EmbeddedStore, frame: pd.DataFrame, data: st.DataObject
) -> None:
    tables.use_store(store.url)
    name = f"t_{uuid.uuid4().hex}"
    assert tables.save_pandas_to_table(frame, name, table_creation=True) is True
    found = tables.read_sql(f"select * from {name}")
    assert list(found.columns) == list(frame.columns)
    assert cells(found) == cells(frame)
    # the same rows again, with columns in another order, and only once
    shuffled = frame[data.draw(st.permutations(list(frame.columns)))]
    tables.save_pandas_to_table(shuffled, name)
    assert cells(tables.read_sql(f"select * from {name}")) == cells(frame) * 2


def test_types_do_not_depend_on_the_rows(store: EmbeddedStore) -> None:
    tables.use_store(store.url)
    frame = pd.DataFrame(
        {
            "n": pd.array([2**53 + 1, None], dtype="Int64"),
            "b": pd.array([True, None], dtype="boolean"),
            "x": [0.5, None],
            "d": [dt.date(2024, 2, 29), None],
            "t": pd.Series([dt.datetime(2024, 2, 29, 1, 2, 3, 4), None], dtype="datetime64[us]"),
            "m": [Decimal("1.10"), None],
            "s": ["한글", None],
        }
    )
    tables.save_pandas_to_table(frame, "t", table_creation=True)
    wanted = {
        "n": "Int64",
        "b": "boolean",
        "x": "float64",
        "d": "object",
        "t": "datetime64[us]",
        "m": "object",
        "s": "str",
    }
    for condition in ("true", "n is null", "n is not null", "false"):
        found = tables.read_sql(f"select * from t where {condition}")
        assert {name: str(kind) for name, kind in found.dtypes.items()} == wanted
    first = tables.read_sql("select * from t where n > 0").iloc[0]
    assert (first.n, first.d, first.m) == (2**53 + 1, dt.date(2024, 2, 29), Decimal("1.10"))
