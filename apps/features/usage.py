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


def columns_in_use() -> dict[tuple[str, str], list[str]]:
    """(feature set, column) -> names of the models that take it by their definition; one query.

    A model pins a version of the feature set; one that pins an older version still counts.
    """
    found: dict[tuple[str, str], list[str]] = {}
    rows = _registered_models().objects.order_by("name").values_list("name", "definition__features")
    for name, features in rows:
        for item in features or ():
            found.setdefault((item["feature_set"], item["column"]), []).append(name)
    return found


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
