"""Models, versions, figures, comparisons and reviews."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils import timezone

from apps.features.models import FeatureSet
from apps.models.models import Comparison, Evaluation, FeatureDrift, ModelVersion, RegisteredModel, Review
from mlopslib.dates import add_months
from mlopslib.definition import Derived, FeatureRef, ModelSpec, Windows
from portal.models import User
from tests.factories.features import make_feature_set
from tests.factories.people import make_user, sha256
from tests.factories.reports import comparison_report, gates, lift_rows


def make_spec(
    name: str = "loan_needs", *, feature_sets: Sequence[FeatureSet] = (), **fields: Any
) -> ModelSpec:
    refs = tuple(
        FeatureRef(row.name, row.version, feature.name, feature.dtype)
        for row in feature_sets
        for feature in row.features.all()
    )
    values: dict[str, Any] = {
        "entity_key": "customer_id",
        "target_sql": (
            "SELECT customer_id, MAX(1) AS target FROM loan_contracts "
            "WHERE contract_ym BETWEEN '{af_1m_ym}' AND '{af_2m_ym}' GROUP BY customer_id"
        ),
        "derived": (Derived("bal_per_txn", "bal_avg_3m / txn_cnt_3m"),)
        if {"bal_avg_3m", "txn_cnt_3m"} <= {ref.column for ref in refs}
        else (),
        "params": {"num_leaves": 15, "n_estimators": 60},
        "windows": Windows(performance_months=2, train_months=4, oot_months=3),
    }
    return ModelSpec(name=name, features=refs, **(values | fields))


def make_model(
    name: str = "loan_needs",
    *,
    owner: User | None = None,
    feature_sets: Sequence[FeatureSet] | None = None,
    feature_owner: User | None = None,
    **fields: Any,
) -> RegisteredModel:
    """A model over `feature_sets` (made where they are missing: cust_balance and cust_txn)."""
    if feature_sets is None:
        writer = feature_owner or owner or make_user("data_scientist")
        feature_sets = [
            FeatureSet.objects.filter(name=each, is_current=True).first()
            or make_feature_set(each, owner=writer)
            for each in ("cust_balance", "cust_txn")
        ]
    spec = make_spec(name, feature_sets=feature_sets)
    values = {
        "title": "Who takes a loan in the next 2 months",
        "description": "Ranks customers by their need of a loan.",
        "entity": "customer",
        "definition": spec.to_dict(),
    } | fields
    model = RegisteredModel.objects.create(name=name, owner=owner or make_user("data_scientist"), **values)
    model.feature_sets.set(feature_sets)
    # as it would be read from the database: lists, not tuples
    model.refresh_from_db()
    return model


def make_version(
    model: RegisteredModel | None = None,
    *,
    stage: str = "candidate",
    author: User | None = None,
    base_ym: str = "202606",
    figures: bool = True,
    **fields: Any,
) -> ModelVersion:
    """A trained version with its card and (unless `figures` is False) its evaluations and feature PSI.

    A champion comes with the approval that made it one.
    """
    model = model or RegisteredModel.objects.filter(name="loan_needs").first() or make_model()
    newest = model.versions.order_by("-number").first()
    number = fields.pop("number", newest.number + 1 if newest else 1)
    train = [add_months(base_ym, -lag) for lag in (10, 9, 8, 7)]
    oot = [add_months(base_ym, -lag) for lag in (4, 3, 2)]
    columns = [ref["column"] for ref in model.definition["features"]]
    values: dict[str, Any] = {
        "package_sha256": sha256(f"package of {model.name} v{number}"),
        "definition": model.definition,
        "card": {
            "train_months": train,
            "oot_months": oot,
            "rows": {"train": 64_000, "test": 16_000, "oot": 60_000},
            "importance": {name: float(100 - 7 * index) for index, name in enumerate(columns)},
            "parity": {"rows": 412, "max_difference": 2.2e-16, "engines": ["python", "native", "pmml"]},
            "engines": ["native", "pmml"],
            "package": {},
        },
        "promoted_at": timezone.now() if stage.upper() in ("CHAMPION", "ARCHIVED") else None,
        "archived_at": timezone.now() if stage.upper() == "ARCHIVED" else None,
    } | fields
    version = ModelVersion.objects.create(
        registered_model=model,
        number=number,
        stage=stage.upper(),
        author=author or model.owner,
        base_ym=base_ym,
        **values,
    )
    if figures:
        make_evaluations(version)
    if stage.upper() in ("CHAMPION", "ARCHIVED"):
        make_review(version, status="APPROVED")
    return version


def make_evaluations(version: ModelVersion) -> None:
    """Figures on TRAIN, TEST and OOT (by month and pooled), and feature PSI of the OOT months."""
    lift = 0.01 * version.number
    pairs = [("TRAIN", "", 64_000, 0.80), ("TEST", "", 16_000, 0.77), ("OOT", "", 60_000, 0.75)]
    pairs += [("OOT", ym, 20_000, 0.76 - 0.01 * i) for i, ym in enumerate(version.card["oot_months"])]
    Evaluation.objects.bulk_create(
        Evaluation(
            version=version,
            dataset=dataset,
            base_ym=base_ym,
            rows=rows,
            positives=rows // 25,
            auc=round(auc + lift, 4),
            auc_low=round(auc + lift - 0.015, 4),
            auc_high=round(auc + lift + 0.015, 4),
            ks=round(auc + lift - 0.34, 4),
            lift_at_10=round(3.1 + lift, 3),
            score_psi=None if dataset in ("TRAIN", "TEST") else 0.031,
            details={"deciles": lift_rows(rows=rows)},
        )
        for dataset, base_ym, rows, auc in pairs
    )
    FeatureDrift.objects.bulk_create(
        FeatureDrift(
            version=version, base_ym=base_ym, feature=ref["column"], psi=round(0.02 + 0.05 * index, 4)
        )
        for base_ym in version.card["oot_months"]
        for index, ref in enumerate(version.definition["features"])
    )


def make_comparison(
    challenger: ModelVersion | None = None, *, champion: ModelVersion | None = None, verdict: str = "BETTER"
) -> Comparison:
    """Champion against challenger; both are made where they are missing."""
    if challenger is None:
        champion = (
            champion
            or ModelVersion.objects.champions().first()
            or make_version(stage="champion", base_ym="202508")
        )
        challenger = make_version(champion.registered_model)
    champion = (
        champion
        or challenger.registered_model.versions.filter(stage="CHAMPION").first()
        or make_version(challenger.registered_model, stage="champion", base_ym="202508")
    )
    report = comparison_report(
        verdict=verdict,
        months=challenger.card["oot_months"],
        champion=champion.label,
        challenger=challenger.label,
    )
    return Comparison.objects.create(
        registered_model=challenger.registered_model,
        champion=champion,
        challenger=challenger,
        base_ym=challenger.base_ym,
        verdict=verdict,
        sentence=report["sentence"],
        report=report,
        report_sha256=sha256(f"report {champion} {challenger}"),
    )


def make_review(
    version: ModelVersion | None = None,
    *,
    status: str = "PENDING",
    comparison: Comparison | None = None,
    requested_by: User | None = None,
    decided_by: User | None = None,
    failed_gate: str | None = None,
    **fields: Any,
) -> Review:
    """A review whose hashes fit its version, so that it can really be approved."""
    from apps.models.services import evidence_of

    if version is None:
        version = comparison.challenger if comparison else make_version()
    if status == "PENDING" and version.stage == "CANDIDATE":
        version.stage = "CHALLENGER"
        version.save()
    is_decided = status in ("APPROVED", "REJECTED", "CHANGES_REQUESTED")
    limits = gates(failed=failed_gate)
    champion = version.registered_model.versions.filter(stage="CHAMPION").exclude(pk=version.pk).first()
    values = {
        "incumbent": champion,
        "reason": "The CT run asks for it.",
        "package_sha256": version.package_sha256,
        "evidence_sha256": evidence_of(version, comparison, limits),
        "gates": limits,
        "note": "Looked at the OOT months: fine." if is_decided else "",
    } | fields
    return Review.objects.create(
        version=version,
        comparison=comparison,
        status=status,
        requested_by=requested_by or version.author,
        version_author=version.author,
        decided_by=(decided_by or make_user("reviewer")) if is_decided else None,
        decided_at=timezone.now() if is_decided else None,
        **values,
    )
