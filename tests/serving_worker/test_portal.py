"""The portal's services against real worker processes: approve, serve, champion; refuse; roll back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.models.models import ModelVersion
from apps.serving.models import Deployment, ServingWorker
from apps.serving.services import approve_and_deploy, reconcile_deployments, roll_back
from tests.factories import make_endpoint, make_review, make_user, make_version
from tests.serving_worker.conftest import Desk, Packages, talk_rows, wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def portal_desk(packages: Packages, shelf: Any, redis_server: Any, settings: Any, tmp_path: Path) -> Any:
    """Two real workers on the portal's own Redis prefix, keys and artefacts."""
    settings.SIGNING_KEY = packages.keys / "signing.pem"
    desk = Desk(packages, redis_server, tmp_path, prefix=settings.REDIS_PREFIX)
    desk.start(processes=2)
    wait_for(lambda: len(desk.heartbeats()) == 2, "two workers")
    yield desk
    if desk.worker is not None:
        desk.worker.kill()
        desk.worker.wait()


@pytest.fixture
def settled() -> Callable[[Deployment], Deployment]:
    def wait(deployment: Deployment) -> Deployment:
        def is_settled() -> bool:
            reconcile_deployments()
            deployment.refresh_from_db()
            return deployment.state != Deployment.State.PENDING

        wait_for(is_settled, f"an end of {deployment}")
        return deployment

    return wait


def approve(version: ModelVersion) -> Deployment:
    return approve_and_deploy(actor=make_user("reviewer"), review=make_review(version))[0]


def champion() -> str:
    return ModelVersion.objects.champions().get().label


def test_from_approval_to_a_served_score_and_back(
    portal_desk: Desk, settled: Callable[[Deployment], Deployment]
) -> None:
    desk = portal_desk
    first = make_version(package_sha256=desk.packages.sha256["v1"])
    endpoint = make_endpoint(model=first.registered_model)
    assert settled(approve(first)).state == "LIVE"
    assert champion() == desk.score(talk_rows()).json()["version"] == "v1"
    assert set(ServingWorker.objects.values_list("version_label", "state")) == {("v1", "serving")}
    assert ServingWorker.objects.count() == 2

    second = make_version(first.registered_model, package_sha256=desk.packages.sha256["v2"])
    assert settled(approve(second)).state == "LIVE"
    assert champion() == desk.score(talk_rows()).json()["version"] == "v2"

    damaged = make_version(
        first.registered_model,
        package_sha256=desk.packages.changed("v1", lambda data: data[: len(data) // 2]),
    )
    refused = settled(approve(damaged))
    assert (refused.state, bool(refused.reason)) == ("REFUSED", True)
    assert champion() == desk.score(talk_rows()).json()["version"] == "v2"

    back = roll_back(actor=make_user("operator"), endpoint=endpoint, version=first)
    assert settled(back).state == "LIVE"
    assert champion() == desk.score(talk_rows()).json()["version"] == "v1"
    states = dict(endpoint.deployments.values_list("seq", "state"))
    assert states == {1: "SUPERSEDED", 2: "SUPERSEDED", 3: "REFUSED", 4: "LIVE"}
