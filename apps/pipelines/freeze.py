"""What decides a run's result, copied into the run when it is started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings

from apps.features.models import FeatureProfile, FeatureSet
from apps.models.models import ModelVersion
from apps.pipelines.errors import PipelineInvalid
from apps.pipelines.models import Pipeline, Template
from mlopslib.dates import add_months, months_between, validate_ym
from mlopslib.definition import FeatureSetSpec, ModelSpec
from mlopslib.errors import InvalidDate, InvalidInput

#: more months than a bank keeps: a longer range is a typing error
_MOST_MONTHS = 240
#: base months of one leak proof
_MOST_PROOFS = 36


def freeze(pipeline: Pipeline, base_ym: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Definition, feature sets, champion and the template's own parameters, as JSON.

    Raises PipelineInvalid, InvalidInput, InvalidDate.
    """
    freezer, known = _FREEZERS[pipeline.template]
    unknown = sorted(set(asked) - set(known))
    if unknown:
        raise InvalidInput(
            f"a {pipeline.template} run has no parameter {', '.join(unknown)}; "
            f"it has {', '.join(known) or 'none beside its base month'}",
            field="params",
        )
    params = freezer(pipeline, base_ym, asked)
    if pipeline.template in _MAKES_MONTHS:
        params["reference_yms"] = _reference_yms(params["feature_sets"])
    return params


def _training(pipeline: Pipeline, base_ym: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    spec = pipeline.registered_model.spec
    champion = _champion(pipeline)
    specs = [spec, champion.spec] if champion else [spec]
    return {
        "definition": spec.to_dict(),
        "feature_sets": _feature_sets(specs),
        "champion": _champion_dict(champion) if champion else None,
    }


def _monitoring(pipeline: Pipeline, base_ym: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    version = _version(pipeline, asked.get("version"))
    return {
        "definition": version.spec.to_dict(),
        "feature_sets": _feature_sets([version.spec]),
        "version": version.number,
        "label": version.label,
        "package_sha256": version.package_sha256,
        "train_months": version.card.get("train_months", []),
    }


def _materialise(pipeline: Pipeline, base_ym: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    first, last = (_month(asked, name, base_ym) for name in ("first_ym", "last_ym"))
    if not 0 <= months_between(first, last) < _MOST_MONTHS:
        raise InvalidDate(
            f"first_ym {first} and last_ym {last} are not a range: the first comes first, "
            f"and it has {_MOST_MONTHS} months at most",
            field="first_ym",
        )
    feature_set = pipeline.feature_set
    return {"feature_sets": [feature_set.to_spec().to_dict()], "first_ym": first, "last_ym": last}


def _leak_proof(pipeline: Pipeline, base_ym: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The base months to prove: those asked for, else the run's own and the two before."""
    months = asked.get("months") or [add_months(base_ym, back) for back in (-2, -1, 0)]
    if not isinstance(months, list) or not 0 < len(months) <= _MOST_PROOFS:
        raise InvalidInput(f"months is a list of 1 to {_MOST_PROOFS} base months", field="months")
    feature_set = pipeline.feature_set
    return {
        "feature_sets": [feature_set.to_spec().to_dict()],
        "months": [_month({"months": month}, "months", base_ym) for month in months],
        "timeless": feature_set.timeless_tables,
    }


def _eda(pipeline: Pipeline, base_ym: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """`target`: {"label", "sql"} of a query that gives the entity key and `target`, or None."""
    target = asked.get("target")
    if target is not None and not (isinstance(target, dict) and set(target) == {"label", "sql"}):
        raise InvalidInput('target is {"label": ..., "sql": ...} or left out', field="target")
    return {"feature_sets": [pipeline.feature_set.to_spec().to_dict()], "target": target}


def _online(pipeline: Pipeline, base_ym: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Where the bank's months end, and the newest generation that is on record."""
    feature_set = pipeline.feature_set
    last = feature_set.publications.order_by("-generation").values_list("generation", flat=True).first()
    return {
        "feature_sets": [feature_set.to_spec().to_dict()],
        "time_zone": settings.TIME_ZONE,
        "last_generation": last or 0,
    }


_FREEZERS: dict[str, tuple[Callable[[Pipeline, str, Mapping[str, Any]], dict[str, Any]], tuple[str, ...]]] = {
    Template.TRAINING: (_training, ()),
    Template.MONITORING: (_monitoring, ("version",)),
    Template.MATERIALISE: (_materialise, ("first_ym", "last_ym")),
    Template.LEAK_PROOF: (_leak_proof, ("months",)),
    Template.EDA: (_eda, ("target",)),
    Template.ONLINE: (_online, ()),
}


#: templates that may make months of feature sets
_MAKES_MONTHS = (Template.TRAINING, Template.MONITORING, Template.MATERIALISE)


def _reference_yms(feature_sets: list[dict[str, Any]]) -> dict[str, str]:
    """The month that each feature set's PSI is taken against, by table, where one is on record.

    A month that is filled in before it must not become the reference by being the earliest.
    """
    specs = [FeatureSetSpec.from_dict(item) for item in feature_sets]
    found = {}
    for spec in specs:
        newest = (
            FeatureProfile.objects.filter(
                feature__feature_set__name=spec.name, feature__feature_set__version=spec.version
            )
            .order_by("-created_at", "-pk")
            .first()
        )
        if newest is not None and newest.histogram.get("reference_ym"):
            found[spec.table] = newest.histogram["reference_ym"]
    return found


def _champion(pipeline: Pipeline) -> ModelVersion | None:
    return ModelVersion.objects.champions().filter(registered_model=pipeline.registered_model).first()


def _champion_dict(version: ModelVersion) -> dict[str, Any]:
    return {
        "version": version.number,
        "label": version.label,
        "package_sha256": version.package_sha256,
        "definition": version.definition,
        "train_months": version.card.get("train_months", []),
    }


def _version(pipeline: Pipeline, number: Any) -> ModelVersion:
    if number is None:
        champion = _champion(pipeline)
        if champion is None:
            raise PipelineInvalid(
                f"{pipeline.registered_model} has no champion to monitor: approve and deploy a version first",
                field="pipeline",
            )
        return champion
    version = None
    if isinstance(number, int) and not isinstance(number, bool):
        version = pipeline.registered_model.versions.filter(number=number).first()
    if version is None:
        raise InvalidInput(f"{pipeline.registered_model} has no version {number!r}", field="version")
    return version


def _feature_sets(specs: list[ModelSpec]) -> list[dict[str, Any]]:
    """Every pinned feature set, once, the one that gives the population first."""
    pins = list(dict.fromkeys((ref.feature_set, ref.version) for spec in specs for ref in spec.features))
    rows = FeatureSet.objects.pinned(pins).prefetch_related("features")
    found = {(row.name, row.version): row for row in rows}
    for name, version in pins:
        if (name, version) not in found:
            raise PipelineInvalid(
                f"the definition refers to feature set {name} v{version}, which is not in the catalog",
                field="pipeline",
            )
    return [found[pin].to_spec().to_dict() for pin in pins]


def _month(asked: Mapping[str, Any], name: str, default: str) -> str:
    try:
        return validate_ym(asked.get(name) or default)
    except InvalidDate as error:
        raise InvalidDate(error.message, field=name) from error
