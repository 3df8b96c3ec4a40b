"""Runs on a feature set, as its pages and the API ask for them: what is left out gets its usual value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apps.features.models import FeatureSet
from apps.models.models import RegisteredModel
from apps.pipelines.models import PipelineRun, Template
from apps.pipelines.services import ensure_pipeline, start_run
from mlopslib.errors import InvalidInput


def start_feature_run(
    *,
    actor: Any,
    template: str,
    feature_set: FeatureSet,
    trigger: str,
    base_ym: str = "",
    first_ym: str = "",
    last_ym: str = "",
    months: Sequence[str] = (),
    target_model: str = "",
    idempotency_key: str | None = None,
) -> PipelineRun:
    """Start a template on a feature set, for its newest month in the store where no month is named.

    Raises AccessDenied, PipelineInvalid, InvalidInput, InvalidDate, KeyReused.
    """
    pipeline = ensure_pipeline(actor=actor, template=template, feature_set=feature_set)
    asked: dict[str, Any] = {}
    if template == Template.MATERIALISE and (first_ym or last_ym):
        base_ym = last_ym or base_ym or first_ym
        asked = {"first_ym": first_ym or base_ym, "last_ym": base_ym}
    elif template == Template.LEAK_PROOF and months:
        asked = {"months": sorted(set(months))}
        base_ym = base_ym or asked["months"][-1]
    elif template == Template.EDA and target_model:
        asked = {"target": target_of(feature_set, target_model)}
    return start_run(
        actor=actor,
        pipeline=pipeline,
        base_ym=base_ym or newest_month(feature_set),
        trigger=trigger,
        params=asked,
        idempotency_key=idempotency_key,
    )


def newest_month(feature_set: FeatureSet) -> str:
    """The newest month of the version that stands in the store. Raises InvalidInput where none does."""
    newest = feature_set.materialisations.order_by("-base_ym").values_list("base_ym", flat=True).first()
    if newest is None:
        raise InvalidInput(
            f"no month of {feature_set} stands in the store: materialise one, or name a base month",
            field="base_ym",
        )
    return str(newest)


def target_of(feature_set: FeatureSet, model: str) -> dict[str, str]:
    """The target that a registered model learns, for a run's frozen parameters. Raises InvalidInput."""
    row = RegisteredModel.objects.filter(name=model).first()
    if row is None:
        raise InvalidInput(f"there is no model {model!r}: its target cannot be taken", field="target_model")
    if row.spec.entity_key != feature_set.entity_key:
        raise InvalidInput(
            f"{model} has one target for each {row.spec.entity_key}, {feature_set} one row for each "
            f"{feature_set.entity_key}: choose a model of the same key",
            field="target_model",
        )
    return {"label": model, "sql": row.spec.target_sql}


def asked_months(values: Mapping[str, Any], name: str) -> list[str]:
    """Months of a form: several values, or one with commas and spaces between; dashes do not matter."""
    raw = values.getlist(name) if hasattr(values, "getlist") else [values.get(name) or ""]
    return [word.replace("-", "") for text in raw for word in str(text).replace(",", " ").split()]
