"""What steps found of feature sets, kept as rows. Called in the transaction that commits the step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import OuterRef, Subquery

from apps.features.models import Feature, FeatureProfile, FeatureSet, Materialisation
from mlopslib.dates import validate_ym


def record_materialisation(*, feature_set: FeatureSet, months: Sequence[Mapping[str, Any]]) -> None:
    """Keep what the materialise step found of each month; a month done again replaces its record."""
    features = {feature.name: feature for feature in feature_set.features.all()}
    rows, profiles = [], []
    for month in months:
        base_ym = validate_ym(month["base_ym"])
        rows.append(
            Materialisation(
                feature_set=feature_set,
                base_ym=base_ym,
                rows=month["rows"],
                table_version=month["table_version"],
            )
        )
        profiles += [
            _profile(features[item["feature"]], base_ym, item)
            for item in month.get("profiles", ())
            if item["feature"] in features
        ]
    with transaction.atomic():
        Materialisation.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["feature_set", "base_ym"],
            update_fields=["rows", "table_version", "created_at"],
        )
        FeatureProfile.objects.bulk_create(
            profiles,
            batch_size=500,
            update_conflicts=True,
            unique_fields=["feature", "base_ym"],
            update_fields=[*_PROFILE_FIGURES, "created_at"],
        )
        refresh_latest(feature_set)


def refresh_latest(feature_set: FeatureSet) -> None:
    """Bring `latest_ym` and `latest_psi` of each feature up to its newest profile."""
    newest = FeatureProfile.objects.filter(feature=OuterRef("pk")).order_by("-base_ym")
    feature_set.features.update(
        latest_ym=Subquery(newest.values("base_ym")[:1]), latest_psi=Subquery(newest.values("psi")[:1])
    )


_PROFILE_FIGURES = ("rows", "missing", "distinct", "mean", "minimum", "maximum", "psi", "histogram")


def _profile(feature: Feature, base_ym: str, item: Mapping[str, Any]) -> FeatureProfile:
    figures = {name: item.get(name) for name in _PROFILE_FIGURES}
    figures["histogram"] = figures["histogram"] or {}
    return FeatureProfile(feature=feature, base_ym=base_ym, **figures)
