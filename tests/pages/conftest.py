"""A portal with a little of everything, and a browser-less look at its pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.utils import translation

from apps.features.models import FeatureSet
from apps.models.models import ModelVersion, Review
from apps.pipelines.models import Artifact, PipelineRun
from portal.models import User
from tests import factories


@dataclass
class Bank:
    scientist: User
    feature_set: FeatureSet
    champion: ModelVersion
    review: Review
    done: PipelineRun
    running: PipelineRun
    failed: PipelineRun


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    """A test that switches the language does not switch it for the next one."""
    with translation.override("en"):
        yield


@pytest.fixture
def bank(db: None) -> Bank:
    """Two feature sets, a model with a champion in service and a challenger under review, four runs."""
    scientist = factories.make_user("data_scientist", username="minseo")
    sets = [factories.make_feature_set(name, owner=scientist) for name in ("cust_balance", "cust_txn")]
    for row in sets:
        factories.make_profiles(row, months=("202604", "202605", "202606"))
    model = factories.make_model(owner=scientist, feature_sets=sets)
    champion = factories.make_version(model, stage="champion", author=scientist)
    challenger = factories.make_version(model, stage="challenger", author=scientist)
    review = factories.make_review(
        challenger, comparison=factories.make_comparison(challenger), requested_by=scientist
    )
    factories.make_worker(factories.make_deployment(factories.make_endpoint(model=model), version=champion))
    training = factories.make_pipeline("training", model=model, owner=scientist)
    done = factories.make_run(training, status="SUCCEEDED", base_ym="202605", version=challenger)
    Artifact.objects.create(
        step=done.steps.first(), name="dataset", sha256=factories.sha256("d"), size=4_510_000, kind="parquet"
    )
    factories.make_run(factories.make_pipeline("materialise", feature_set=sets[0], owner=scientist))
    return Bank(
        scientist=scientist,
        feature_set=sets[0],
        champion=champion,
        review=review,
        done=done,
        running=factories.make_run(training, status="RUNNING"),
        failed=factories.make_run(training, status="FAILED", base_ym="202604"),
    )
