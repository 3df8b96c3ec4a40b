"""The form of a monthly schedule."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.pipelines.forms import Subject, subjects
from apps.pipelines.models import Template
from mlopslib.errors import GijunError


def schedulable(user: Any) -> list[Subject]:
    """What may be started by hand may be scheduled; the proof of a fixed query is made once."""
    return [subject for subject in subjects(user) if subject.template != Template.LEAK_PROOF]


class ScheduleForm(forms.Form):
    """With `subjects` None, of a schedule that has its pipeline already."""

    PLAN = ("day_of_month", "hour", "lag_months")

    pipeline = forms.ChoiceField(label=gettext_lazy("Pipeline"))
    day_of_month = forms.IntegerField(
        label=gettext_lazy("Day of the month"),
        min_value=1,
        max_value=28,
        initial=3,
        help_text=gettext_lazy("1 to 28, so that every month has it."),
    )
    hour = forms.IntegerField(
        label=gettext_lazy("Hour"),
        min_value=0,
        max_value=23,
        initial=2,
        help_text=gettext_lazy("0 to 23, by the clock of the portal."),
    )
    lag_months = forms.IntegerField(
        label=gettext_lazy("Months back"),
        min_value=0,
        max_value=36,
        initial=1,
        help_text=gettext_lazy("1: the run stands on the month before the one it starts in."),
    )

    def __init__(self, *args: Any, subjects: list[Subject] | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if subjects is None:
            del self.fields["pipeline"]
        else:
            choices = [(subject.value, subject.label) for subject in subjects]
            self.fields["pipeline"].choices = [("", _("choose one")), *choices]

    def plan(self) -> dict[str, int]:
        return {name: self.cleaned_data[name] for name in self.PLAN}

    def show(self, error: GijunError) -> None:
        """Put a service's refusal at the field that it names; at the top where it names none of ours."""
        self.add_error(error.field if error.field in self.fields else None, error.message)
