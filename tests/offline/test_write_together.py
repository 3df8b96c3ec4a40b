"""Writers of several processes, and a writer that is killed, against one store."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from mlopslib.errors import OfflineStoreError
from mlopslib.offline import delta
from mlopslib.offline.embedded import EmbeddedStore
from tests.offline.writers import ROWS, month_of


def start(store: EmbeddedStore, kind: str, argument: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.offline.writers", kind, str(store.root), argument, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def check_whole(store: EmbeddedStore, value: str) -> int:
    data = store.read_partition("months", "base_ym", value)
    marks = set(data.column("mark").to_pylist())
    assert (data.num_rows, len(marks), sum(data.column("part").to_pylist())) == (ROWS, 1, 0)
    return marks.pop()


def test_two_processes_append_and_nothing_is_lost(store: EmbeddedStore) -> None:
    writers = [start(store, "append", name, 8) for name in ("one", "two")]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    counted = store.read_sql("select writer, batch, count(*) n from log group by writer, batch").to_pylist()
    assert len(counted) == 16
    assert {row["n"] for row in counted} == {ROWS}


def test_two_processes_overwrite_one_month_and_both_succeed(store: EmbeddedStore) -> None:
    writers = [start(store, "overwrite", "202210", 8) for _ in range(2)]
    while any(writer.poll() is None for writer in writers):
        if store.table_exists("months"):
            check_whole(store, "202210")
    assert [writer.wait() for writer in writers] == [0, 0]
    assert check_whole(store, "202210") == 7
    # the table, and one version for each overwrite that was acknowledged
    assert store.table_version("months") == 15


def test_two_processes_overwrite_two_months(store: EmbeddedStore) -> None:
    writers = [start(store, "overwrite", value, 6) for value in ("202209", "202210")]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    assert store.partitions("months", "base_ym") == ["202209", "202210"]
    assert [check_whole(store, value) for value in ("202209", "202210")] == [5, 5]


def test_a_killed_writer_leaves_whole_months(store: EmbeddedStore) -> None:
    store.overwrite_partition("months", month_of(1000), column="base_ym", value="202209")
    store.overwrite_partition("months", month_of(1000), column="base_ym", value="202210")
    for attempt in range(3):
        writer = start(store, "overwrite", "202210", 1000)
        assert writer.stdout is not None
        acknowledged = int(writer.stdout.readline())
        time.sleep(0.011 * (attempt + 1))
        writer.kill()
        acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
        assert acknowledged <= check_whole(store, "202210") <= acknowledged + 1
        assert check_whole(store, "202209") == 1000
    store.overwrite_partition("months", month_of(2000), column="base_ym", value="202210")
    assert check_whole(store, "202210") == 2000


def test_a_writer_that_never_wins_says_so(store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.overwrite_partition("months", month_of(1), column="base_ym", value="202210")

    def lose(*args: object, **options: object) -> None:
        raise delta.CommitFailedError("somebody was first")

    monkeypatch.setattr(delta, "write_deltalake", lose)
    monkeypatch.setattr(delta, "_ATTEMPTS", 3)
    with pytest.raises(OfflineStoreError, match="changed by others at every one of 3 attempts"):
        store.overwrite_partition("months", month_of(2), column="base_ym", value="202210")
    assert check_whole(store, "202210") == 1
