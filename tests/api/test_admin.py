"""The admin site shows everything, decides nothing, and lets nobody raise themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from apps.models.models import ModelVersion, Review
from portal.models import AuditEvent, User
from tests.api.test_read import everything as everything
from tests.factories import make_user

pytestmark = pytest.mark.django_db

As = Callable[..., Client]
EDITABLE = {"portal.user", "auth.group"}


def shown() -> list[Any]:
    return [model for model in admin.site._registry if model._meta.app_label != "axes"]


def address(model: Any, page: str, *arguments: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=arguments)


@pytest.fixture
def admin_client(client_as: As) -> Client:
    return client_as(make_user("admin", is_staff=True))


def role(name: str) -> Group:
    return Group.objects.get(name=name)


def test_every_table_has_its_page(admin_client: Client, everything: dict[str, Any]) -> None:
    labels = {model._meta.label_lower for model in shown()}
    assert labels >= {
        "features.featureset", "features.feature", "features.featureprofile", "features.materialisation",
        "registry.registeredmodel", "registry.modelversion", "registry.evaluation", "registry.comparison",
        "registry.review", "registry.featuredrift", "pipelines.pipeline", "pipelines.schedule",
        "pipelines.pipelinerun", "pipelines.steprun", "pipelines.artifact", "serving.endpoint",
        "serving.deployment", "serving.servingworker", "portal.auditevent", "portal.user", "auth.group",
    }  # fmt: skip
    assert admin_client.get("/admin/").status_code == 200
    for model in shown():
        assert admin_client.get(address(model, "changelist")).status_code == 200, model
        assert admin_client.get(address(model, "changelist") + "?q=x").status_code == 200, model
        row = model._default_manager.order_by("pk").last()
        if row is not None:
            assert admin_client.get(address(model, "change", row.pk)).status_code == 200, model


@pytest.mark.parametrize("is_superuser", [False, True])
def test_nothing_with_a_state_is_added_changed_or_deleted(
    client_as: As, everything: dict[str, Any], is_superuser: bool
) -> None:
    client = client_as(make_user(["admin", "reviewer"], is_staff=True, is_superuser=is_superuser))
    for model in shown():
        if model._meta.label_lower in EDITABLE:
            continue
        assert client.get(address(model, "add")).status_code == 403, model
        row = model._default_manager.first()
        if row is None:
            continue
        values = {"status": "APPROVED", "stage": "CHAMPION", "state": "LIVE", "decided_by": client.user.pk}
        assert client.post(address(model, "change", row.pk), values).status_code == 403, model
        assert client.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403, model
        action = {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"}
        client.post(address(model, "changelist"), action)
        assert model._default_manager.filter(pk=row.pk).exists(), model


def test_an_admin_cannot_approve_here(admin_client: Client, everything: dict[str, Any]) -> None:
    review = everything["review"]
    answer = admin_client.post(address(Review, "change", review.pk), {"status": "APPROVED"})
    assert answer.status_code == 403
    assert Review.objects.get(pk=review.pk).status == "PENDING"
    assert ModelVersion.objects.champions().get() == everything["comparison"].champion


@pytest.mark.parametrize("roles", [["viewer"], ["reviewer"], ["operator"], ["data_scientist"], []])
def test_staff_without_the_role_see_nothing(client_as: As, roles: list[str]) -> None:
    client = client_as(make_user(roles, is_staff=True))
    assert "portal/user" not in client.get("/admin/").content.decode()
    for model in shown():
        assert client.get(address(model, "changelist")).status_code == 403, model


def test_the_role_without_staff_does_not_open_the_site(client_as: As) -> None:
    assert client_as("admin").get("/admin/").status_code == 302


def person_form(person: User, **changes: Any) -> dict[str, Any]:
    values = {
        "username": person.username,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "email": person.email,
        "is_active": "on",
        "is_staff": "on" if person.is_staff else "",
        "groups": list(person.groups.values_list("pk", flat=True)),
    }
    return {key: value for key, value in (values | changes).items() if value != ""}


def test_an_admin_gives_roles_to_others_and_it_is_audited(admin_client: Client) -> None:
    person = make_user("viewer")
    form = person_form(person, groups=[role("viewer").pk, role("reviewer").pk])
    assert admin_client.post(address(User, "change", person.pk), form).status_code == 302
    assert User.objects.get(pk=person.pk).roles == {"viewer", "reviewer"}
    event = AuditEvent.objects.get(action="user.roles_changed")
    assert (event.actor, event.data) == (
        admin_client.user,
        {"before": ["viewer"], "after": ["reviewer", "viewer"]},
    )


def test_nobody_changes_their_own_roles(admin_client: Client) -> None:
    me = admin_client.user
    form = person_form(me, groups=[role("reviewer").pk], is_superuser="on", is_staff="on", first_name="New")
    assert admin_client.post(address(User, "change", me.pk), form).status_code == 302
    found = User.objects.get(pk=me.pk)
    assert (found.roles, found.is_superuser, found.first_name) == ({"admin"}, False, "New")


def test_an_admin_makes_nobody_superuser(admin_client: Client) -> None:
    person = make_user("viewer")
    admin_client.post(address(User, "change", person.pk), person_form(person, is_superuser="on"))
    assert not User.objects.get(pk=person.pk).is_superuser


def test_an_admin_does_not_touch_a_superuser(admin_client: Client) -> None:
    boss = make_user([], is_superuser=True, is_staff=True)
    assert admin_client.post(address(User, "change", boss.pk), person_form(boss)).status_code == 403
    password = {"password1": "another-pass-word-1", "password2": "another-pass-word-1"}
    assert admin_client.post(f"/admin/portal/user/{boss.pk}/password/", password).status_code == 403


def test_nobody_is_reviewer_and_admin_at_once(admin_client: Client) -> None:
    person = make_user("reviewer")
    form = person_form(person, groups=[role("reviewer").pk, role("admin").pk])
    answer = admin_client.post(address(User, "change", person.pk), form)
    assert "not both reviewer and admin" in answer.content.decode()
    assert User.objects.get(pk=person.pk).roles == {"reviewer"}


def test_accounts_are_made_and_closed_never_deleted(admin_client: Client) -> None:
    new = {
        "username": "soyeon",
        "usable_password": "true",
        "password1": "long-enough-77",
        "password2": "long-enough-77",
    }
    assert admin_client.post("/admin/portal/user/add/", new).status_code == 302
    person = User.objects.get(username="soyeon")
    assert person.check_password("long-enough-77")
    assert admin_client.post(address(User, "delete", person.pk), {"post": "yes"}).status_code == 403
    admin_client.post(address(User, "change", person.pk), person_form(person, is_active=""))
    assert not User.objects.get(pk=person.pk).is_active
    assert set(AuditEvent.objects.values_list("action", flat=True)) == {"user.created", "user.rights_changed"}


def test_setting_a_password_is_audited_without_it(admin_client: Client) -> None:
    person = make_user("viewer")
    password = {"usable_password": "true", "password1": "another-pass-1", "password2": "another-pass-1"}
    assert admin_client.post(f"/admin/portal/user/{person.pk}/password/", password).status_code == 302
    event = AuditEvent.objects.get(action="user.password_set")
    assert (event.object_id, event.data) == (str(person.pk), {})


def test_roles_keep_their_names(admin_client: Client) -> None:
    group = role("viewer")
    assert admin_client.post(address(Group, "change", group.pk), {"name": "admin2"}).status_code == 403
    assert admin_client.post(address(Group, "delete", group.pk), {"post": "yes"}).status_code == 403
    assert admin_client.post("/admin/auth/group/add/", {"name": "auditors"}).status_code == 302


def test_the_audit_trail_cannot_be_rewritten(everything: dict[str, Any]) -> None:
    event = AuditEvent.objects.first()
    for change in (event.save, event.delete):
        with pytest.raises(TypeError):
            change()
