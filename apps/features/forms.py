"""The form of the editor. The services check; the form says where."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _

from apps.features.models import Feature, FeatureSet
from mlopslib.definition import IDENTIFIER, FeatureSpec
from mlopslib.errors import Conflict, GijunError

#: names of the inputs of one column and one table: the prefix, then the column's or table's name
KIND, WORDS, TIMELESS = "kind__", "words__", "timeless__"


class EditorForm(forms.Form):
    name = forms.CharField(
        label=_("Name"),
        max_length=63,
        help_text=_("Lower-case letters, digits and _. The offline table takes it over."),
    )
    title = forms.CharField(label=_("Title"), max_length=120, help_text=_("What people read in lists."))
    entity = forms.CharField(label=_("Entity"), max_length=40, help_text=_("customer, account, contract"))
    entity_key = forms.CharField(
        label=_("Entity key"), max_length=63, help_text=_("The column that names one entity.")
    )
    domain = forms.CharField(label=_("Domain"), max_length=40, required=False)
    tags = forms.CharField(
        label=_("Tags"), max_length=900, required=False, help_text=_("Words with commas between them.")
    )
    description = forms.CharField(
        label=_("Description"),
        max_length=4_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    sql = forms.CharField(
        label=_("SQL"),
        strip=False,
        max_length=100_000,
        widget=forms.Textarea(
            attrs={
                "class": "sql",
                "rows": 18,
                "spellcheck": "false",
                "wrap": "off",
                "autocapitalize": "off",
                "autocomplete": "off",
                "data-sql": "",
            }
        ),
        help_text=_("One SELECT in Impala SQL with {base_ym}-style dates: one row for each entity."),
    )
    acknowledge = forms.CharField(max_length=300, required=False)
    #: `updated_at` of the draft that this page was filled with
    seen_at = forms.CharField(max_length=40, required=False, widget=forms.HiddenInput)
    #: the name that this page makes a new version of
    based_on = forms.CharField(max_length=63, required=False, widget=forms.HiddenInput)

    #: what stands in the card of names; the rest has places of its own
    IDENTITY = ("name", "title", "entity", "entity_key", "domain", "tags", "description")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("name", "entity_key", "entity"):
            self.fields[name].widget.attrs |= {
                "autocapitalize": "off",
                "autocomplete": "off",
                "class": "mono",
            }
        if self.fields["based_on"] and (self.initial.get("based_on") or self.data.get("based_on")):
            self.fields["name"].widget.attrs["readonly"] = True

    @property
    def identity(self) -> list[forms.BoundField]:
        return [self[name] for name in self.IDENTITY]

    def clean_sql(self) -> str:
        if not self.cleaned_data["sql"].strip():
            raise forms.ValidationError(self.fields["sql"].error_messages["required"])
        return self.cleaned_data["sql"].replace("\r\n", "\n")

    def clean_tags(self) -> list[str]:
        return self.cleaned_data["tags"].split(",")

    def clean_seen_at(self) -> datetime | None:
        try:
            return parse_datetime(self.cleaned_data["seen_at"])
        except ValueError:
            return None

    def clean(self) -> dict[str, Any]:
        found = super().clean() or self.cleaned_data
        name = found.get("name")
        if name and name != found.get("based_on") and FeatureSet.objects.visible().filter(name=name).exists():
            self.add_error(
                "name",
                _("There is a feature set of this name: open it and choose Edit to make its next version."),
            )
        return found

    def definition(self) -> dict[str, Any]:
        """Arguments of the services that save and publish."""
        names = ("name", "title", "entity", "entity_key", "domain", "tags", "description", "sql", "seen_at")
        values = {name: self.cleaned_data[name] for name in names}
        features = features_in(self.data)
        return values | {"features": features or None, "timeless_tables": timeless_in(self.data)}

    def show(self, error: GijunError) -> None:
        """Put a service's refusal at the field that it names; at the SQL where it names none of ours.

        Where somebody else was first it is about the whole page.
        """
        elsewhere = None if isinstance(error, Conflict) else "sql"
        self.add_error(error.field if error.field in self.fields else elsewhere, error.message)

    def catch_up(self, draft: FeatureSet | None) -> None:
        """Once a person has been told of a newer draft, saving again is meant."""
        self.data = self.data.copy()
        self.data["seen_at"] = draft.updated_at.isoformat() if draft else ""


def features_in(data: Any) -> list[FeatureSpec]:
    """How the page says to read the columns that it was shown."""
    kinds = dict(Feature.Dtype.choices)
    found = []
    for key in data:
        name = key.removeprefix(KIND)
        if key.startswith(KIND) and IDENTIFIER.match(name) and data[key] in kinds:
            words = " ".join(data.get(f"{WORDS}{name}", "").split())[:300]
            found.append(FeatureSpec(name, data[key], words))
    return found


def timeless_in(data: Any) -> dict[str, str]:
    """Tables that the page declares to hold no date; one without a reason is not declared."""
    found = {}
    for key in data:
        reason = " ".join(data[key].split())[:300]
        if key.startswith(TIMELESS) and reason:
            found[key.removeprefix(TIMELESS)[:127].lower()] = reason
    return found
