from pathlib import Path

import pytest

from mlopslib.offline.embedded import EmbeddedStore
from portal.demo.bank import write_bank

LAST_YM = "202510"


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedStore:
    """A small bank of 24 months, 202311 to 202510; tests only read it."""
    root: Path = tmp_path_factory.mktemp("bank")
    store = EmbeddedStore(root / "offline", threads=1)
    write_bank(store, customers=3000, last_ym=LAST_YM)
    return store
