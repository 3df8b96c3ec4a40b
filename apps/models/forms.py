"""What a person may say about a review."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.models.models import Review

NOTE_LENGTH = 2000


class NoteForm(forms.Form):
    """The note that goes into the record; whether it is required is the service's rule."""

    note = forms.CharField(
        label=_("Note"),
        required=False,
        max_length=NOTE_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3, "maxlength": NOTE_LENGTH}),
    )


class DecisionForm(NoteForm):
    decision = forms.ChoiceField(
        choices=[
            (Review.Status.CHANGES_REQUESTED, _("Request changes")),
            (Review.Status.REJECTED, _("Reject")),
            (Review.Status.WITHDRAWN, _("Withdraw")),
        ]
    )
