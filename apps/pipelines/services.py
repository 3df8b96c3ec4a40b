"""What can be done with pipelines and runs. Each checks the right to do it and leaves an audit event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.common.access import require
from apps.common.audit import record
from apps.features.models import FeatureSet
from apps.models.models import RegisteredModel
from apps.pipelines import states
from apps.pipelines.dispatch import ring_on_commit
from apps.pipelines.errors import KeyReused, PipelineInvalid
from apps.pipelines.freeze import freeze
from apps.pipelines.models import Pipeline, PipelineRun, Schedule, StepRun, Template
from apps.pipelines.recorders import DEFAULT_POLICY, POLICIES
from mlopslib.dates import date_params, validate_ym
from mlopslib.errors import Conflict, InvalidDate, InvalidInput
from mlopslib.steps import TEMPLATES


def define_pipeline(
    *,
    actor: Any,
    name: str,
    template: str,
    registered_model: RegisteredModel | None = None,
    feature_set: FeatureSet | None = None,
    policy: Mapping[str, Any] | None = None,
) -> Pipeline:
    """Bind a template to a model, or the materialise template to a feature set.

    Raises AccessDenied, PipelineInvalid, Conflict.
    """
    require(actor, "features.create" if template in Template.of_feature_sets() else "models.define")
    if not 0 < len(name.strip()) <= 120:
        raise PipelineInvalid("a pipeline needs a name of 1 to 120 characters", field="name")
    if template not in Template.values:
        raise PipelineInvalid(
            f"{template!r} is not a template; there are {', '.join(Template.values)}", field="template"
        )
    _check_subject(template, registered_model, feature_set)
    try:
        with transaction.atomic():
            pipeline = Pipeline.objects.create(
                name=name.strip(),
                template=template,
                registered_model=registered_model,
                feature_set=feature_set,
                policy=_checked_policy(policy),
                owner=actor,
            )
            record(actor, "pipeline.defined", pipeline, template=template, policy=pipeline.policy)
    except IntegrityError as error:
        raise Conflict(f"there is a pipeline {name.strip()!r} already", field="name") from error
    return pipeline


def ensure_pipeline(*, actor: Any, template: str, feature_set: FeatureSet) -> Pipeline:
    """The pipeline of a feature-set version for a template; made where there is none yet.

    Raises AccessDenied, PipelineInvalid.
    """
    require(actor, "features.materialise")
    if template not in Template.of_feature_sets():
        raise PipelineInvalid(f"{template!r} is not a template of feature sets", field="template")
    _check_is_runnable(template, feature_set)
    found = Pipeline.objects.with_subject().filter(template=template, feature_set=feature_set)
    if pipeline := found.order_by("pk").first():
        return pipeline
    name = f"{feature_set.name} v{feature_set.version} {template}"
    try:
        with transaction.atomic():
            pipeline = Pipeline.objects.create(
                name=name,
                template=template,
                feature_set=feature_set,
                policy=_checked_policy(None),
                owner=actor or feature_set.owner,
            )
            record(actor, "pipeline.defined", pipeline, template=template, policy=pipeline.policy)
    except IntegrityError as error:
        # somebody made it at the same moment, or gave this name to another pipeline
        twin = found.order_by("pk").first()
        if twin is None:
            raise Conflict(f"another pipeline has the name {name!r}", field="name") from error
        return twin
    return pipeline


def start_run(
    *,
    actor: Any,
    pipeline: Pipeline,
    base_ym: str,
    trigger: str,
    params: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
) -> PipelineRun:
    """Start a pipeline for a base month, with everything that decides its result frozen.

    The same `idempotency_key` with the same request gives the run that it gave before.
    `params`: `first_ym` and `last_ym` for the materialise template (else the base month alone), `version`
    for monitoring (else the champion), `months` for the leak proof, `target` for EDA.
    Raises AccessDenied, InvalidDate, InvalidInput, PipelineInvalid, KeyReused.
    """
    require(actor, _right_to_start(pipeline))
    validate_ym(base_ym)
    if pipeline.feature_set is not None:
        _check_is_runnable(pipeline.template, pipeline.feature_set)
    if pipeline.template == Template.MATERIALISE and actor is not None:
        _check_has_begun(base_ym)
    if trigger not in PipelineRun.Trigger.values:
        raise InvalidInput(f"{trigger!r} is not a trigger", field="trigger")
    if idempotency_key is not None and not 0 < len(idempotency_key) <= 120:
        raise InvalidInput("an idempotency key has 1 to 120 characters", field="idempotency_key")
    asked = dict(params or {})
    with transaction.atomic():
        earlier = _run_of(idempotency_key, actor=actor, pipeline=pipeline, base_ym=base_ym, asked=asked)
        if earlier is not None:
            return earlier
        frozen = {**freeze(pipeline, base_ym, asked), "asked": asked}
        try:
            with transaction.atomic():
                run = PipelineRun.objects.create(
                    pipeline=pipeline,
                    template=pipeline.template,
                    base_ym=base_ym,
                    trigger=trigger,
                    dates=date_params(base_ym),
                    params=frozen,
                    requested_by=actor,
                    idempotency_key=idempotency_key,
                )
        except IntegrityError:
            # somebody sent the same key at the same moment and was first
            twin = _run_of(idempotency_key, actor=actor, pipeline=pipeline, base_ym=base_ym, asked=asked)
            if twin is None:
                raise
            return twin
        first = _make_steps(run)
        record(actor, "run.started", run, base_ym=base_ym, trigger=trigger, params=asked)
        ring_on_commit(first.pk)
    return run


def cancel_run(*, actor: Any, run: PipelineRun) -> PipelineRun:
    """Stop a run: what waits at once, what runs within seconds. Twice does no harm. Raises RunEnded."""
    require(actor, "runs.cancel")
    with transaction.atomic():
        run, is_new = states.request_cancel(run.pk)
        if is_new:
            record(actor, "run.cancel_requested", run)
    return run


def resume_run(*, actor: Any, run: PipelineRun) -> PipelineRun:
    """Let a failed or cancelled run go on from the step that stopped it. Raises RunEnded.

    Succeeded steps keep their results, and the run keeps what it froze when it was started.
    """
    require(actor, _right_to_start(run.pipeline))
    with transaction.atomic():
        run, step_id = states.resume(run.pk)
        record(actor, "run.resumed", run, step=StepRun.objects.get(pk=step_id).name)
        ring_on_commit(step_id)
    return run


def add_schedule(
    *, actor: Any, pipeline: Pipeline, day_of_month: int, hour: int, lag_months: int = 1
) -> Schedule:
    """Run a pipeline every month, for the base month `lag_months` before. Raises PipelineInvalid."""
    require(actor, "schedules.edit")
    check_schedule(day_of_month=day_of_month, hour=hour, lag_months=lag_months)
    if pipeline.feature_set is not None:
        _check_is_runnable(pipeline.template, pipeline.feature_set)
    with transaction.atomic():
        schedule = Schedule.objects.create(
            pipeline=pipeline, day_of_month=day_of_month, hour=hour, lag_months=lag_months, owner=actor
        )
        record(actor, "schedule.added", schedule, day_of_month=day_of_month, hour=hour, lag_months=lag_months)
    return schedule


def check_schedule(*, day_of_month: int, hour: int, lag_months: int) -> None:
    """Raises PipelineInvalid where a schedule would never come, or not every month."""
    limits = {"day_of_month": (day_of_month, 1, 28), "hour": (hour, 0, 23), "lag_months": (lag_months, 0, 36)}
    for field, (value, low, high) in limits.items():
        if not low <= value <= high:
            raise PipelineInvalid(f"{field} lies between {low} and {high}, not at {value}", field=field)


def _check_has_begun(base_ym: str) -> None:
    """A month to come would stand as the newest of all: a typing error that every list and PSI would show."""
    now = f"{timezone.localdate():%Y%m}"
    if base_ym > now:
        raise InvalidDate(
            f"the month {base_ym} has not begun: {now} is the newest that can be made", field="base_ym"
        )


def _right_to_start(pipeline: Pipeline) -> str:
    return "features.materialise" if pipeline.template in Template.of_feature_sets() else "runs.start"


def _make_steps(run: PipelineRun) -> StepRun:
    """A row for each step of the template; the first is READY and returned."""
    names = TEMPLATES[run.template]
    steps = [StepRun(run=run, position=position, name=name) for position, name in enumerate(names, start=1)]
    steps[0].state = StepRun.State.READY
    for step in steps:
        step.save()
    return steps[0]


def _run_of(
    key: str | None, *, actor: Any, pipeline: Pipeline, base_ym: str, asked: dict[str, Any]
) -> PipelineRun | None:
    """The run that an idempotency key stands for. Raises KeyReused where it stands for another request."""
    if key is None:
        return None
    run = PipelineRun.objects.filter(idempotency_key=key).first()
    if run is None:
        return None
    same = (run.pipeline_id, run.base_ym, run.requested_by_id, run.params.get("asked")) == (
        pipeline.pk,
        base_ym,
        actor.pk if actor else None,
        asked,
    )
    if not same:
        raise KeyReused(
            f"this idempotency key started run {run.pk} with another request: use a new key",
            field="idempotency_key",
        )
    return run


def _check_subject(
    template: str, registered_model: RegisteredModel | None, feature_set: FeatureSet | None
) -> None:
    if template in Template.of_feature_sets():
        if feature_set is None or registered_model is not None:
            raise PipelineInvalid(f"the {template} template is for a feature set", field="feature_set")
    elif registered_model is None or feature_set is not None:
        raise PipelineInvalid(f"the {template} template is for a model", field="registered_model")


def _check_is_runnable(template: str, feature_set: FeatureSet) -> None:
    """A draft can be proved; what fills the stores is a published version, which no longer changes."""
    if feature_set.status == FeatureSet.Status.DELETED:
        raise PipelineInvalid(f"{feature_set} was deleted", field="feature_set")
    if feature_set.status == FeatureSet.Status.DRAFT and template != Template.LEAK_PROOF:
        raise PipelineInvalid(
            f"{feature_set} is a draft: publish it first; a draft can only be proved", field="feature_set"
        )


def _checked_policy(policy: Mapping[str, Any] | None) -> dict[str, Any]:
    checked = {**DEFAULT_POLICY, **(policy or {})}
    unknown = sorted(set(checked) - set(DEFAULT_POLICY))
    if unknown:
        raise PipelineInvalid(f"a policy knows request_review, not {', '.join(unknown)}", field="policy")
    if checked["request_review"] not in POLICIES:
        raise PipelineInvalid(
            f"request_review is one of {', '.join(POLICIES)}, not {checked['request_review']!r}",
            field="policy",
        )
    return checked
