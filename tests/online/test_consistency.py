"""The online store against the month that it was made of."""

from __future__ import annotations

import pyarrow as pa
import pytest

from mlopslib.artifacts import ArtifactStore
from mlopslib.errors import EmptyMonth, NotOnline, OnlineStoreError
from mlopslib.offline import open_store
from mlopslib.online.consistency import check_consistency
from mlopslib.online.keys import Keys
from mlopslib.steps.base import StepContext
from mlopslib.steps.publish_online import run
from tests.online.conftest import JUNE, SPEC

HOSTILE = ["a'b", "a\\b", "a\\'b", 'x"y', "x\ny", "日本", "--c", "/*x*/", "{base_ym}", "", "</script>", ";"]


@pytest.fixture
def store(tmp_path):
    return open_store(f"delta://{tmp_path / 'offline'}")


def fill(store, keys, *, ym="202606"):
    data = pa.table(
        {
            "customer_id": pa.array(keys),
            "bal_avg": pa.array([i / 7 if i % 5 else None for i in range(len(keys))], pa.float64()),
            "grade": pa.array([HOSTILE[i % len(HOSTILE)] for i in range(len(keys))], pa.string()),
        }
    )
    store.overwrite_partition(SPEC.table, data, column="base_ym", value=ym)
    return data


def test_what_was_published_is_equal_whatever_it_is_called(store, online):
    data = fill(store, HOSTILE)
    online.publish(SPEC, "202606", [data], JUNE)
    found = check_consistency(store, online, SPEC)
    assert (found.checked, found.equal, found.rows, found.entities) == (12, 12, 12, 12)
    assert found.is_consistent


def test_the_sample_is_drawn_by_its_seed(store, online):
    data = fill(store, list(range(3_000)))
    online.publish(SPEC, "202606", [data], JUNE)
    found = check_consistency(store, online, SPEC, sample=1_000, seed=5)
    assert (found.checked, found.equal, found.seed) == (1_000, 1_000, 5)
    assert found == check_consistency(store, online, SPEC, sample=1_000, seed=5)


def test_a_changed_a_lost_and_a_new_row_are_found(store, online, redis_server):
    data = fill(store, [1, 2, 3, 4])
    online.publish(SPEC, "202606", [data.slice(0, 3)], JUNE)
    keys = Keys(online.prefix, SPEC.name, SPEC.version)
    client, row = redis_server.client, keys.rows(1)
    client.set(row + b"i1", client.get(row + b"i2"))
    client.delete(row + b"i3")
    found = check_consistency(store, online, SPEC)
    assert (found.checked, found.equal, found.missing, found.different) == (4, 1, 2, 1)
    assert (found.rows, found.entities, found.is_consistent) == (4, 3, False)
    assert {"entity": 1, "feature": "bal_avg", "offline": None, "online": 1 / 7} in found.examples
    assert {"entity": 4, "feature": "customer_id", "offline": 4, "online": None} in found.examples


def test_newer_streamed_values_are_no_difference(store, online):
    online.publish(SPEC, "202606", [fill(store, [1, 2])], JUNE)
    online.upsert(SPEC, 1, {"bal_avg": 99.0}, JUNE.replace(year=2026, month=7, day=1))
    assert online.get(SPEC.name, SPEC.version, [1])[0].values["bal_avg"] == 99.0
    assert check_consistency(store, online, SPEC).is_consistent


def test_nothing_published_is_said(store, online):
    with pytest.raises(NotOnline, match="publish one first"):
        check_consistency(store, online, SPEC)


def context(store, online, tmp_path, *, base_ym="202606", url=None, **params):
    return StepContext(
        base_ym=base_ym,
        dates={},
        params=params,
        spec=None,
        feature_sets=(SPEC,),
        store=store,
        artifacts=ArtifactStore(tmp_path / "artifacts"),
        inputs={},
        workdir=tmp_path,
        online_url=online.url if url is None else url,
        online_prefix=online.prefix,
    )


def test_the_step_publishes_the_month_and_checks_it(store, online, tmp_path):
    fill(store, [f"c{i}" for i in range(2_500)])
    result = run(context(store, online, tmp_path, time_zone="Asia/Seoul", last_generation=7))
    found = result.metrics["publication"]
    assert (found["base_ym"], found["generation"], found["entities"]) == ("202606", 8, 2_500)
    assert found["consistency"]["checked"] == found["consistency"]["equal"] == 1_000
    assert (
        result.summary == "cust_balance v3: 2,500 entities of 202606 online; 1,000 of 1,000 checked are equal"
    )
    (row,) = online.get(SPEC.name, SPEC.version, ["c8"])
    assert row.values == {"bal_avg": 8 / 7, "grade": HOSTILE[8]}
    assert row.event_time.isoformat() == "2026-06-30T14:59:59.999999+00:00"


def test_a_month_that_is_not_materialised_names_the_newest(store, online, tmp_path):
    with pytest.raises(EmptyMonth, match="it has no month yet: materialise it first"):
        run(context(store, online, tmp_path))
    fill(store, ["a"], ym="202604")
    with pytest.raises(EmptyMonth, match="not materialised for 202606; its newest month is 202604"):
        run(context(store, online, tmp_path))


def test_the_step_says_that_there_is_no_online_store(store, online, tmp_path):
    fill(store, ["a"])
    with pytest.raises(OnlineStoreError, match="name a Redis in ONLINE_URL"):
        run(context(store, online, tmp_path, url=""))
