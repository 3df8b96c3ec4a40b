from pathlib import Path

import pytest

from mlopslib.offline.embedded import EmbeddedStore


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "offline", threads=1)
