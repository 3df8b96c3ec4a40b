"""Feature sets, their columns and months."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apps.features.models import Feature, FeatureProfile, FeatureSet, Materialisation
from apps.features.records import refresh_latest
from mlopslib.definition import FeatureSpec
from portal.models import User
from tests.factories.people import make_user, sha256

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
    refresh_latest(feature_set)
