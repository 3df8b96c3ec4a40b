"""The steps of a run, one module each; a template is an ordered list of their names."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from mlopslib.errors import InvalidInput
from mlopslib.steps.base import Step

#: template -> the names of its steps, in order
TEMPLATES: dict[str, tuple[str, ...]] = {
    "training": (
        "extract",
        "validate_data",
        "prepare",
        "train",
        "evaluate",
        "validate_oot",
        "package",
        "register",
        "compare",
    ),
    "monitoring": ("extract", "score", "monitor"),
    "materialise": ("materialise",),
}

#: where a step of one template is not the module of its name
_MODULES = {("monitoring", "extract"): "extract_month"}

STEP_TITLES: dict[str, str] = {
    "extract": "Extract",
    "validate_data": "Validate data",
    "prepare": "Prepare",
    "train": "Train",
    "evaluate": "Evaluate",
    "validate_oot": "Validate out of time",
    "package": "Package",
    "register": "Register",
    "compare": "Compare",
    "score": "Score",
    "monitor": "Monitor",
    "materialise": "Materialise",
}


def get_step(template: str, name: str) -> Step:
    """The function of a step; its module, and what it needs, is imported now and not before."""
    if name not in TEMPLATES.get(template, ()):
        raise InvalidInput(f"the {template} template has no step {name!r}", field="step")
    module = import_module(f"mlopslib.steps.{_MODULES.get((template, name), name)}")
    return cast(Step, module.run)
