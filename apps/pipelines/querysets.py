"""Reads of the runs that chain."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

ACTIVE = ("PENDING", "RUNNING")


class PipelineQuerySet(models.QuerySet):
    def with_subject(self) -> PipelineQuerySet:
        return self.select_related("registered_model", "feature_set", "owner")

    def for_model(self, name: str) -> PipelineQuerySet:
        return self.filter(registered_model__name=name)


class ScheduleQuerySet(models.QuerySet):
    def enabled(self) -> ScheduleQuerySet:
        return self.filter(is_enabled=True)


class PipelineRunQuerySet(models.QuerySet):
    def active(self) -> PipelineRunQuerySet:
        return self.filter(status__in=ACTIVE)

    def for_model(self, name: str) -> PipelineRunQuerySet:
        return self.filter(pipeline__registered_model__name=name)

    def with_subject(self) -> PipelineRunQuerySet:
        """With the pipeline, its model or feature set, the person and the version."""
        return self.select_related(
            "pipeline__registered_model", "pipeline__feature_set", "requested_by", "version"
        )

    def with_steps(self) -> PipelineRunQuerySet:
        return self.prefetch_related("steps")


class StepRunQuerySet(models.QuerySet):
    """The queue. Times are compared with the database's clock, the only one that all hosts share."""

    def due(self) -> StepRunQuerySet:
        """Steps that a worker may take now, the oldest run first."""
        return self.filter(
            Q(not_before__isnull=True) | Q(not_before__lte=Now()),
            state="READY",
            run__status__in=ACTIVE,
            run__cancel_requested_at__isnull=True,
        ).order_by("run_id", "position")

    def unheard(self, *, seconds: float) -> StepRunQuerySet:
        """Due steps whose bell nobody has answered for `seconds`."""
        return self.due().filter(Q(rung_at__isnull=True) | Q(rung_at__lt=Now() - timedelta(seconds=seconds)))

    def expired(self) -> StepRunQuerySet:
        """Running steps whose supervisor no longer keeps the lease."""
        return self.filter(state="RUNNING", lease_until__lt=Now())

    def held(self, step_id: int, fence: int) -> StepRunQuerySet:
        """The step, while it runs under this fence."""
        return self.filter(pk=step_id, state="RUNNING", fence=fence)
