"""Reads of the registry that chain."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Count, Exists, OuterRef, Q

from apps.common.access import may


class RegisteredModelQuerySet(models.QuerySet):
    def with_owner(self) -> RegisteredModelQuerySet:
        return self.select_related("owner")

    def with_counts(self) -> RegisteredModelQuerySet:
        """`version_count` and `pending_reviews` of each model."""
        return self.annotate(
            version_count=Count("versions", distinct=True),
            pending_reviews=Count(
                "versions__reviews", filter=Q(versions__reviews__status="PENDING"), distinct=True
            ),
        )


class ModelVersionQuerySet(models.QuerySet):
    def champions(self) -> ModelVersionQuerySet:
        return self.filter(stage="CHAMPION")

    def challengers(self) -> ModelVersionQuerySet:
        return self.filter(stage="CHALLENGER")

    def for_model(self, name: str) -> ModelVersionQuerySet:
        return self.filter(registered_model__name=name)

    def approved(self) -> ModelVersionQuerySet:
        """Versions whose present package was approved once: what a rollback may name."""
        from apps.models.models import Review

        approvals = Review.objects.approved().filter(
            version=OuterRef("pk"), package_sha256=OuterRef("package_sha256")
        )
        return self.filter(Exists(approvals))

    def with_people(self) -> ModelVersionQuerySet:
        return self.select_related("registered_model", "author")


class EvaluationQuerySet(models.QuerySet):
    def evidence(self) -> EvaluationQuerySet:
        """What an approval rests on: everything that was measured before the version was in service."""
        return self.exclude(dataset="PRODUCTION")

    def production(self) -> EvaluationQuerySet:
        return self.filter(dataset="PRODUCTION")

    def pooled(self) -> EvaluationQuerySet:
        return self.filter(base_ym="")

    def by_month(self) -> EvaluationQuerySet:
        return self.exclude(base_ym="").order_by("base_ym")


class ComparisonQuerySet(models.QuerySet):
    def for_model(self, name: str) -> ComparisonQuerySet:
        return self.filter(registered_model__name=name)

    def with_versions(self) -> ComparisonQuerySet:
        return self.select_related(
            "registered_model", "champion__registered_model", "challenger__registered_model"
        )


class ReviewQuerySet(models.QuerySet):
    def pending(self) -> ReviewQuerySet:
        return self.filter(status="PENDING")

    def decided(self) -> ReviewQuerySet:
        return self.exclude(status="PENDING")

    def approved(self) -> ReviewQuerySet:
        return self.filter(status="APPROVED")

    def for_model(self, name: str) -> ReviewQuerySet:
        return self.filter(version__registered_model__name=name)

    def waiting_for(self, user: Any) -> ReviewQuerySet:
        """Pending reviews that `user` may decide: a reviewer, and no author of anything in them."""
        if not may(user, "reviews.decide"):
            return self.none()
        return self.pending().exclude(
            Q(requested_by=user)
            | Q(version_author=user)
            | Q(version__registered_model__owner=user)
            | Q(version__registered_model__feature_sets__owner=user)
        )

    def with_people(self) -> ReviewQuerySet:
        return self.select_related(
            "version__registered_model",
            "incumbent__registered_model",
            "comparison",
            "requested_by",
            "version_author",
            "decided_by",
        )
