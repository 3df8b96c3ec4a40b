"""Which registered models take a feature as input. Read through the reverse side of their key."""

from __future__ import annotations

from typing import Any

from apps.features.models import Feature, FeatureSet


def models_using(*features: Feature, feature_set: FeatureSet | None = None) -> dict[int, list[Any]]:
    """Registered models by feature id; two queries, however many features.

    A model pins a version of the feature set; one that pins an older version still counts.
    """
    if not features:
        return {}
    names = {feature_set.name} if feature_set else {feature.feature_set.name for feature in features}
    sets = FeatureSet.objects.filter(name__in=names).prefetch_related("registered_models")
    taken: dict[tuple[str, str], dict[int, Any]] = {}
    for held in sets:
        for model in held.registered_models.all():
            for reference in model.definition.get("features", []):
                key = (reference["feature_set"], reference["column"])
                taken.setdefault(key, {})[model.pk] = model
    found = {}
    for feature in features:
        name = feature_set.name if feature_set else feature.feature_set.name
        found[feature.pk] = list(taken.get((name, feature.name), {}).values())
    return found
