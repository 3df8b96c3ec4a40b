"""From the button to the online store: a run, its step in a process of its own, its record."""

from __future__ import annotations

import pyarrow as pa
import pytest

from apps.features.models import OnlinePublication
from apps.pipelines import executor
from apps.pipelines.models import PipelineRun
from mlopslib.offline import open_store
from mlopslib.online import open_online
from tests.factories import make_feature_set, make_profiles
from tests.pipelines.conftest import database_url


@pytest.fixture
def world(shelf, settings, tmp_path, monkeypatch, transactional_db):
    settings.OFFLINE_URL = f"delta://{tmp_path / 'offline'}"
    settings.ARTIFACT_ROOT = tmp_path / "artifacts"
    monkeypatch.setenv("DATABASE_URL", database_url())
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "portal.settings")
    for name in ("OFFLINE_URL", "ARTIFACT_ROOT", "ONLINE_URL", "REDIS_PREFIX"):
        monkeypatch.setenv(name, str(getattr(settings, name)))
    row = make_feature_set("cust_txn")
    make_profiles(row, months=("202605", "202606"))
    data = pa.table({"customer_id": [17, 42], "txn_cnt_3m": [3.0, None], "txn_amt_3m": [0.1, 2.5]})
    store = open_store(settings.OFFLINE_URL)
    store.overwrite_partition(row.to_spec().table, data, column="base_ym", value="202606")
    return row


def test_the_button_publishes_the_newest_month_and_keeps_its_record(world, settings, client_as):
    # a generation that an earlier Redis knew: numbers go on after it
    OnlinePublication.objects.create(
        feature_set=world, base_ym="202605", generation=7, entities=2, seconds=1.0
    )
    client = client_as("data_scientist")
    for _ in range(2):
        client.post("/runs/start/online/cust_txn/", {"version": world.version, "base_ym": "202606"})
        run = PipelineRun.objects.latest("pk")
        executor.work(run.steps.get().pk)
        run.refresh_from_db()
        assert run.status == "SUCCEEDED", run.error
    kept = OnlinePublication.objects.order_by("-generation").values_list("generation", "base_ym", "entities")
    assert list(kept) == [(9, "202606", 2), (8, "202606", 2), (7, "202605", 2)]
    assert OnlinePublication.objects.get(generation=9).consistency["equal"] == 2
    online = open_online(settings.ONLINE_URL, settings.REDIS_PREFIX)
    first, second = online.get("cust_txn", world.version, [17, 42])
    assert first.values == {"txn_cnt_3m": 3.0, "txn_amt_3m": 0.1}
    assert second.values == {"txn_cnt_3m": None, "txn_amt_3m": 2.5}
    # June ends at midnight in Seoul
    assert first.event_time.isoformat() == "2026-06-30T14:59:59.999999+00:00"
