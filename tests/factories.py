"""Rows for tests: realistic, small, made straight in the tables (services are what the tests test)."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import Group
from django.utils import timezone

from apps.features.models import Feature, FeatureProfile, FeatureSet, Materialisation
from apps.models.models import Comparison, Evaluation, FeatureDrift, ModelVersion, RegisteredModel, Review
from apps.pipelines.models import Pipeline, PipelineRun, StepLog, StepRun
from apps.serving.models import Deployment, Endpoint, ServingWorker
from mlopslib.dates import add_months, date_params
from mlopslib.definition import Derived, FeatureRef, FeatureSpec, ModelSpec, Windows
from portal.models import User

_numbers = itertools.count(1)

PASSWORD = "a-password-for-tests"

_TRAINING = "extract validate_data prepare train evaluate validate_oot package register compare"
STEPS = {
    "training": tuple(_TRAINING.split()),
    "monitoring": ("extract", "score", "monitor"),
    "materialise": ("materialise",),
}


def sha256(text: object) -> str:
    """A hash that is the same for the same text."""
    return hashlib.sha256(str(text).encode()).hexdigest()


def make_user(roles: str | Sequence[str] = "viewer", *, username: str | None = None, **fields: Any) -> User:
    """A person with these roles, who logs in with `PASSWORD`."""
    wanted = [roles] if isinstance(roles, str) else list(roles)
    user = User(username=username or f"{(wanted or ['nobody'])[0]}{next(_numbers)}", **fields)
    user.set_password(PASSWORD)
    user.save()
    user.groups.set([Group.objects.get_or_create(name=str(role))[0] for role in wanted])
    return user


# features ---------------------------------------------------------------------------------------

_COLUMNS: dict[str, tuple[FeatureSpec, ...]] = {
    "cust_balance": (
        FeatureSpec("bal_avg_3m", "numeric", "Mean balance of the last 3 months"),
        FeatureSpec("bal_min_1m", "numeric", "Lowest balance of the base month"),
        FeatureSpec("grade", "category", "Customer grade at the end of the base month"),
    ),
    "cust_txn": (
        FeatureSpec("txn_cnt_3m", "numeric", "Transactions of the last 3 months"),
        FeatureSpec("txn_amt_3m", "numeric", "Amount of the last 3 months"),
    ),
    "cust_app": (FeatureSpec("visit_days_1m", "numeric", "Days with an app visit in the base month"),),
}


def make_feature_set(
    name: str = "cust_balance",
    *,
    owner: User | None = None,
    version: int | None = None,
    features: Sequence[FeatureSpec] | None = None,
    **fields: Any,
) -> FeatureSet:
    """The next version of a feature set, current unless told otherwise; the one before is retired."""
    specs = features if features is not None else _COLUMNS.get(name, _COLUMNS["cust_app"])
    columns = ", ".join(spec.name for spec in specs)
    sql = f"SELECT customer_id, {columns} FROM {name}_monthly WHERE base_ym = '{{base_ym}}'"
    values = {
        "title": f"{name} of the customer",
        "description": "Monthly figures of each customer.",
        "domain": "deposits",
        "entity": "customer",
        "entity_key": "customer_id",
        "sql": sql,
        "source_tables": [f"{name}_monthly"],
        "is_current": True,
    } | fields
    if values["is_current"]:
        FeatureSet.objects.filter(name=name).update(is_current=False)
    feature_set = FeatureSet.objects.create(
        name=name,
        version=version or FeatureSet.objects.filter(name=name).count() + 1,
        owner=owner or make_user("data_scientist"),
        sql_sha256=sha256(values["sql"]),
        **values,
    )
    Feature.objects.bulk_create(
        Feature(
            feature_set=feature_set,
            position=position,
            name=spec.name,
            dtype=spec.dtype,
            engine_type="double" if spec.dtype == "numeric" else "varchar",
            description=spec.description,
        )
        for position, spec in enumerate(specs)
    )
    return feature_set


def make_profiles(feature_set: FeatureSet, *, months: Sequence[str] = ("202604", "202605", "202606")) -> None:
    """Materialised months with a profile of each feature; PSI grows a little month by month."""
    for index, base_ym in enumerate(months):
        Materialisation.objects.create(
            feature_set=feature_set, base_ym=base_ym, rows=20_000, table_version=index
        )
        for feature in feature_set.features.all():
            FeatureProfile.objects.create(
                feature=feature,
                base_ym=base_ym,
                rows=20_000,
                missing=40 * index,
                distinct=900 if feature.dtype == "numeric" else 4,
                mean=1_000.0 + index if feature.dtype == "numeric" else None,
                minimum=0.0 if feature.dtype == "numeric" else None,
                maximum=9_000.0 if feature.dtype == "numeric" else None,
                psi=round(0.04 * index, 4) if index else None,
                histogram={"labels": ["low", "high"], "shares": [0.5, 0.5], "reference_ym": months[0]},
            )


# registry ---------------------------------------------------------------------------------------


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


def lift_rows(*, rows: int = 20_000, top: float = 3.0) -> list[dict[str, Any]]:
    """A lift table as `mlopslib.metrics.lift_table` gives it, falling from `top`."""
    rate = 0.04
    lifts = [max(top - 0.42 * decile, 0.05) for decile in range(10)]
    scale = 10 / sum(lifts)
    table, captured, n = [], 0.0, rows / 10
    for decile, raw in enumerate(lifts, start=1):
        lift = raw * scale
        captured += lift / 10
        table.append(
            {
                "decile": decile,
                "n": n,
                "responders": n * rate * lift,
                "rate": rate * lift,
                "lift": lift,
                "cumulative_lift": captured / (decile / 10),
                "capture": captured,
            }
        )
    return table


def comparison_report(
    *,
    verdict: str = "BETTER",
    months: Sequence[str] = ("202602", "202603", "202604"),
    champion: str = "v1",
    challenger: str = "v2",
) -> dict[str, Any]:
    """What `ComparisonReport.to_dict()` and the compare step's additions hold."""
    shift = {"BETTER": 0.02, "NOT_WORSE": 0.001, "WORSE": -0.02, "CANNOT_TELL": 0.003}[verdict]

    def figures(n: int, offset: float) -> dict[str, Any]:
        auc, difference = 0.74 + offset, shift - offset / 2
        return {
            "n": n,
            "positives": n // 25,
            "auc_champion": {"value": auc, "low": auc - 0.02, "high": auc + 0.02},
            "auc_challenger": {
                "value": auc + difference,
                "low": auc + difference - 0.02,
                "high": auc + difference + 0.02,
            },
            "auc_difference": {
                "value": difference,
                "low": difference - 0.01,
                "high": difference + 0.01,
                "p": 0.01,
            },
            "ks_champion": 0.40 + offset,
            "ks_challenger": 0.40 + offset + difference,
            "lift10_champion": 3.0 + offset,
            "lift10_challenger": 3.0 + offset + 5 * difference,
        }

    return {
        "champion": champion,
        "challenger": challenger,
        "months": [
            {"base_ym": ym, "verdict": verdict, **figures(20_000, -0.01 * index)}
            for index, ym in enumerate(months)
        ],
        "pooled": figures(20_000 * len(months), 0.0),
        "excluded": {add_months(months[-1], 1): "the labels are not mature"},
        "mde_auc": 0.0066,
        "deciles": {"champion": lift_rows(top=3.0), "challenger": lift_rows(top=3.4)},
        "swap_set": {"in_n": 612, "out_n": 612, "in_responders": 61, "out_responders": 40},
        "verdict": verdict,
        "sentence": f"{challenger} against {champion}: {verdict} on {len(months)} months.",
        "worse_months": [months[-1]] if verdict != "BETTER" else [],
        "score_psi": {
            "champion": {ym: 0.05 + 0.04 * index for index, ym in enumerate(months)},
            "challenger": {ym: 0.02 + 0.01 * index for index, ym in enumerate(months)},
        },
        "gates": gates(),
        "what_changed": [{"what": "base_ym", "from": "202508", "to": "202606"}],
    }


