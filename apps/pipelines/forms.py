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
from apps.pipelines.feature_runs import asked_months, target_of
from apps.pipelines.models import Pipeline, Template
from apps.pipelines.words import template_word
from mlopslib.errors import GijunError

#: a choice that makes its pipeline first: "new/materialise/cust_balance"
NEW = "new"


_SET_TEMPLATES = tuple(template for template in Template if template in Template.of_feature_sets())


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
        if may(user, right_to_start(row.template)) and _is_runnable(row)
    ]
    if may(user, "models.define") and may(user, "runs.start"):
        taken = {(row.registered_model_id, row.template) for row in pipelines}
        found += [
            _new(template, model.name)
            for model in RegisteredModel.objects.only("pk", "name")
            for template in (Template.TRAINING, Template.MONITORING)
            if (model.pk, template) not in taken
        ]
    if may(user, "features.materialise"):
        taken = {(row.feature_set_id, row.template) for row in pipelines}
        found += [
            _new(template, row.name)
            for row in FeatureSet.objects.current().only("pk", "name")
            for template in _SET_TEMPLATES
            if (row.pk, template) not in taken
        ]
    return found


def right_to_start(template: str) -> str:
    return "features.materialise" if template in Template.of_feature_sets() else "runs.start"


def _is_runnable(pipeline: Pipeline) -> bool:
    held = pipeline.feature_set
    return held is None or held.status != FeatureSet.Status.DELETED


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
    months = forms.CharField(
        label=gettext_lazy("Base months to prove"),
        max_length=400,
        required=False,
        help_text=gettext_lazy(
            "As 202608, 202609, 202610; the base month and the two before where it is empty."
        ),
        widget=forms.TextInput(attrs={"placeholder": "202608, 202609, 202610", "autocomplete": "off"}),
    )
    target_model = forms.CharField(
        label=gettext_lazy("Target of the model"),
        max_length=63,
        required=False,
        help_text=gettext_lazy(
            "A model's name: its target is what the features are held against. None where it is empty."
        ),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    idempotency_key = forms.CharField(max_length=120, widget=forms.HiddenInput)

    #: fields that belong to one template only
    ONLY_FOR = {
        "first_ym": Template.MATERIALISE,
        "version": Template.MONITORING,
        "months": Template.LEAK_PROOF,
        "target_model": Template.EDA,
    }

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

    def params(self, pipeline: Pipeline) -> dict[str, Any]:
        """The template's own parameters, those that were given. Raises InvalidInput."""
        data = self.cleaned_data
        if first := data.get("first_ym"):
            return {"first_ym": first, "last_ym": data["base_ym"]}
        if months := asked_months(data, "months"):
            return {"months": months}
        if model := (data.get("target_model") or "").strip():
            return {"target": target_of(pipeline.feature_set, model)}
        return {"version": data["version"]} if data.get("version") else {}

    def show(self, error: GijunError) -> None:
        """Put a service's refusal at the field that it names; at the top where it names none of ours."""
        self.add_error(error.field if error.field in self.fields else None, error.message)


def pipeline_of(value: str, *, actor: Any) -> Pipeline:
    """The chosen pipeline; made now where the choice says so."""
    if not value.startswith(f"{NEW}/"):
        return Pipeline.objects.with_subject().get(pk=int(value))
    _word, template, name = value.split("/", 2)
    if template in Template.of_feature_sets():
        held = FeatureSet.objects.current().get(name=name)
        return services.ensure_pipeline(actor=actor, template=template, feature_set=held)
    model = RegisteredModel.objects.get(name=name)
    return services.define_pipeline(
        actor=actor, name=f"{name} {template}", template=template, registered_model=model
    )
