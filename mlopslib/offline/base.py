"""The contract of an offline store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mlopslib.offline.limits import Limits

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mlopslib.definition import FeatureSetSpec


@dataclass(frozen=True)
class Column:
    name: str
    #: the engine's own word for the type, lower case: ``bigint``, ``double``, ``varchar``
    type: str


@dataclass(frozen=True)
class WrittenPartition:
    """A month that stands in the store. `infinite` values were kept as missing."""

    rows: int
    table_version: int
    infinite: int = 0


class OfflineStore(Protocol):
    """Tables of the past, read by guarded Impala SQL.

    Engines without versions of tables give 0 for `table_version` and read what is there now.
    """

    #: the address without its password
    url: str
    #: what a query may take when the caller names nothing else
    limits: Limits

    @property
    def engine(self) -> str:
        """``duckdb``, ``impala``, ``hive`` or ``spark``."""
        ...

    def list_tables(self) -> list[str]: ...

    def table_exists(self, name: str) -> bool: ...

    def describe(self, name: str) -> list[Column]:
        """Columns of a table. Raises TableNotFound."""
        ...

    def describe_sql(self, sql: str) -> list[Column]:
        """Output columns of one guarded SELECT, without running it. Raises SqlRejected, QueryFailed."""
        ...

    def read_sql(
        self,
        sql: str,
        *,
        versions: Mapping[str, int] | None = None,
        limits: Limits | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> pa.Table:
        """Rows of one guarded SELECT written in Impala SQL, already rendered.

        `versions` pins tables to a version (time travel). `limits` stand before the store's own;
        `is_cancelled` is asked about every 0.2 s, in the caller's thread. However the call ends, nothing
        of the query runs in the engine afterwards.
        Raises SqlRejected, TableNotFound, QueryFailed, QueryTimeout, QueryCancelled, QueryTooLarge.
        """
        ...

    def estimate_rows(self, sql: str) -> int | None:
        """The engine's guess of how many rows a SELECT gives, without running it; None where it has none."""
        ...

    def write_partition(
        self,
        feature_set: FeatureSetSpec,
        sql: str,
        *,
        column: str = "base_ym",
        value: str,
        limits: Limits | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> WrittenPartition:
        """Run a feature query in the engine, check its answer there, and put it in the place of a partition.

        Numeric features become DOUBLE with NaN and infinities as NULL, categories become STRING.
        Nothing of the table changes unless every check passes. Raises EmptyMonth, DataError (the key
        is missing or repeated), DefinitionInvalid (other columns), and what `read_sql` raises.
        """
        ...

    def read_partition(
        self, name: str, column: str, value: str, *, columns: list[str] | None = None
    ) -> pa.Table:
        """One partition (empty table with the right schema where it does not exist)."""
        ...

    def save_pandas_to_table(
        self, pandas_df: pd.DataFrame, table_name: str, table_creation: bool = False
    ) -> bool:
        """Append a frame. Raises InputTypeException, TableNotFound, ColumnMismatch."""
        ...

    def create_table(self, name: str, data: pa.Table, *, partition_by: str | None = None) -> int:
        """Create from Arrow data; returns the version. Raises TableExists."""
        ...

    def overwrite_partition(self, name: str, data: pa.Table, *, column: str, value: str) -> int:
        """Replace one partition at once (creating the table if needed); returns the new version."""
        ...

    def partitions(self, name: str, column: str) -> list[str]:
        """Sorted values of a partition column; [] where the table does not exist."""
        ...

    def table_version(self, name: str) -> int: ...

    def import_file(self, name: str, path: Path | str, *, replace: bool = False) -> int:
        """Load a .parquet or .csv file as a table; returns its rows. Raises TableExists, InvalidInput."""
        ...

    def drop_table(self, name: str) -> None: ...
