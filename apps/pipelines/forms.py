"""The form that starts a run. The service checks; the form says where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.common.access import may
from apps.features.models import FeatureSet
from apps.models.models import RegisteredModel
from apps.pipelines import services
from apps.pipelines.models import Pipeline, Template
from apps.pipelines.words import template_word
from mlopslib.errors import GijunError

#: a choice that makes its pipeline first: "new/materialise/cust_balance"
NEW = "new"


@dataclass(frozen=True)
class Subject:
    """What a choice of the form would run: an existing pipeline, or a template on a subject without one."""

    value: str
    label: str
    template: str


def subjects(user: Any) -> list[Subject]:
    """Pipelines that `user` may start, then what `user` may make a pipeline of."""
    pipelines = list(Pipeline.objects.with_subject())
    found = [
        Subject(str(row.pk), f"{row.name} ({template_word(row.template)})", row.template)
        for row in pipelines
        if may(user, right_to_start(row.template))
    ]
    if may(user, "models.define") and may(user, "runs.start"):
        taken = {(row.registered_model_id, row.template) for row in pipelines}
        found += [
            _new(template, model.name)
            for model in RegisteredModel.objects.only("pk", "name")
            for template in (Template.TRAINING, Template.MONITORING)
            if (model.pk, template) not in taken
        ]
    if may(user, "features.create") and may(user, "features.materialise"):
        have = {row.feature_set_id for row in pipelines}
        found += [
            _new(Template.MATERIALISE, row.name)
            for row in FeatureSet.objects.current().only("pk", "name")
            if row.pk not in have
        ]
    return found


def right_to_start(template: str) -> str:
    return "features.materialise" if template == Template.MATERIALISE else "runs.start"


def _new(template: Template, name: str) -> Subject:
    return Subject(
        f"{NEW}/{template}/{name}", f"{name} ({template_word(template)}, {_('new pipeline')})", template
    )


class StartForm(forms.Form):
    pipeline = forms.ChoiceField(label=gettext_lazy("Pipeline"))
    base_ym = forms.CharField(
        label=gettext_lazy("Base month"),
        max_length=7,
        help_text=gettext_lazy("The month that the run stands on, as 202610. Every date follows from it."),
        widget=forms.TextInput(
            attrs={"inputmode": "numeric", "placeholder": "202610", "autocomplete": "off"}
        ),
    )
    first_ym = forms.CharField(
        label=gettext_lazy("First month"),
        max_length=7,
        required=False,
        help_text=gettext_lazy("To materialise several months: from here to the base month."),
        widget=forms.TextInput(
            attrs={"inputmode": "numeric", "placeholder": "202601", "autocomplete": "off"}
        ),
    )
    version = forms.IntegerField(
        label=gettext_lazy("Version"),
        min_value=1,
        required=False,
        help_text=gettext_lazy("The number of the version to watch; the champion where it is left empty."),
    )
    idempotency_key = forms.CharField(max_length=120, widget=forms.HiddenInput)

    #: fields that belong to one template only
    ONLY_FOR = {"first_ym": Template.MATERIALISE, "version": Template.MONITORING}

    def __init__(self, *args: Any, subjects: list[Subject], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.subjects = {subject.value: subject for subject in subjects}
        self.fields["pipeline"].choices = [("", _("choose one")), *((s.value, s.label) for s in subjects)]
        chosen = self.subjects.get(str(self["pipeline"].value() or ""))
        self.template = chosen.template if chosen else ""
        for name, template in self.ONLY_FOR.items():
            if self.template != template:
                del self.fields[name]

    def clean_base_ym(self) -> str:
        return self.cleaned_data["base_ym"].replace("-", "").strip()

    def clean_first_ym(self) -> str:
        return self.cleaned_data["first_ym"].replace("-", "").strip()

    def params(self) -> dict[str, Any]:
        """The template's own parameters, those that were given."""
        data = self.cleaned_data
        if first := data.get("first_ym"):
            return {"first_ym": first, "last_ym": data["base_ym"]}
        return {"version": data["version"]} if data.get("version") else {}

    def show(self, error: GijunError) -> None:
        """Put a service's refusal at the field that it names; at the top where it names none of ours."""
        self.add_error(error.field if error.field in self.fields else None, error.message)


def pipeline_of(value: str, *, actor: Any) -> Pipeline:
    """The chosen pipeline; made now where the choice says so."""
    if not value.startswith(f"{NEW}/"):
        return Pipeline.objects.with_subject().get(pk=int(value))
    _word, template, name = value.split("/", 2)
    if template == Template.MATERIALISE:
        held = FeatureSet.objects.current().get(name=name)
        label = f"{name} v{held.version} {template}"
        return services.define_pipeline(actor=actor, name=label, template=template, feature_set=held)
    model = RegisteredModel.objects.get(name=name)
    return services.define_pipeline(
        actor=actor, name=f"{name} {template}", template=template, registered_model=model
    )
