"""The talk's own example on real orders, defined through the services of a running installation.

python -m tests.flows.retail define | train YYYYMM | approve-first | example
"""

from __future__ import annotations

import json
import os
import sys
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import Group  # noqa: E402

from apps.features.services import create_feature_set  # noqa: E402
from apps.models.models import RegisteredModel, Review  # noqa: E402
from apps.models.services import define_model  # noqa: E402
from apps.pipelines.models import Pipeline  # noqa: E402
from apps.pipelines.services import define_pipeline, start_run  # noqa: E402
from apps.serving.models import Deployment  # noqa: E402
from apps.serving.services import approve_and_deploy, create_endpoint  # noqa: E402
from mlopslib.artifacts import ArtifactStore  # noqa: E402
from mlopslib.definition import Derived, FeatureRef, FeatureSpec, Gates, ModelSpec, Windows  # noqa: E402
from mlopslib.offline import open_store  # noqa: E402
from mlopslib.package import read_package  # noqa: E402
from mlopslib.scoring import PmmlScorer  # noqa: E402
from portal.models import User  # noqa: E402

PASSWORD = "orders-and-products"

FEATURE_SQL = """
SELECT o.customer_id,
       COUNT(DISTINCT p.stock_code) AS products_3m,
       COUNT(DISTINCT o.invoice_no) AS invoices_3m,
       COUNT(DISTINCT CASE WHEN FROM_TIMESTAMP(o.invoice_date, 'yyyyMM') = '{base_ym}'
                      THEN o.invoice_no END) AS invoices_1m,
       COUNT(DISTINCT FROM_TIMESTAMP(o.invoice_date, 'yyyyMM')) AS active_months,
       SUM(o.quantity * o.unit_price) AS amount_3m,
       AVG(p.typical_price) AS typical_price,
       DATEDIFF(TO_TIMESTAMP('{base_dt}', 'yyyyMMdd'), MAX(o.invoice_date)) AS days_since_order,
       CASE WHEN MAX(o.country) = 'United Kingdom' THEN 'UK' ELSE 'ABROAD' END AS region
FROM orders o
JOIN products p ON p.stock_code = o.stock_code
WHERE o.customer_id IS NOT NULL AND o.quantity > 0
  AND FROM_TIMESTAMP(o.invoice_date, 'yyyyMM') BETWEEN '{bf_2m_ym}' AND '{base_ym}'
GROUP BY o.customer_id
"""

TARGET_SQL = """
SELECT c.customer_id, CASE WHEN n.customer_id IS NULL THEN 0 ELSE 1 END AS target
FROM (SELECT DISTINCT customer_id FROM orders
      WHERE customer_id IS NOT NULL AND quantity > 0
        AND FROM_TIMESTAMP(invoice_date, 'yyyyMM') BETWEEN '{bf_2m_ym}' AND '{base_ym}') c
LEFT JOIN (SELECT DISTINCT customer_id FROM orders
           WHERE customer_id IS NOT NULL AND quantity > 0
             AND FROM_TIMESTAMP(invoice_date, 'yyyyMM') = '{af_1m_ym}') n
  ON n.customer_id = c.customer_id
"""

NUMERIC = (
    "products_3m", "invoices_3m", "invoices_1m", "active_months",
    "amount_3m", "typical_price", "days_since_order",
)  # fmt: skip


def define() -> None:
    people = {}
    for name, role in (("minseo", "data_scientist"), ("jihye", "reviewer")):
        user = User.objects.create_user(name, password=PASSWORD)
        user.groups.set(Group.objects.filter(name=role))
        people[name] = user
    author = people["minseo"]
    features = [FeatureSpec(name, "numeric") for name in NUMERIC] + [FeatureSpec("region", "category")]
    create_feature_set(
        actor=author,
        store=open_store(settings.OFFLINE_URL),
        name="orders_3m",
        title="Orders of three months",
        entity="customer",
        entity_key="customer_id",
        sql=FEATURE_SQL,
        features=features,
        domain="Orders",
    )
    spec = ModelSpec(
        name="next_month_buyer",
        entity_key="customer_id",
        target_sql=TARGET_SQL,
        features=tuple(FeatureRef("orders_3m", 1, f.name, f.dtype) for f in features),
        derived=(
            Derived("amount_per_invoice", "amount_3m / invoices_3m"),
            Derived("is_recent", "if(days_since_order < 31, 1, 0)"),
        ),
        params={"num_leaves": 15, "n_estimators": 150, "learning_rate": 0.05},
        windows=Windows(performance_months=1, train_months=5, oot_months=2),
        gates=Gates(min_oot_auc=0.6, min_lift_at_10=1.3),
    )
    model = define_model(actor=author, spec=spec, title="Buys next month", description="", entity="customer")
    define_pipeline(
        actor=author,
        name="next_month_buyer CT",
        template="training",
        registered_model=model,
        policy={"request_review": "always"},
    )
    create_endpoint(
        actor=author,
        name="next-month-buyer",
        registered_model=model,
        identifiers=["customId"],
        echo=["customId"],
    )
    print("defined", model.name)


def train(base_ym: str) -> None:
    pipeline = Pipeline.objects.get()
    run = start_run(
        actor=User.objects.get(username="minseo"), pipeline=pipeline, base_ym=base_ym, trigger="MANUAL"
    )
    deadline = time.monotonic() + 300
    while not run.is_terminal and time.monotonic() < deadline:
        time.sleep(0.3)
        run.refresh_from_db()
    card = run.version.card if run.version else {}
    print(
        json.dumps(
            {
                "status": run.status,
                "error": run.error,
                "card": card,
                "version": getattr(run.version, "number", None),
            }
        )
    )


def approve_first() -> None:
    review = Review.objects.get(status=Review.Status.PENDING)
    approve_and_deploy(actor=User.objects.get(username="jihye"), review=review, note="First version.")
    deployment = Deployment.objects.get()
    deadline = time.monotonic() + 60
    while deployment.state == "PENDING" and time.monotonic() < deadline:
        time.sleep(0.2)
        deployment.refresh_from_db()
    print(deployment.state)


def example() -> None:
    """Real customers of October 2011 and what the PMML of the champion says of them."""
    model = RegisteredModel.objects.get()
    version = model.versions.get(stage="CHAMPION")
    table = open_store(settings.OFFLINE_URL).read_partition("fs_orders_3m_v1", "base_ym", "201110")
    rows = table.slice(0, 50).to_pylist()
    inputs = [{name: row[name] for name in (*NUMERIC, "region")} for row in rows]
    package = read_package(ArtifactStore(settings.ARTIFACT_ROOT), version.package_sha256)
    with PmmlScorer(package.contract, package.pmml) as scorer:
        scores = scorer.score(inputs)
    requests = [
        {"customId": str(row["customer_id"]), **values} for row, values in zip(rows, inputs, strict=True)
    ]
    print(json.dumps({"requests": requests, "scores": [float(x) for x in scores], "version": version.label}))


if __name__ == "__main__":
    commands = {"define": define, "train": train, "approve-first": approve_first, "example": example}
    commands[sys.argv[1]](*sys.argv[2:])
