"""Words for people: the steps and templates of a run, ready for translation."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from apps.pipelines.models import Template
from mlopslib.steps import STEP_TITLES, TEMPLATES

STEP_WORDS: dict[str, Any] = {
    "extract": _("Extract"),
    "validate_data": _("Validate data"),
    "prepare": _("Prepare"),
    "train": _("Train"),
    "evaluate": _("Evaluate"),
    "validate_oot": _("Validate out of time"),
    "package": _("Package"),
    "register": _("Register"),
    "compare": _("Compare"),
    "score": _("Score"),
    "monitor": _("Monitor"),
    "materialise": _("Materialise"),
    "prove": _("Prove"),
    "eda": _("Profile and correlate"),
    "publish_online": _("Publish online"),
}

TEMPLATE_TITLES: dict[str, Any] = {
    Template.TRAINING: _("Training"),
    Template.MONITORING: _("Monitoring"),
    Template.MATERIALISE: _("Materialise"),
    Template.LEAK_PROOF: _("Leak proof"),
    Template.EDA: _("EDA and correlation"),
    Template.ONLINE: _("Online store"),
}

TEMPLATE_WORDS: dict[str, Any] = {
    Template.TRAINING: _(
        "Trains a version on the newest mature months, measures it out of time, and compares it with the "
        "champion on the same customers."
    ),
    Template.MONITORING: _(
        "Scores one month with the champion: PSI at once, AUC and lift as soon as the labels are mature."
    ),
    Template.MATERIALISE: _("Runs a feature query for its months and profiles every feature."),
    Template.LEAK_PROOF: _(
        "Changes every row that lies after the base date in a scratch copy, computes the features again, and "
        "compares: nothing may move."
    ),
    Template.EDA: _(
        "Distributions, correlations and the association with a target, computed where the data lies."
    ),
    Template.ONLINE: _("Puts the newest month of a feature set into the online store, all of it at once."),
}


#: states of a month in the grid
CELL_WORDS: dict[str, Any] = {
    "done": _("done"),
    "running": _("running"),
    "queued": _("queued"),
    "failed": _("failed"),
    "missing": _("missing"),
    "not_due": _("not due"),
}


def step_word(name: str) -> str:
    return str(STEP_WORDS.get(name) or STEP_TITLES.get(name, name))


def template_word(template: str) -> str:
    return str(TEMPLATE_TITLES.get(template, template))


def template_guide() -> list[dict[str, Any]]:
    """What each template does, for the page that starts a run."""
    return [
        {"template": template, "text": text, "steps": [step_word(name) for name in TEMPLATES[template]]}
        for template, text in TEMPLATE_WORDS.items()
    ]
