"""Runs: the rows are the queue, the record and the trail of each step."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from apps.pipelines.querysets import (
    PipelineQuerySet,
    PipelineRunQuerySet,
    ScheduleQuerySet,
    StepRunQuerySet,
)


class Template(models.TextChoices):
    """What a run does; the steps of each are in `mlopslib.steps.TEMPLATES`."""

    TRAINING = "training"
    MONITORING = "monitoring"
    MATERIALISE = "materialise"
    LEAK_PROOF = "leak_proof"
    EDA = "eda"
    ONLINE = "online"

    @classmethod
    def of_feature_sets(cls) -> frozenset[str]:
        """Templates whose subject is a feature set, not a model."""
        return frozenset({cls.MATERIALISE, cls.LEAK_PROOF, cls.EDA, cls.ONLINE})


class Pipeline(models.Model):
    """A template bound to a model (or to a feature set), ready to run for any base month."""

    name = models.CharField(max_length=120, unique=True)
    template = models.CharField(max_length=20, choices=Template.choices)
    registered_model = models.ForeignKey(
        "registry.RegisteredModel", null=True, on_delete=models.PROTECT, related_name="pipelines"
    )
    feature_set = models.ForeignKey(
        "features.FeatureSet", null=True, on_delete=models.PROTECT, related_name="pipelines"
    )
    #: {"request_review": "always" | "better" | "not_worse" | "never"}
    policy = models.JSONField(default=dict)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="pipelines")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = PipelineQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(registered_model__isnull=False) ^ Q(feature_set__isnull=False),
                name="pipeline_has_one_subject",
            )
        ]

    def __str__(self) -> str:
        return self.name


class Schedule(models.Model):
    """Run a pipeline every month, for the month that ended `lag_months` before."""

    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="schedules")
    day_of_month = models.PositiveSmallIntegerField(default=3)
    hour = models.PositiveSmallIntegerField(default=2)
    lag_months = models.PositiveSmallIntegerField(default=1)
    is_enabled = models.BooleanField(default=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="schedules")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ScheduleQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(day_of_month__gte=1, day_of_month__lte=28), name="schedule_day"
            ),
            models.CheckConstraint(condition=Q(hour__lte=23), name="schedule_hour"),
        ]

    def __str__(self) -> str:
        return f"{self.pipeline} monthly"

    @property
    def next_due_at(self) -> datetime:
        from apps.pipelines.schedules import next_due

        return next_due(self, timezone.now())


class PipelineRun(models.Model):
    """One run of a pipeline for one base month, with everything that decides its result frozen."""

    class Status(models.TextChoices):
        PENDING = "PENDING"
        RUNNING = "RUNNING"
        SUCCEEDED = "SUCCEEDED"
        FAILED = "FAILED"
        CANCELLED = "CANCELLED"

    class Trigger(models.TextChoices):
        MANUAL = "MANUAL"
        REST = "REST"
        SCHEDULE = "SCHEDULE"

    TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED})

    pipeline = models.ForeignKey(Pipeline, on_delete=models.PROTECT, related_name="runs")
    template = models.CharField(max_length=20, choices=Template.choices)
    base_ym = models.CharField(max_length=6)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING, db_index=True)
    trigger = models.CharField(max_length=10, choices=Trigger.choices)
    #: frozen date dictionary
    dates = models.JSONField()
    #: frozen definition, feature sets, champion and template parameters
    params = models.JSONField()
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="runs"
    )
    idempotency_key = models.CharField(max_length=120, null=True, unique=True)
    cancel_requested_at = models.DateTimeField(null=True)
    #: {"code", "message", "field", "step"} where it failed
    error = models.JSONField(default=dict)
    version = models.OneToOneField(
        "registry.ModelVersion", null=True, on_delete=models.PROTECT, related_name="pipeline_run"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = PipelineRunQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"run {self.pk}: {self.pipeline.name} {self.base_ym}"

    def get_absolute_url(self) -> str:
        return reverse("pipelines:detail", args=[self.pk])

    @property
    def is_terminal(self) -> bool:
        return self.status in self.TERMINAL


class ScheduleTick(models.Model):
    """A due moment of a schedule; unique, so two beats make one run."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="ticks")
    due_at = models.DateTimeField()
    run = models.ForeignKey(PipelineRun, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-due_at"]
        constraints = [models.UniqueConstraint(fields=["schedule", "due_at"], name="schedule_tick")]

    def __str__(self) -> str:
        return f"{self.schedule} {self.due_at:%Y-%m-%d %H:%M}"


class StepRun(models.Model):
    """One step of a run. Claimed, kept and committed by conditional updates that check `fence`."""

    class State(models.TextChoices):
        PENDING = "PENDING"
        READY = "READY"
        RUNNING = "RUNNING"
        SUCCEEDED = "SUCCEEDED"
        FAILED = "FAILED"
        CANCELLED = "CANCELLED"

    run = models.ForeignKey(PipelineRun, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=40)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    attempt = models.PositiveSmallIntegerField(default=0)
    fence = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True)
    #: when a message last told the workers of this step
    rung_at = models.DateTimeField(null=True)
    #: how many of its processes died without a word since it was started or resumed
    deaths = models.PositiveSmallIntegerField(default=0)
    progress_done = models.FloatField(default=0)
    progress_total = models.FloatField(default=0)
    progress_text = models.CharField(max_length=200, blank=True)
    summary = models.TextField(blank=True)
    metrics = models.JSONField(default=dict)
    error = models.JSONField(default=dict)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = StepRunQuerySet.as_manager()

    class Meta:
        ordering = ["run", "position"]
        constraints = [
            models.UniqueConstraint(fields=["run", "position"], name="step_position"),
            models.CheckConstraint(
                condition=~Q(state="RUNNING") | Q(lease_until__isnull=False), name="running_step_has_a_lease"
            ),
        ]
        indexes = [models.Index(fields=["state", "lease_until"], name="step_queue")]

    def __str__(self) -> str:
        return f"{self.name} of run {self.run_id}"


class StepLog(models.Model):
    """Lines that a step wrote, in chunks."""

    step = models.ForeignKey(StepRun, on_delete=models.CASCADE, related_name="logs")
    attempt = models.PositiveSmallIntegerField()
    text = models.TextField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.text[:80]


class Artifact(models.Model):
    """A file that a step committed; the bytes are in the artefact store under their hash."""

    step = models.ForeignKey(StepRun, on_delete=models.CASCADE, related_name="artifacts")
    name = models.CharField(max_length=60)
    sha256 = models.CharField(max_length=64, db_index=True)
    size = models.BigIntegerField()
    kind = models.CharField(max_length=12)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["step", "name"], name="artifact_name")]

    def __str__(self) -> str:
        return f"{self.name}.{self.kind}"
