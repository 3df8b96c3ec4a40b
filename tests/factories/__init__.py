"""Rows for tests: realistic, small, made straight in the tables (services are what the tests test)."""

from tests.factories.features import make_feature_set, make_profiles
from tests.factories.people import PASSWORD, make_user, sha256
from tests.factories.registry import (
    make_comparison,
    make_evaluations,
    make_model,
    make_review,
    make_spec,
    make_version,
)
from tests.factories.reports import comparison_report, gates, lift_rows
from tests.factories.runs import STEPS, make_pipeline, make_run
from tests.factories.serving import make_deployment, make_endpoint, make_worker

__all__ = [
    "PASSWORD",
    "STEPS",
    "comparison_report",
    "gates",
    "lift_rows",
    "make_comparison",
    "make_deployment",
    "make_endpoint",
    "make_evaluations",
    "make_feature_set",
    "make_model",
    "make_pipeline",
    "make_profiles",
    "make_review",
    "make_run",
    "make_spec",
    "make_user",
    "make_version",
    "make_worker",
    "sha256",
]
