"""Tables from a notebook: write a frame, read SQL, look at what there is.

The store is the one of the environment variable ``OFFLINE_URL``, or the one given to `use_store`.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING

from mlopslib.dates import date_params
from mlopslib.errors import InvalidInput
from mlopslib.offline import Column, OfflineStore, open_store
from mlopslib.sql import render_sql

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["describe", "list_tables", "read_sql", "save_pandas_to_table", "table_exists", "use_store"]

_chosen: list[str] = []


def use_store(url: str) -> None:
    """Read and write the store at `url` from now on, in this process.

    Parameters
    ----------
    url
        ``delta:///absolute/path``, or ``impala://user@host:21050/database?...``; see `open_store`.

    Raises
    ------
    InvalidInput
        If the address cannot be one of a store.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> use_store(f"delta://{mkdtemp()}/offline")
    >>> list_tables()
    []
    """
    _open(url)
    _chosen[:] = [url]


@lru_cache(maxsize=8)
def _open(url: str) -> OfflineStore:
    return open_store(url)


def _store() -> OfflineStore:
    url = _chosen[0] if _chosen else os.environ.get("OFFLINE_URL", "")
    if not url:
        raise InvalidInput(
            "there is no store yet: call use_store('delta:///absolute/path') or set OFFLINE_URL",
            field="OFFLINE_URL",
        )
    return _open(url)


def save_pandas_to_table(pandas_df: pd.DataFrame, table_name: str, table_creation: bool = False) -> bool:
    """Append a frame to a table, whole or not at all.

    Parameters
    ----------
    pandas_df
        The rows. Columns are matched by name, in any order; the index is left out. None, NaN, NaT and
        pd.NA are stored as NULL. Which type becomes which: `mlopslib.offline.types`.
    table_name
        A lower-case name.
    table_creation
        Make the table where it does not exist. A table that exists is appended to either way.

    Returns
    -------
    bool
        True. Every failure is an exception and leaves the table as it was, so the same call can be made
        again without doubling rows.

    Raises
    ------
    InputTypeException
        `pandas_df` is not a DataFrame.
    TableNotFound
        The table does not exist and `table_creation` is False.
    ColumnMismatch
        Columns are missing, unknown, repeated, or of a type that does not fit the table's.
    InvalidInput
        A column mixes types, or holds what a table does not: lists, zones, nanoseconds.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> import pandas as pd
    >>> use_store(f"delta://{mkdtemp()}/offline")
    >>> frame = pd.DataFrame({"cust_id": ["c1", "c2"], "amount": [10, 20]})
    >>> save_pandas_to_table(frame, "balance", table_creation=True)
    True
    >>> save_pandas_to_table([1, 2], "balance")
    Traceback (most recent call last):
    mlopslib.errors.InputTypeException: a pandas DataFrame is needed, this is a list
    >>> save_pandas_to_table(frame[["cust_id"]], "balance")
    Traceback (most recent call last):
    mlopslib.errors.ColumnMismatch: table has 2 columns, frame lacks 'amount'
    """
    return _store().save_pandas_to_table(pandas_df, table_name, table_creation)


def read_sql(sql: str, **params: str) -> pd.DataFrame:
    """The rows of one SELECT, with exact types.

    Parameters
    ----------
    sql
        One SELECT in Impala SQL. Date parameters stand in braces: ``'{base_ym}'``, ``'{bf_3m_dt}'``.
    **params
        ``base_ym="202401"`` or ``base_dt="20240115"`` gives every parameter of that base date (see
        `mlopslib.dates.date_params`); others are taken as they are and go before those.

    Returns
    -------
    pandas.DataFrame
        The types do not depend on the rows: BIGINT is ``Int64`` (with gaps too), BOOLEAN ``boolean``,
        DOUBLE ``float64``, DECIMAL objects of type Decimal, DATE objects of type date, TIMESTAMP
        ``datetime64[us]``, STRING ``str``.

    Raises
    ------
    SqlRejected, UnknownParameter, InvalidDate
        The text is not one SELECT, or a parameter is unknown or no date.
    TableNotFound, QueryFailed
        A table is not there, or the engine cannot answer.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> import pandas as pd
    >>> use_store(f"delta://{mkdtemp()}/offline")
    >>> frame = pd.DataFrame({"base_ym": ["202312", "202401"], "n": [9007199254740993, None]}, dtype=object)
    >>> save_pandas_to_table(frame, "balance", table_creation=True)
    True
    >>> read_sql("select n from balance where base_ym = '{bf_1m_ym}'", base_ym="202401").n[0]
    np.int64(9007199254740993)
    >>> str(read_sql("select n from balance").n.dtype)
    'Int64'
    """
    base = params.get("base_dt") or params.get("base_ym")
    known = {**(date_params(base) if base else {}), **params}
    import pandas as pd
    import pyarrow as pa

    exact = {
        pa.int8(): pd.Int64Dtype(),
        pa.int16(): pd.Int64Dtype(),
        pa.int32(): pd.Int64Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    frame: pd.DataFrame = (
        _store().read_sql(render_sql(sql, known)).to_pandas(types_mapper=exact.get, date_as_object=True)
    )
    return frame


def table_exists(table_name: str) -> bool:
    """Whether there is a table of this name.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> use_store(f"delta://{mkdtemp()}/offline")
    >>> table_exists("balance")
    False
    """
    return _store().table_exists(table_name)


def describe(table_name: str) -> list[Column]:
    """Columns of a table with the engine's own words for their types. Raises TableNotFound.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> import pandas as pd
    >>> use_store(f"delta://{mkdtemp()}/offline")
    >>> save_pandas_to_table(pd.DataFrame({"amount": [1.5]}), "balance", table_creation=True)
    True
    >>> describe("balance")
    [Column(name='amount', type='double')]
    """
    return _store().describe(table_name)


def list_tables() -> list[str]:
    """Names of all tables, sorted; an example stands at `use_store`."""
    return _store().list_tables()
