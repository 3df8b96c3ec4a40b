"""People, their roles, and the audit trail, in the admin site."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from apps.common.access import Role
from apps.common.admin import ReadOnlyAdmin, administers
from apps.common.audit import record
from portal.models import AuditEvent, User

admin.site.site_header = admin.site.site_title = "Gijun"
admin.site.unregister(Group)


class PersonForm(UserChangeForm):
    """Nobody decides on reviews and hands out roles at the same time."""

    def clean_groups(self) -> Any:
        groups = self.cleaned_data["groups"]
        if {Role.ADMIN, Role.REVIEWER} <= {group.name for group in groups}:
            raise forms.ValidationError(
                _("One person is not both reviewer and admin: take one of the two away.")
            )
        return groups


@admin.register(User)
class PersonAdmin(UserAdmin):
    """An admin makes accounts and gives roles, to others; accounts are closed, never deleted."""

    form = PersonForm
    actions = None
    list_display = [
        "username",
        "first_name",
        "last_name",
        "role_names",
        "is_active",
        "is_staff",
        "last_login",
    ]
    list_filter = ["groups", "is_active", "is_staff"]
    filter_horizontal = ["groups"]
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        (_("Person"), {"fields": ["first_name", "last_name", "email"]}),
        (_("Rights"), {"fields": ["is_active", "is_staff", "is_superuser", "groups"]}),
        (_("Dates"), {"fields": ["last_login", "date_joined"]}),
    ]
    _rights = ("is_active", "is_staff", "is_superuser", "groups")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return administers(request.user)

    def has_view_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return administers(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return administers(request.user)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        # who set the portal up is above the role admin
        if obj is not None and obj.is_superuser and not request.user.is_superuser:
            return False
        return administers(request.user)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Sequence[str]:
        fixed = ["last_login", "date_joined"]
        if obj is not None and obj.pk == request.user.pk:
            return [*fixed, *self._rights]
        return fixed if request.user.is_superuser else [*fixed, "is_superuser"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description=_("roles"))
    def role_names(self, user: User) -> str:
        return ", ".join(sorted(group.name for group in user.groups.all())) or "-"

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        before = set(form.instance.groups.values_list("name", flat=True))
        super().save_related(request, form, formsets, change)
        after = set(form.instance.groups.values_list("name", flat=True))
        if before != after:
            record(
                request.user, "user.roles_changed", form.instance, before=sorted(before), after=sorted(after)
            )

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            record(request.user, "user.created", obj)
            return
        flags = [name for name in form.changed_data if name in ("is_active", "is_staff", "is_superuser")]
        if flags:
            record(request.user, "user.rights_changed", obj, **{name: getattr(obj, name) for name in flags})

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:
        response = super().user_change_password(request, id, form_url)
        if request.method == "POST" and response.status_code == 302:
            record(request.user, "user.password_set", User.objects.get(pk=id))
        return response


@admin.register(Group)
class RoleAdmin(GroupAdmin):
    """Roles keep their names, for the access table speaks of them; further groups may be made."""

    actions = None
    fields = ["name"]
    filter_horizontal: Sequence[str] = ()
    list_display = ["name", "people"]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return administers(request.user)

    def has_view_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return administers(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return administers(request.user)

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return administers(request.user) and (obj is None or obj.name not in set(Role))

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return obj is not None and self.has_change_permission(request, obj)

    @admin.display(description=_("people"))
    def people(self, group: Group) -> int:
        return group.user_set.count()


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ["at", "actor_name", "action", "object_type", "object_label"]
    list_filter = ["action", "object_type"]
    search_fields = ["actor_name", "object_label", "object_id"]
    date_hierarchy = "at"
