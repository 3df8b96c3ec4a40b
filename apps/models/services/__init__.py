"""What the registry does, as verbs. Each checks the right to do it, is one transaction, and is audited."""

from apps.models.services.catalog import define_model, register_version
from apps.models.services.figures import record_comparison, record_evaluations, record_feature_psi
from apps.models.services.promotion import promote
from apps.models.services.reviews import (
    decide_review,
    evidence_of,
    request_review,
    why_not_decide,
    why_void,
    withdraw_review,
)

__all__ = [
    "decide_review",
    "define_model",
    "evidence_of",
    "promote",
    "record_comparison",
    "record_evaluations",
    "record_feature_psi",
    "register_version",
    "request_review",
    "why_not_decide",
    "why_void",
    "withdraw_review",
]
