"""A loan-needs model in service, its challenger under review, and the people around them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.utils import translation

from apps.models.models import Comparison, Evaluation, FeatureDrift, ModelVersion, RegisteredModel, Review
from apps.serving.models import Deployment, Endpoint
from mlopslib.dates import month_range
from mlopslib.package.signing import create_key_pair
from portal.models import User
from tests import factories


@dataclass
class Bank:
    author: User
    reviewer: User
    model: RegisteredModel
    champion: ModelVersion
    challenger: ModelVersion
    comparison: Comparison
    review: Review
    endpoint: Endpoint
    deployment: Deployment


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    with translation.override("en"):
        yield


@pytest.fixture(autouse=True)
def _own_home(tmp_path, settings):
    """Keys and artefacts of this test alone; no Redis, so that what is said to workers waits."""
    create_key_pair(tmp_path / "keys")
    settings.SIGNING_KEY = tmp_path / "keys" / "signing.pem"
    settings.ARTIFACT_ROOT = tmp_path / "artifacts"
    settings.REDIS_URL = "redis://127.0.0.1:1/0"


@pytest.fixture
def bank(db) -> Bank:
    author = factories.make_user("data_scientist", username="minseo", first_name="Minseo", last_name="Kang")
    reviewer = factories.make_user("reviewer", username="jihye", first_name="Jihye", last_name="Park")
    sets = [factories.make_feature_set(name, owner=author) for name in ("cust_balance", "cust_txn")]
    model = factories.make_model(owner=author, feature_sets=sets)
    champion = factories.make_version(model, stage="champion", base_ym="202508")
    for index, base_ym in enumerate(month_range("202508", "202601")):
        is_mature = base_ym <= "202511"
        Evaluation.objects.create(
            version=champion,
            dataset="PRODUCTION",
            base_ym=base_ym,
            rows=19_500,
            positives=760 if is_mature else None,
            auc=0.77 - 0.01 * index if is_mature else None,
            auc_low=0.75 - 0.01 * index if is_mature else None,
            auc_high=0.79 - 0.01 * index if is_mature else None,
            ks=0.4 if is_mature else None,
            lift_at_10=3.4 - 0.1 * index if is_mature else None,
            score_psi=0.03 + 0.05 * index,
        )
        FeatureDrift.objects.create(
            version=champion, base_ym=base_ym, feature="txn_cnt_3m", psi=0.02 + 0.05 * index
        )
    challenger = factories.make_version(model, base_ym="202601")
    comparison = factories.make_comparison(challenger, champion=champion)
    review = factories.make_review(
        challenger, comparison=comparison, requested_by=author, failed_gate="max_feature_psi"
    )
    endpoint = factories.make_endpoint(model=model)
    deployment = factories.make_deployment(endpoint, version=champion)
    factories.make_worker(deployment)
    return Bank(author, reviewer, model, champion, challenger, comparison, review, endpoint, deployment)
