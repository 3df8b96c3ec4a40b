"""What the workers say becomes the state of deployments, against a real Redis."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis

from apps.models.models import ModelVersion
from apps.serving import client
from apps.serving.models import Deployment, ServingWorker
from apps.serving.services import publish_manifests, reconcile_deployments
from apps.serving.tasks import reconcile
from portal.models import AuditEvent
from tests.conftest import RedisServer
from tests.factories import make_deployment, make_endpoint, make_model, make_review, make_version

pytestmark = [pytest.mark.django_db, pytest.mark.database]

Beat = Callable[..., None]


@pytest.fixture
def asked() -> Deployment:
    """v1 is champion and live, v2 was approved and is asked for."""
    champion = make_version(stage="champion")
    endpoint = make_endpoint(model=champion.registered_model)
    make_deployment(endpoint, version=champion)
    version = make_version(champion.registered_model, stage="challenger")
    return make_deployment(endpoint, review=make_review(version, status="APPROVED"), state="PENDING")


def live_of(deployment: Deployment) -> Deployment:
    return deployment.endpoint.deployments.get(state="LIVE")


def state_of(deployment: Deployment) -> tuple[str, str]:
    deployment.refresh_from_db()
    return deployment.state, deployment.reason


def champion_of(deployment: Deployment) -> int:
    return ModelVersion.objects.champions().for_model(deployment.endpoint.registered_model.name).get().number


def test_live_and_champion_when_every_worker_serves_it(asked: Deployment, beat: Beat) -> None:
    before = live_of(asked)
    beat("w1", asked)
    beat("w2", asked)

    assert reconcile_deployments() == [asked]

    assert state_of(asked) == ("LIVE", "")
    assert asked.live_at is not None
    assert state_of(before)[0] == "SUPERSEDED"
    assert champion_of(asked) == 2
    assert ModelVersion.objects.get(pk=before.version_id).stage == "ARCHIVED"
    assert AuditEvent.objects.get(action="deployment.live").data == {"seq": 2, "workers": 2}
    assert reconcile_deployments() == [], "twice does no harm"


def test_champion_only_when_every_endpoint_that_was_asked_serves_it(asked: Deployment, beat: Beat) -> None:
    second = make_endpoint("loan-needs-batch", model=asked.endpoint.registered_model)
    other = make_deployment(second, review=asked.review, state="PENDING")
    beat("w1", asked)
    assert reconcile_deployments() == [asked]
    assert champion_of(asked) == 1

    beat("w1", other)
    assert reconcile_deployments() == [other]
    assert champion_of(asked) == 2


def test_one_worker_behind_keeps_it_pending(asked: Deployment, beat: Beat) -> None:
    beat("w1", asked)
    beat("w2", live_of(asked))
    assert reconcile_deployments() == []
    assert state_of(asked)[0] == "PENDING"
    assert champion_of(asked) == 1


def test_a_worker_that_has_not_heard_of_the_endpoint_keeps_it_pending(asked: Deployment, beat: Beat) -> None:
    beat("w1", asked)
    beat("w2")
    reconcile_deployments()
    assert state_of(asked)[0] == "PENDING"


def test_no_worker_is_not_every_worker(asked: Deployment, shelf: redis.Redis) -> None:
    reconcile_deployments()
    assert state_of(asked)[0] == "PENDING"


def test_another_package_under_the_right_number_is_not_it(asked: Deployment, beat: Beat) -> None:
    asked.package_sha256 = "f" * 64
    beat("w1", asked)
    reconcile_deployments()
    assert state_of(asked)[0] == "PENDING"


def test_a_refusal_is_shown_and_the_old_one_stays_live(asked: Deployment, beat: Beat) -> None:
    before = live_of(asked)
    beat("w1", asked)
    beat("w2", before, refuses=asked, reason="model.txt does not match its hash")

    assert reconcile_deployments() == [asked]

    assert state_of(asked) == ("REFUSED", "w2: model.txt does not match its hash")
    assert state_of(before)[0] == "LIVE"
    assert champion_of(asked) == 1
    assert AuditEvent.objects.filter(action="deployment.refused").count() == 1
    assert reconcile_deployments() == []
    assert AuditEvent.objects.filter(action="deployment.refused").count() == 1


def test_a_refusal_of_an_older_number_says_nothing_of_this_one(asked: Deployment, beat: Beat) -> None:
    before = live_of(asked)
    beat("w1", before, refuses=before, reason="old news")
    reconcile_deployments()
    assert state_of(asked)[0] == "PENDING"


def test_a_refused_one_goes_live_when_the_workers_take_it_after_all(asked: Deployment, beat: Beat) -> None:
    beat("w1", live_of(asked), refuses=asked, reason="the package is not there yet")
    reconcile_deployments()
    beat("w1", asked)
    assert reconcile_deployments() == [asked]
    assert state_of(asked) == ("LIVE", "")
    assert champion_of(asked) == 2


def test_only_the_newest_counts(asked: Deployment, beat: Beat) -> None:
    newer = make_deployment(asked.endpoint, version=live_of(asked).version, state="PENDING", is_rollback=True)
    beat("w1", asked)
    assert reconcile_deployments() == []
    assert state_of(asked)[0] == "PENDING"
    beat("w1", newer)
    assert reconcile_deployments() == [newer]
    assert state_of(asked)[0] == "SUPERSEDED"


def test_a_rollback_that_is_live_makes_its_version_champion_again(asked: Deployment, beat: Beat) -> None:
    beat("w1", asked)
    reconcile_deployments()
    old = asked.endpoint.registered_model.versions.get(number=1)
    back = make_deployment(asked.endpoint, version=old, state="PENDING", is_rollback=True)
    beat("w1", back)
    reconcile_deployments()
    assert champion_of(asked) == 1
    assert state_of(asked)[0] == "SUPERSEDED"


def test_an_unapproved_version_is_never_promoted(asked: Deployment, beat: Beat) -> None:
    asked.review.__class__.objects.filter(pk=asked.review_id).update(status="WITHDRAWN")
    beat("w1", asked)
    assert reconcile_deployments() == []
    assert state_of(asked)[0] == "PENDING"
    assert champion_of(asked) == 1


def test_endpoints_are_settled_one_by_one(asked: Deployment, beat: Beat) -> None:
    other = make_deployment(make_endpoint("other", model=make_model("other")), state="PENDING")
    beat("w1", asked)
    assert reconcile_deployments() == [asked]
    assert state_of(other)[0] == "PENDING"


def test_workers_are_rows_and_leave_when_they_die(
    asked: Deployment, beat: Beat, shelf: redis.Redis, settings: Any
) -> None:
    beat("w1", asked)
    beat("w2", live_of(asked), refuses=asked, reason="no")
    reconcile_deployments()
    found = ServingWorker.objects.for_endpoint("loan-needs").values_list(
        "worker_id", "version_label", "state"
    )
    assert list(found) == [("w1", "v2", "serving"), ("w2", "v1", "refused")]

    shelf.delete(f"{settings.REDIS_PREFIX}:worker:w2")
    reconcile_deployments()
    assert list(ServingWorker.objects.values_list("worker_id", "requests")) == [("w1", 7)]


def test_a_heartbeat_that_is_none_is_passed_over(
    asked: Deployment, beat: Beat, shelf: redis.Redis, settings: Any
) -> None:
    beat("w1", asked)
    for number, raw in enumerate(
        [b"", b"[]", b"{}", b"\xff", b'{"worker_id": "x", "endpoints": 3}', b"[" * 100_000]
    ):
        shelf.set(f"{settings.REDIS_PREFIX}:worker:odd{number}", raw)
    view = client.read_workers()
    assert view.is_available
    assert [worker.worker_id for worker in view.workers] == ["w1"]


def test_redis_away_changes_nothing_and_raises_nothing(asked: Deployment, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    make_deployment(
        make_endpoint("other", model=asked.endpoint.registered_model), version=live_of(asked).version
    )
    assert client.read_workers() == client.WorkersView(is_available=False)
    assert reconcile_deployments() == []
    assert publish_manifests() is False
    reconcile()
    assert state_of(asked)[0] == "PENDING"


def test_a_redis_that_lost_everything_gets_its_manifests_back(
    asked: Deployment, settings: Any, tmp_path: Any
) -> None:
    server = RedisServer(tmp_path)
    server.start()
    settings.REDIS_URL = server.url
    key = f"{settings.REDIS_PREFIX}:manifest:loan-needs"
    try:
        assert publish_manifests()
        server.stop()
        assert not publish_manifests()
        server.start()
        assert server.client.get(key) is None
        reconcile()
        assert json.loads(server.client.get(key))["manifest"]["seq"] == asked.seq
    finally:
        server.stop()


def test_two_installations_share_a_redis(asked: Deployment, beat: Beat, settings: Any) -> None:
    beat("w1", asked)
    settings.REDIS_PREFIX = "another*"
    assert client.read_workers() == client.WorkersView(is_available=True)