def gates(*, failed: str | None = None) -> list[dict[str, Any]]:
    """Gates as the compare step gives them; `failed` names the one that did not pass."""
    rows = [
        ("min_oot_auc", 0.75, 0.6, "OOT AUC 0.750 is not below 0.600"),
        ("min_lift_at_10", 3.1, 1.5, "lift at 10% 3.10 is not below 1.50"),
        ("max_score_psi", 0.031, 0.25, "score PSI 0.031 is below 0.250"),
        ("max_feature_psi", 0.12, 0.25, "the worst feature PSI 0.120 is below 0.250"),
    ]
    return [
        {"name": name, "figure": figure, "limit": limit, "passed": name != failed, "sentence": sentence}
        for name, figure, limit, sentence in rows
    ]


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


# runs -------------------------------------------------------------------------------------------


def make_pipeline(
    template: str = "training",
    *,
    model: RegisteredModel | None = None,
    feature_set: FeatureSet | None = None,
    owner: User | None = None,
    **fields: Any,
) -> Pipeline:
    """A pipeline of a model, or of a feature set for the template `materialise`."""
    if template == "materialise":
        feature_set = feature_set or FeatureSet.objects.filter(is_current=True).first() or make_feature_set()
        subject, people = feature_set.name, feature_set.owner
    else:
        model = model or RegisteredModel.objects.first() or make_model()
        subject, people = model.name, model.owner
    values = {
        "name": f"{subject} {template} {next(_numbers)}",
        "policy": {"request_review": "always"} if template == "training" else {},
    } | fields
    return Pipeline.objects.create(
        template=template,
        registered_model=None if template == "materialise" else model,
        feature_set=feature_set if template == "materialise" else None,
        owner=owner or people,
        **values,
    )


