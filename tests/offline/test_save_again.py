"""A call that failed wrote nothing; a call that wrote did not fail: the same call again doubles no row."""

from __future__ import annotations

import pandas as pd
import pytest
from deltalake.exceptions import CommitFailedError, DeltaError

from mlopslib.errors import OfflineStoreError
from mlopslib.offline import delta
from mlopslib.offline.embedded import EmbeddedStore

FRAME = pd.DataFrame({"a": [1, 2, 3]})


def count(store: EmbeddedStore) -> int:
    return store.read_sql("select count(*) as n from t").to_pylist()[0]["n"]


@pytest.mark.parametrize(
    "fault", [DeltaError("a checkpoint failed"), CommitFailedError("who won?"), OSError()]
)
def test_an_error_after_the_commit_is_no_failure(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    store.save_pandas_to_table(FRAME, "t", table_creation=True)
    write = delta.write_deltalake

    def write_and_fail(*args: object, **options: object) -> None:
        write(*args, **options)
        raise fault

    monkeypatch.setattr(delta, "write_deltalake", write_and_fail)
    assert store.save_pandas_to_table(FRAME, "t") is True
    assert count(store) == 6


@pytest.mark.parametrize("fault", [DeltaError("no space"), OSError("no space left on device")])
def test_a_failed_call_wrote_nothing_and_may_be_made_again(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    store.save_pandas_to_table(FRAME, "t", table_creation=True)

    def fail(*args: object, **options: object) -> None:
        raise fault

    with monkeypatch.context() as broken:
        broken.setattr(delta, "write_deltalake", fail)
        with pytest.raises(OfflineStoreError, match=r"could not be written|no space"):
            store.save_pandas_to_table(FRAME, "t")
    assert count(store) == 3
    assert store.save_pandas_to_table(FRAME, "t") is True
    assert count(store) == 6


def test_a_lost_race_is_tried_again_and_written_once(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save_pandas_to_table(FRAME, "t", table_creation=True)
    write, losses = delta.write_deltalake, [1, 1, 1]

    def lose_three_times(*args: object, **options: object) -> None:
        if losses:
            losses.pop()
            raise CommitFailedError("somebody was first")
        write(*args, **options)

    monkeypatch.setattr(delta, "write_deltalake", lose_three_times)
    assert store.save_pandas_to_table(FRAME, "t") is True
    assert (count(store), losses) == (6, [])


def test_making_a_table_fails_whole(store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(delta, "write_deltalake", fail)
        with pytest.raises(OSError, match="no space"):
            store.save_pandas_to_table(FRAME, "t", table_creation=True)
    assert store.list_tables() == []
    store.save_pandas_to_table(FRAME, "t", table_creation=True)
    assert count(store) == 3
