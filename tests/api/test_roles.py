"""The whole role table, walked through the services: every action by every role."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from apps.common.access import ACTIONS, Role, may
from apps.features.services import create_feature_set
from apps.models.services import decide_review, define_model, request_review, withdraw_review
from apps.pipelines.services import add_schedule, cancel_run, define_pipeline, resume_run, start_run
from apps.serving.services import approve_and_deploy, create_endpoint, roll_back
from mlopslib.errors import AccessDenied
from mlopslib.offline import open_store
from portal.models import User
from tests.factories import (
    gates,
    make_deployment,
    make_endpoint,
    make_feature_set,
    make_model,
    make_pipeline,
    make_review,
    make_run,
    make_spec,
    make_user,
    make_version,
)

pytestmark = pytest.mark.django_db

DS, REVIEWER, OPERATOR, ADMIN = Role.DATA_SCIENTIST, Role.REVIEWER, Role.OPERATOR, Role.ADMIN

#: who may do what, written down a second time on purpose: a change of the table must be meant
EXPECTED: dict[str, set[Role]] = {
    "view": set(Role),
    "tables.import": {DS, OPERATOR},
    "engine.test": {DS, OPERATOR},
    "features.create": {DS},
    "features.materialise": {DS, OPERATOR},
    "models.define": {DS},
    "runs.start": {DS, REVIEWER, OPERATOR},
    "runs.cancel": {DS, REVIEWER, OPERATOR},
    "schedules.edit": {DS, OPERATOR},
    "reviews.request": {DS},
    "reviews.withdraw": {DS},
    "reviews.comment": {DS, REVIEWER},
    "reviews.decide": {REVIEWER},
    "endpoints.create": {DS, OPERATOR},
    "deployments.roll_back": {REVIEWER, OPERATOR},
    "audit.view": {REVIEWER, OPERATOR, ADMIN},
}


def publish(actor: User, home: Path) -> None:
    store = open_store(f"delta://{home / 'offline'}")
    store.create_table("balances", pa.table({"customer_id": ["1"], "balance": [1.5]}))
    create_feature_set(
        actor=actor,
        store=store,
        name="cust_bal",
        title="Balances",
        entity="customer",
        entity_key="customer_id",
        sql="SELECT customer_id, balance FROM balances",
    )


def define(actor: User, home: Path) -> None:
    spec = make_spec(feature_sets=[make_feature_set()])
    define_model(actor=actor, spec=spec, title="Loan needs", description="", entity="customer")


def materialise(actor: User, home: Path) -> None:
    pipeline = make_pipeline("materialise")
    start_run(actor=actor, pipeline=pipeline, base_ym="202606", trigger="MANUAL")


def schedule(actor: User, home: Path) -> None:
    add_schedule(actor=actor, pipeline=make_pipeline(), day_of_month=3, hour=2)


def withdraw(actor: User, home: Path) -> None:
    withdraw_review(actor=actor, review=make_review(requested_by=actor))


def deploy(actor: User, home: Path) -> None:
    review = make_review()
    make_endpoint(model=review.version.registered_model)
    approve_and_deploy(actor=actor, review=review)


def back(actor: User, home: Path) -> None:
    old = make_version(stage="archived")
    champion = make_version(old.registered_model, stage="champion")
    live = make_deployment(make_endpoint(model=old.registered_model), version=champion)
    roll_back(actor=actor, endpoint=live.endpoint, version=old)


CALLS: list[tuple[str, Callable[[User, Path], Any]]] = [
    ("features.create", publish),
    ("features.create", lambda a, _: define_pipeline(
        actor=a, name="p", template="materialise", feature_set=make_feature_set())),
    ("features.materialise", materialise),
    ("models.define", define),
    ("models.define", lambda a, _: define_pipeline(
        actor=a, name="p", template="training", registered_model=make_model())),
    ("runs.start", lambda a, _: start_run(
        actor=a, pipeline=make_pipeline(), base_ym="202606", trigger="MANUAL")),
    ("runs.start", lambda a, _: resume_run(actor=a, run=make_run(status="FAILED"))),
    ("runs.cancel", lambda a, _: cancel_run(actor=a, run=make_run(status="RUNNING"))),
    ("schedules.edit", schedule),
    ("reviews.request", lambda a, _: request_review(actor=a, version=make_version(), gates=gates())),
    ("reviews.withdraw", withdraw),
    ("reviews.decide", lambda a, _: decide_review(
        actor=a, review=make_review(), decision="REJECTED", note="no")),
    ("reviews.decide", deploy),
    ("endpoints.create", lambda a, _: create_endpoint(
        actor=a, name="e", registered_model=make_model(), identifiers=[], echo=[])),
    ("deployments.roll_back", back),
]  # fmt: skip


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(("action", "call"), CALLS, ids=lambda value: getattr(value, "__name__", value))
def test_a_service_does_it_for_the_roles_of_its_action_alone(
    action: str, call: Callable[[User, Path], Any], role: Role, signing_keys: Path, tmp_path: Path
) -> None:
    actor = make_user(role)
    if role in EXPECTED[action]:
        call(actor, tmp_path)
        return
    with pytest.raises(AccessDenied) as error:
        call(actor, tmp_path)
    for needed in EXPECTED[action]:
        assert needed in error.value.message


def test_the_table_is_what_was_agreed() -> None:
    assert {action: set(roles) for action, roles in ACTIONS.items()} == EXPECTED


def test_no_role_an_unknown_role_and_a_closed_account_may_nothing() -> None:
    for action in [*ACTIONS, "no.such.action"]:
        assert not may(make_user([]), action)
        assert not may(make_user("grand_vizier"), action)
        assert not may(make_user([], is_superuser=True), action)
        closed = make_user(list(Role))
        closed.is_active = False
        assert not may(closed, action)
    assert not may(make_user(list(Role)), "no.such.action")


def test_the_system_starts_and_asks_and_never_decides() -> None:
    allowed = {action for action in ACTIONS if may(None, action)}
    assert allowed == {"view", "runs.start", "features.materialise", "reviews.request"}
