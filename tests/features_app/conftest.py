"""A store that the tests of feature sets only read."""

from __future__ import annotations

import pytest

from mlopslib.offline.base import OfflineStore
from tests.features_app.store import make_store


@pytest.fixture(scope="session")
def small_store(tmp_path_factory: pytest.TempPathFactory) -> OfflineStore:
    return make_store(tmp_path_factory.mktemp("offline"))
