"""The model registry: definitions, trained versions, their figures, and the decisions on them."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from apps.models.querysets import (
    ComparisonQuerySet,
    EvaluationQuerySet,
    ModelVersionQuerySet,
    RegisteredModelQuerySet,
    ReviewQuerySet,
)
from mlopslib.definition import ModelSpec


class RegisteredModel(models.Model):
    """A model in the catalog. Every version freezes the definition that it was trained with."""

    name = models.CharField(max_length=63, unique=True)
    title = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    entity = models.CharField(max_length=40)
    #: `ModelSpec.to_dict()`
    definition = models.JSONField()
    feature_sets = models.ManyToManyField("features.FeatureSet", related_name="registered_models")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="registered_models"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = RegisteredModelQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("models:detail", args=[self.name])

    @property
    def spec(self) -> ModelSpec:
        return ModelSpec.from_dict(self.definition)


class ModelVersion(models.Model):
    """One trained result. Its identity is the hash of its package."""

    class Stage(models.TextChoices):
        CANDIDATE = "CANDIDATE"
        CHALLENGER = "CHALLENGER"
        CHAMPION = "CHAMPION"
        ARCHIVED = "ARCHIVED"

    registered_model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    stage = models.CharField(max_length=12, choices=Stage.choices, default=Stage.CANDIDATE)
    base_ym = models.CharField(max_length=6)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="model_versions"
    )
    package_sha256 = models.CharField(max_length=64, db_index=True)
    definition = models.JSONField()
    #: {"train_months": [...], "oot_months": [...], "rows": ..., "importance": {...}, "parity": {...},
    #:  "engines": [...], "package": {...}}: the card that the register step made
    card = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    promoted_at = models.DateTimeField(null=True)
    archived_at = models.DateTimeField(null=True)

    objects = ModelVersionQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["registered_model", "number"], name="version_number"),
            models.UniqueConstraint(
                fields=["registered_model"], condition=Q(stage="CHAMPION"), name="one_champion"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.registered_model.name} v{self.number}"

    def get_absolute_url(self) -> str:
        return reverse("models:version", args=[self.registered_model.name, self.number])

    @property
    def label(self) -> str:
        return f"v{self.number}"

    @property
    def spec(self) -> ModelSpec:
        return ModelSpec.from_dict(self.definition)


class Evaluation(models.Model):
    """Figures of one version on one data set; `base_ym` is empty where months are pooled."""

    class Dataset(models.TextChoices):
        TRAIN = "TRAIN"
        TEST = "TEST"
        OOT = "OOT"
        PRODUCTION = "PRODUCTION"

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="evaluations")
    dataset = models.CharField(max_length=10, choices=Dataset.choices)
    base_ym = models.CharField(max_length=6, blank=True)
    rows = models.BigIntegerField()
    #: None while the month's labels are not mature
    positives = models.BigIntegerField(null=True)
    auc = models.FloatField(null=True)
    auc_low = models.FloatField(null=True)
    auc_high = models.FloatField(null=True)
    ks = models.FloatField(null=True)
    lift_at_10 = models.FloatField(null=True)
    score_psi = models.FloatField(null=True)
    #: decile table and what else the step found
    details = models.JSONField(default=dict)
    updated_at = models.DateTimeField(auto_now=True)

    objects = EvaluationQuerySet.as_manager()

    class Meta:
        ordering = ["dataset", "base_ym"]
        constraints = [
            models.UniqueConstraint(fields=["version", "dataset", "base_ym"], name="evaluation_month")
        ]

    def __str__(self) -> str:
        return f"{self.version} {self.dataset} {self.base_ym}".strip()


class FeatureDrift(models.Model):
    """PSI of one input of a version in one month, against the edges frozen with the version."""

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="feature_drifts")
    base_ym = models.CharField(max_length=6)
    feature = models.CharField(max_length=63)
    psi = models.FloatField()
    details = models.JSONField(default=dict)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["base_ym", "-psi"]
        constraints = [
            models.UniqueConstraint(fields=["version", "base_ym", "feature"], name="feature_drift_month")
        ]

    def __str__(self) -> str:
        return f"{self.version} {self.feature} {self.base_ym}"


class Comparison(models.Model):
    """Champion against challenger on the same rows of the same OOT months."""

    class Verdict(models.TextChoices):
        BETTER = "BETTER"
        NOT_WORSE = "NOT_WORSE"
        WORSE = "WORSE"
        CANNOT_TELL = "CANNOT_TELL"

    registered_model = models.ForeignKey(
        RegisteredModel, on_delete=models.PROTECT, related_name="comparisons"
    )
    champion = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    challenger = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="comparisons")
    base_ym = models.CharField(max_length=6)
    verdict = models.CharField(max_length=12, choices=Verdict.choices)
    sentence = models.TextField()
    #: `ComparisonReport.to_dict()`
    report = models.JSONField()
    report_sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ComparisonQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.challenger} against {self.champion.label}"

    def get_absolute_url(self) -> str:
        return reverse("models:comparison", args=[self.pk])


class Review(models.Model):
    """A request to put a version into service, and the decision on it."""

    class Status(models.TextChoices):
        PENDING = "PENDING"
        APPROVED = "APPROVED"
        REJECTED = "REJECTED"
        CHANGES_REQUESTED = "CHANGES_REQUESTED"
        WITHDRAWN = "WITHDRAWN"

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="reviews")
    incumbent = models.ForeignKey(ModelVersion, null=True, on_delete=models.PROTECT, related_name="+")
    comparison = models.ForeignKey(Comparison, null=True, on_delete=models.PROTECT, related_name="reviews")
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.PENDING)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="reviews_requested"
    )
    #: copied from the version so that the database itself can forbid self-approval
    version_author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField(blank=True)
    #: what the approval binds to
    package_sha256 = models.CharField(max_length=64)
    evidence_sha256 = models.CharField(max_length=64)
    #: [{"name", "figure", "limit", "passed": true|false|null, "sentence"}]
    gates = models.JSONField(default=list)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="reviews_decided"
    )
    decided_at = models.DateTimeField(null=True)
    note = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ReviewQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["version"], condition=Q(status="PENDING"), name="one_pending_review"
            ),
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True)
                | (~Q(decided_by=F("requested_by")) & ~Q(decided_by=F("version_author"))),
                name="review_four_eyes",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["APPROVED", "REJECTED", "CHANGES_REQUESTED"])
                | Q(decided_by__isnull=False, decided_at__isnull=False),
                name="review_decision_has_a_decider",
            ),
        ]

    def __str__(self) -> str:
        return f"review {self.pk} of {self.version}"

    def get_absolute_url(self) -> str:
        return reverse("models:review", args=[self.pk])
