"""The steps of each run template: one module each, with a function ``run(ctx) -> StepResult``."""

from __future__ import annotations

from importlib import import_module

from mlopslib.errors import InvalidInput
from mlopslib.steps.base import Step

#: what a run of each template does, in order
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
    "leak_proof": ("prove",),
    "eda": ("eda",),
    "online": ("publish_online",),
}

STEP_TITLES: dict[str, str] = {
    "extract": "Extract features and target",
    "validate_data": "Validate the data",
    "prepare": "Prepare train and test",
    "train": "Train",
    "evaluate": "Evaluate",
    "validate_oot": "Validate out of time",
    "package": "Package and prove parity",
    "register": "Register the version",
    "compare": "Compare with the champion",
    "score": "Score",
    "monitor": "Monitor",
    "materialise": "Materialise the feature set",
    "prove": "Prove that nothing reads the future",
    "eda": "Profile and correlate",
    "publish_online": "Publish to the online store",
}

#: steps whose module is not called as they are
_MODULES = {("monitoring", "extract"): "extract_month"}


def get_step(template: str, name: str) -> Step:
    """The function of a step; its module (and what that needs) is imported now and not before.

    Raises InvalidInput for a step that the template does not have.
    """
    if name not in TEMPLATES.get(template, ()):
        raise InvalidInput(f"the template {template!r} has no step {name!r}", field="step")
    module = import_module(f"mlopslib.steps.{_MODULES.get((template, name), name)}")
    step: Step = module.run
    return step
