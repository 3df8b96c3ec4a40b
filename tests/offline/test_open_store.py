from pathlib import Path

import pandas as pd
import pytest

from mlopslib.errors import InvalidInput
from mlopslib.offline import open_store


def test_a_delta_address_opens_the_directory(tmp_path: Path) -> None:
    store = open_store(f"delta://{tmp_path / 'offline'}")
    assert store.list_tables() == []
    store.save_pandas_to_table(pd.DataFrame({"a": [1]}), "t", table_creation=True)
    assert open_store(store.url).list_tables() == ["t"]
    assert (tmp_path / "offline" / "t" / "_delta_log").is_dir()


def test_a_directory_with_spaces_and_signs_works(tmp_path: Path) -> None:
    store = open_store(f"delta://{tmp_path}/my%20bank's%20100%25 store=1")
    store.save_pandas_to_table(pd.DataFrame({"a": [1]}), "t", table_creation=True)
    assert (tmp_path / "my bank's 100% store=1" / "t").is_dir()
    assert store.read_sql("select a from t").to_pylist() == [{"a": 1}]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/var/offline",
        "s3://bucket/x",
        "delta://host/path",
        "delta:relative",
        "delta://",
        "delta:///",
        "delta:///a?b",
    ],
)
def test_any_other_address_is_refused_with_the_right_form(url: str) -> None:
    with pytest.raises(InvalidInput, match="delta:///"):
        open_store(url)


def test_a_directory_that_reads_as_a_pattern_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="must not hold"):
        open_store(f"delta://{tmp_path}/bank[1]")
