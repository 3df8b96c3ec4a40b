"""The contract of an offline store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True)
class Column:
    name: str
    #: the engine's own word for the type, lower case: ``bigint``, ``double``, ``varchar``
    type: str


class OfflineStore(Protocol):
    """Tables of the past, read by guarded Impala SQL."""

    url: str

    def list_tables(self) -> list[str]: ...

    def table_exists(self, name: str) -> bool: ...

    def describe(self, name: str) -> list[Column]:
        """Columns of a table. Raises TableNotFound."""
        ...

    def describe_sql(self, sql: str) -> list[Column]:
        """Output columns of one guarded SELECT, without running it. Raises SqlRejected, QueryFailed."""
        ...

    def read_sql(self, sql: str, *, versions: Mapping[str, int] | None = None) -> pa.Table:
        """Rows of one guarded SELECT written in Impala SQL, already rendered.

        `versions` pins tables to a version (time travel). Raises SqlRejected, TableNotFound, QueryFailed.
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
