"""What steps found of feature sets, kept as rows. Called in the transaction that commits the step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from apps.features.models import (
    EdaReport,
    Feature,
    FeatureProfile,
    FeatureSet,
    LeakProof,
    Materialisation,
    OnlinePublication,
)
from mlopslib.dates import validate_ym

#: generations of a feature set whose record is kept; the store itself holds far fewer
KEPT_PUBLICATIONS = 50


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
            update_fields=[*_PROFILE_FIGURES, *_PROFILE_DICTS, "created_at"],
        )
        refresh_latest(feature_set)


def refresh_latest(feature_set: FeatureSet) -> None:
    """Bring `latest_ym` and `latest_psi` of each feature up to its newest profile."""
    newest = FeatureProfile.objects.filter(feature=OuterRef("pk")).order_by("-base_ym")
    feature_set.features.update(
        latest_ym=Subquery(newest.values("base_ym")[:1]), latest_psi=Subquery(newest.values("psi")[:1])
    )


def record_proof(*, feature_set: FeatureSet, proofs: Sequence[Mapping[str, Any]]) -> None:
    """Keep the leak proof of each base month and what all of them say of the version.

    One leak in any month outweighs every month in which none was found.
    """
    rows = [
        LeakProof(
            feature_set=feature_set,
            base_ym=validate_ym(proof["base_ym"]),
            outcome=LeakProof.Outcome(proof["outcome"]),
            sentence=proof["sentence"],
            poisoned=proof.get("poisoned") or {},
            differences=proof.get("differences") or [],
            bounds=proof.get("bounds") or [],
        )
        for proof in proofs
    ]
    with transaction.atomic():
        LeakProof.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["feature_set", "base_ym"],
            update_fields=["outcome", "sentence", "poisoned", "differences", "bounds", "created_at"],
        )
        refresh_proof(feature_set)


def refresh_proof(feature_set: FeatureSet) -> None:
    """Bring `proof` and `proved_months` up to the proofs of every base month."""
    outcomes = list(feature_set.proofs.order_by().values_list("outcome", flat=True))
    proved = outcomes.count(LeakProof.Outcome.PROVED)
    if LeakProof.Outcome.LEAK in outcomes:
        proof = FeatureSet.Proof.LEAK
    else:
        proof = FeatureSet.Proof.PROVED if proved else FeatureSet.Proof.UNPROVED
    FeatureSet.objects.filter(pk=feature_set.pk).update(proof=proof, proved_months=proved)
    feature_set.proof, feature_set.proved_months = proof, proved


def record_eda(
    *, feature_set: FeatureSet, base_ym: str, rows: int, target_label: str, report: Mapping[str, Any]
) -> EdaReport:
    """Keep a month's report against one target; done again it replaces the one before."""
    row, _ = EdaReport.objects.update_or_create(
        feature_set=feature_set,
        base_ym=validate_ym(base_ym),
        target_label=target_label[:120],
        defaults={"rows": rows, "report": dict(report), "created_at": timezone.now()},
    )
    return row


def record_publication(*, feature_set: FeatureSet, publication: Mapping[str, Any]) -> OnlinePublication:
    """Keep a generation that was published, and the newest `KEPT_PUBLICATIONS` of its feature set."""
    consistency = publication.get("consistency") or {}
    row, _ = OnlinePublication.objects.update_or_create(
        feature_set=feature_set,
        generation=publication["generation"],
        defaults={
            "base_ym": validate_ym(publication["base_ym"]),
            "entities": publication["entities"],
            "seconds": publication["seconds"],
            "consistency": consistency,
            "checked_at": timezone.now() if consistency else None,
        },
    )
    newest = feature_set.publications.order_by("-published_at", "-pk").values("pk")[:KEPT_PUBLICATIONS]
    feature_set.publications.exclude(pk__in=list(newest.values_list("pk", flat=True))).delete()
    return row


_PROFILE_FIGURES = (
    *("rows", "missing", "distinct", "mean", "std", "minimum", "maximum"),
    *("psi", "psi_high", "psi_p", "psi_q", "unseen"),
)
_PROFILE_DICTS = ("histogram", "details")


def _profile(feature: Feature, base_ym: str, item: Mapping[str, Any]) -> FeatureProfile:
    figures = {name: item.get(name) for name in _PROFILE_FIGURES}
    dicts = {name: item.get(name) or {} for name in _PROFILE_DICTS}
    return FeatureProfile(feature=feature, base_ym=base_ym, **figures, **dicts)
