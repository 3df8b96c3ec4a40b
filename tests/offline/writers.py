"""Processes that write while a test watches: ``python -m tests.offline.writers KIND ROOT ARGUMENT COUNT``."""

from __future__ import annotations

import sys

import pandas as pd
import pyarrow as pa

from mlopslib.offline.embedded import EmbeddedStore

ROWS = 200


def month_of(mark: int) -> pa.Table:
    """Rows that are whole only together: their marks are equal and their parts add up to 0."""
    parts = [*range(1, ROWS), -sum(range(1, ROWS))]
    return pa.table({"mark": [mark] * ROWS, "part": parts})


def overwrite(store: EmbeddedStore, value: str, count: int) -> None:
    for mark in range(count):
        store.overwrite_partition("months", month_of(mark), column="base_ym", value=value)
        print(mark, flush=True)


def append(store: EmbeddedStore, name: str, count: int) -> None:
    for number in range(count):
        frame = pd.DataFrame({"writer": [name] * ROWS, "batch": [number] * ROWS})
        store.save_pandas_to_table(frame, "log", table_creation=True)
        print(number, flush=True)


if __name__ == "__main__":
    kind, root, argument, count = sys.argv[1:]
    {"overwrite": overwrite, "append": append}[kind](EmbeddedStore(root, threads=1), argument, int(count))
