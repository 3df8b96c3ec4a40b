"""Forms of the serving pages. The services check; the forms say where."""

from __future__ import annotations

import re

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.models.models import RegisteredModel


class NamesField(forms.CharField):
    """Names with commas or spaces between them."""

    def to_python(self, value: str | None) -> list[str]:  # type: ignore[override]
        return [name for name in re.split(r"[\s,]+", super().to_python(value) or "") if name]

    def validate(self, value: list[str]) -> None:
        if self.required and not value:
            raise forms.ValidationError(self.error_messages["required"], code="required")

    def run_validators(self, value: list[str]) -> None:
        """Each name is checked by the service."""


class EndpointForm(forms.Form):
    name = forms.CharField(
        label=_("Name"),
        max_length=63,
        help_text=_("What services call: lower-case letters, digits and hyphens."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    registered_model = forms.ModelChoiceField(
        label=_("Model"), queryset=RegisteredModel.objects.none(), to_field_name="name"
    )
    identifiers = NamesField(
        label=_("Identifier fields"),
        required=False,
        help_text=_("Fields that a request row may carry beside the inputs: customId, affiNo, affiCode."),
    )
    echo = NamesField(
        label=_("Repeated in the answer"),
        required=False,
        help_text=_("Those of them that the answer repeats: affiNo, affiCode."),
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["registered_model"].queryset = RegisteredModel.objects.order_by("name")
