"""Which models and endpoints take a feature as input. Read through the reverse side of their keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Prefetch

from apps.features.models import Feature, FeatureSet

#: versions whose frozen definition is at work beside the one in the catalog
_AT_WORK = ("CHALLENGER", "CHAMPION")


@dataclass
class Pin:
    """A version of a feature set that a model holds on to."""

    #: what pins it: "" the definition in the catalog, "v3" a champion or challenger
    labels: list[str] = field(default_factory=list)
    columns: set[str] = field(default_factory=set)


@dataclass
class Use:
    """A model that takes columns of a feature set, by the versions that it pins."""

    model: Any
    endpoints: list[Any]
    pins: dict[int, Pin] = field(default_factory=dict)

    @property
    def columns(self) -> set[str]:
        return set().union(*(pin.columns for pin in self.pins.values()))


def models_using(*features: Feature, feature_set: FeatureSet | None = None) -> dict[int, list[Any]]:
    """Registered models by feature id; two queries, however many features.

    A model pins a version of the feature set; one that pins an older version still counts.
    """
    if not features:
        return {}
    names = {feature_set.name} if feature_set else {feature.feature_set.name for feature in features}
    sets = FeatureSet.objects.filter(name__in=names, registered_models__isnull=False).distinct()
    sets = sets.only("pk", "name").order_by().prefetch_related("registered_models")
    taken: dict[tuple[str, str], dict[int, Any]] = {}
    for model in {model.pk: model for held in sets for model in held.registered_models.all()}.values():
        for reference in model.definition.get("features", []):
            key = (reference["feature_set"], reference["column"])
            taken.setdefault(key, {})[model.pk] = model
    found = {}
    for feature in features:
        name = feature_set.name if feature_set else feature.feature_set.name
        found[feature.pk] = list(taken.get((name, feature.name), {}).values())
    return found


def used_columns() -> set[tuple[str, str]]:
    """(feature set, column) of everything that a model of the catalog takes; one query."""
    models = _registered_models().objects.order_by().values_list("definition__features", flat=True)
    return {(item["feature_set"], item["column"]) for features in models for item in features or []}


def all_uses() -> dict[str, list[Use]]:
    """Models by the feature sets that they take, by definition or by a version at work; three queries.

    A champion serves what it was trained with, so a model whose definition has moved on still depends
    on the feature sets of its champion.
    """
    found: dict[str, dict[int, Use]] = {}
    for model in _models_with_versions():
        sources: list[tuple[str, Mapping[str, Any]]] = [("", model.definition)]
        sources += [(version.label, version.definition) for version in model.at_work]
        for label, definition in sources:
            for item in definition.get("features", []):
                uses = found.setdefault(item["feature_set"], {})
                use = uses.setdefault(model.pk, Use(model, list(model.endpoints.all())))
                pin = use.pins.setdefault(item["version"], Pin())
                pin.columns.add(item["column"])
                if label not in pin.labels:
                    pin.labels.append(label)
    return {name: list(uses.values()) for name, uses in found.items()}


def uses_of_feature(feature: Feature) -> list[Use]:
    """Models that take one feature, with the pins that do."""
    found = []
    for use in all_uses().get(feature.feature_set.name, []):
        pins = {version: pin for version, pin in use.pins.items() if feature.name in pin.columns}
        if pins:
            found.append(Use(use.model, use.endpoints, dict(sorted(pins.items()))))
    return found


def _models_with_versions() -> Any:
    model = _registered_models()
    versions = model._meta.get_field("versions").related_model
    at_work = versions.objects.filter(stage__in=_AT_WORK).order_by("number")
    return (
        model.objects.order_by("name")
        .only("pk", "name", "title", "definition")
        .prefetch_related(
            Prefetch("versions", at_work.defer("card"), to_attr="at_work"),
            "endpoints",
        )
    )


def _registered_models() -> Any:
    return FeatureSet._meta.get_field("registered_models").related_model