def make_run(
    pipeline: Pipeline | None = None,
    *,
    status: str = "PENDING",
    base_ym: str = "202606",
    failed_step: int = 3,
    **fields: Any,
) -> PipelineRun:
    """A run with its steps in states that fit `status`; a RUNNING one is in its third step."""
    pipeline = pipeline or make_pipeline()
    is_over = status in ("SUCCEEDED", "FAILED", "CANCELLED")
    now = timezone.now()
    values: dict[str, Any] = {
        "trigger": "MANUAL",
        "dates": date_params(base_ym),
        "params": {},
        "requested_by": pipeline.owner,
        "started_at": None if status == "PENDING" else now,
        "finished_at": now if is_over else None,
    } | fields
    names = STEPS[pipeline.template]
    failed_step = min(failed_step, len(names))
    if status == "FAILED" and "error" not in values:
        values["error"] = {
            "code": "empty-month",
            "message": f"cust_balance has no rows for {base_ym}",
            "field": "base_ym",
            "step": names[failed_step - 1],
        }
    run = PipelineRun.objects.create(
        pipeline=pipeline, template=pipeline.template, base_ym=base_ym, status=status, **values
    )
    for position, name in enumerate(names, start=1):
        state = _step_state(status, position, failed_step)
        is_begun = state in ("RUNNING", "SUCCEEDED", "FAILED")
        step = StepRun.objects.create(
            run=run,
            position=position,
            name=name,
            state=state,
            attempt=1 if is_begun else 0,
            fence=1 if is_begun else 0,
            lease_until=now + timedelta(seconds=30) if state == "RUNNING" else None,
            progress_done=1 if state == "SUCCEEDED" else 0.4 if state == "RUNNING" else 0,
            progress_total=1 if is_begun else 0,
            progress_text="month 2 of 4" if state == "RUNNING" else "",
            summary=f"{name} done" if state == "SUCCEEDED" else "",
            error=run.error if state == "FAILED" else {},
            started_at=now if is_begun else None,
            finished_at=now if state in ("SUCCEEDED", "FAILED") else None,
        )
        if is_begun:
            StepLog.objects.create(step=step, attempt=1, text=f"{name}: started\n{name}: 20,000 rows\n")
    return run


def _step_state(status: str, position: int, turn: int) -> str:
    if status == "SUCCEEDED" or (status in ("RUNNING", "FAILED", "CANCELLED") and position < turn):
        return "SUCCEEDED"
    if status in ("FAILED", "CANCELLED"):
        return status if position == turn else "CANCELLED" if status == "CANCELLED" else "PENDING"
    if status == "RUNNING":
        return "RUNNING" if position == turn else "PENDING"
    return "READY" if position == 1 else "PENDING"


# serving ----------------------------------------------------------------------------------------


def make_endpoint(
    name: str = "loan-needs", *, model: RegisteredModel | None = None, **fields: Any
) -> Endpoint:
    model = model or RegisteredModel.objects.first() or make_model()
    values = {"identifiers": ["customId", "affiNo", "affiCode"], "echo": ["affiNo", "affiCode"]} | fields
    return Endpoint.objects.create(
        name=name, registered_model=model, owner=values.pop("owner", None) or model.owner, **values
    )


def make_deployment(
    endpoint: Endpoint | None = None,
    *,
    version: ModelVersion | None = None,
    review: Review | None = None,
    state: str = "LIVE",
    live_at: datetime | None = None,
    **fields: Any,
) -> Deployment:
    """A deployment as rows only: its manifest carries no real signature."""
    endpoint = endpoint or Endpoint.objects.first() or make_endpoint()
    if version is None:
        version = (
            review.version if review else endpoint.registered_model.versions.filter(stage="CHAMPION").first()
        )
        version = version or make_version(endpoint.registered_model, stage="champion")
    review = (
        review or version.reviews.filter(status="APPROVED").first() or make_review(version, status="APPROVED")
    )
    newest = endpoint.deployments.order_by("-seq").first()
    seq = fields.pop("seq", newest.seq + 1 if newest else 1)
    if state == "LIVE":
        endpoint.deployments.filter(state="LIVE").update(state="SUPERSEDED")
        live_at = live_at or timezone.now()
    manifest = {
        "endpoint": endpoint.name,
        "seq": seq,
        "model": endpoint.registered_model.name,
        "version": version.label,
        "package_sha256": version.package_sha256,
        "identifiers": endpoint.identifiers,
        "echo": endpoint.echo,
    }
    values = {
        "package_sha256": version.package_sha256,
        "signed_manifest": {"manifest": manifest, "key_id": "0" * 16, "signature": ""},
        "deployed_by": review.decided_by,
    } | fields
    return Deployment.objects.create(
        endpoint=endpoint, seq=seq, version=version, review=review, state=state, live_at=live_at, **values
    )


def make_worker(deployment: Deployment, *, worker_id: str | None = None, **fields: Any) -> ServingWorker:
    """A worker process that serves this deployment."""
    number = next(_numbers)
    values = {
        "host": "score-01",
        "pid": 4_000 + number,
        "port": 9_000,
        "seq": deployment.seq,
        "version_label": deployment.version.label,
        "state": "serving",
        "requests": 120,
        "started_at": timezone.now(),
        "seen_at": timezone.now(),
    } | fields
    return ServingWorker.objects.create(
        worker_id=worker_id or f"score-01-{number}", endpoint=deployment.endpoint, **values
    )
