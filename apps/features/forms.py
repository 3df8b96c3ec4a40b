"""The form that publishes a feature set. The service checks; the form says where."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from mlopslib.errors import GijunError


class FeatureSetForm(forms.Form):
    name = forms.CharField(
        label=_("Name"),
        max_length=63,
        help_text=_("Lower-case letters, digits and _. The offline table takes it over."),
    )
    title = forms.CharField(label=_("Title"), max_length=120, help_text=_("What people read in lists."))
    domain = forms.CharField(label=_("Domain"), max_length=40, required=False)
    entity = forms.CharField(label=_("Entity"), max_length=40, help_text=_("customer, account, contract"))
    entity_key = forms.CharField(
        label=_("Entity key"), max_length=63, help_text=_("The column that names one entity.")
    )
    description = forms.CharField(
        label=_("Description"), required=False, widget=forms.Textarea(attrs={"rows": 2})
    )
    sql = forms.CharField(
        label=_("SQL"),
        strip=False,
        widget=forms.Textarea(attrs={"class": "sql", "rows": 18, "spellcheck": "false", "wrap": "off"}),
        help_text=_("One SELECT in Impala SQL with {base_ym}-style dates: one row for each entity."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            if name in {"name", "entity_key", "entity"}:
                field.widget.attrs |= {"autocapitalize": "off", "autocomplete": "off", "class": "mono"}

    def clean_sql(self) -> str:
        if not self.cleaned_data["sql"].strip():
            raise forms.ValidationError(self.fields["sql"].error_messages["required"])
        return self.cleaned_data["sql"]

    def show(self, error: GijunError) -> None:
        """Put a service's refusal at the field that it names; at the SQL where it names none of ours."""
        self.add_error(error.field if error.field in self.fields else "sql", error.message)
