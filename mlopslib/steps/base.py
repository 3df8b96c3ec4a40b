"""What every step is given and gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mlopslib.artifacts import Artifact, ArtifactStore
from mlopslib.definition import FeatureSetSpec, ModelSpec
from mlopslib.offline.base import OfflineStore


@dataclass
class StepContext:
    """All that a step may touch. The executor builds it; so does a notebook or a test.

    Parameters
    ----------
    base_ym
        The run's base month, ``"202610"``.
    dates
        The run's frozen date dictionary (`mlopslib.dates.date_params`).
    params
        The run's frozen parameters. Keys by template: ``champion`` (dict with ``version``,
        ``package_sha256``, ``definition``, ``train_months``) or None for training;
        ``version``, ``package_sha256`` for monitoring; ``first_ym``, ``last_ym`` for materialise;
        ``months``, ``timeless`` for leak_proof; ``target`` for eda. ``reference_yms``, where months
        may be made: the month that a feature set's PSI is taken against, by table.
    spec
        The model's definition; None in the materialise template.
    feature_sets
        Definitions of every feature set that the spec (and the champion's spec) refers to.
    inputs
        Artefacts of the earlier steps of this run, by name.
    workdir
        An empty directory that is removed after the step.
    online_url, online_prefix
        The Redis of the online store, and what its keys begin with.
    reported
        What an earlier attempt of this step had kept with `partial` before it was stopped.
    """

    base_ym: str
    dates: Mapping[str, str]
    params: Mapping[str, Any]
    spec: ModelSpec | None
    feature_sets: tuple[FeatureSetSpec, ...]
    store: OfflineStore
    artifacts: ArtifactStore
    inputs: Mapping[str, Artifact]
    workdir: Path
    on_progress: Callable[[float, float, str], None] = lambda done, total, text: None
    on_log: Callable[[str], None] = lambda text: None
    online_url: str = ""
    online_prefix: str = "gijun"
    reported: Mapping[str, Any] = field(default_factory=dict)
    on_partial: Callable[[Mapping[str, Any], Mapping[str, Any]], None] = lambda found, kept: None

    def progress(self, done: float, total: float, text: str = "") -> None:
        """Say how far the step is; shown as its progress bar. Raises StepCancelled on cancel."""
        self.on_progress(done, total, text)

    def partial(self, found: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
        """Record what is finished before the step is: `found` as rows, `kept` for `reported`.

        What was reported stays when the step is killed, fails or is cancelled later. Raises
        StepCancelled where the step is no longer this process's.
        """
        self.on_partial(found, kept)

    def log(self, text: str) -> None:
        """Write a line to the step's log."""
        self.on_log(text)


@dataclass(frozen=True)
class StepResult:
    """What a step found.

    `summary` is one plain sentence for the run page; `metrics` are numbers, lists and dicts that
    JSON can hold (no NaN: use None); `artifacts` are visible to the later steps by their names.
    """

    summary: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)


class Step(Protocol):
    """A step is a function; a module of `mlopslib.steps` holds one, named `run`."""

    def __call__(self, ctx: StepContext) -> StepResult: ...
