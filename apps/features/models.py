"""The feature catalog: queries that give one row for each entity and base month."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from apps.features.querysets import (
    FeatureQuerySet,
    FeatureSetQuerySet,
    MaterialisationQuerySet,
    SavedViewQuerySet,
)
from mlopslib.definition import FeatureSetSpec, FeatureSpec
from mlopslib.errors import Conflict

#: what a published version is; these never change again
FROZEN_FIELDS = ("name", "version", "entity", "entity_key", "sql", "sql_sha256")


class Tag(models.Model):
    """A word that people file feature sets under."""

    name = models.CharField(max_length=40, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class FeatureSet(models.Model):
    """One version of a feature query. What defines a published row never changes; an edit is a new draft."""

    class Status(models.TextChoices):
        DRAFT = "DRAFT"
        PUBLISHED = "PUBLISHED"
        DEPRECATED = "DEPRECATED"
        DELETED = "DELETED"

    class Proof(models.TextChoices):
        """What the leak proof found of this version."""

        UNPROVED = "UNPROVED"
        PROVED = "PROVED"
        LEAK = "LEAK"

    name = models.CharField(max_length=63)
    version = models.PositiveIntegerField(default=1)
    is_current = models.BooleanField(default=True)
    title = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    domain = models.CharField(max_length=40, blank=True)
    entity = models.CharField(max_length=40)
    entity_key = models.CharField(max_length=63)
    sql = models.TextField()
    sql_sha256 = models.CharField(max_length=64)
    #: SHA-256 of the query's normalised tree: equal where only names, spaces or letter case differ
    sql_fingerprint = models.CharField(max_length=64, blank=True, db_index=True)
    source_tables = models.JSONField(default=list)
    #: {table: reason} of the dimension tables that hold no date, as the author declared
    timeless_tables = models.JSONField(default=dict)
    tags = models.ManyToManyField(Tag, related_name="feature_sets", blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PUBLISHED, db_index=True)
    deprecation_reason = models.CharField(max_length=300, blank=True)
    #: name of the feature set to use instead
    replaced_by = models.CharField(max_length=63, blank=True)
    proof = models.CharField(max_length=10, choices=Proof.choices, default=Proof.UNPROVED)
    #: base months for which the future-poison test found nothing
    proved_months = models.PositiveIntegerField(default=0)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="feature_sets")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    published_at = models.DateTimeField(null=True)
    deprecated_at = models.DateTimeField(null=True)

    objects = FeatureSetQuerySet.as_manager()

    class Meta:
        ordering = ["name", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["name", "version"], name="feature_set_version"),
            models.UniqueConstraint(
                fields=["name"], condition=Q(is_current=True), name="one_current_feature_set"
            ),
            models.UniqueConstraint(
                fields=["name"], condition=Q(status="DRAFT"), name="one_draft_of_a_feature_set"
            ),
            models.CheckConstraint(
                condition=Q(is_current=False) | Q(status__in=["PUBLISHED", "DEPRECATED"]),
                name="current_feature_set_is_published",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Raises Conflict where a published version would change what defines it."""
        frozen = getattr(self, "_frozen", {})
        changed = [name for name, value in frozen.items() if self.__dict__.get(name, value) != value]
        if frozen and self.status == self.Status.DRAFT:
            changed.append("status")
        if changed:
            raise Conflict(
                f"{self} is published and never changes, so not its {', '.join(changed)}: "
                "save a draft and publish it as the next version"
            )
        super().save(*args, **kwargs)

    def get_absolute_url(self) -> str:
        return reverse("features:set", args=[self.name])

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any]) -> FeatureSet:
        row: FeatureSet = super().from_db(db, field_names, values)
        if row.__dict__.get("status", cls.Status.DRAFT) != cls.Status.DRAFT:
            row._frozen = {name: row.__dict__[name] for name in FROZEN_FIELDS if name in row.__dict__}
        return row

    def to_spec(self) -> FeatureSetSpec:
        features = tuple(FeatureSpec(f.name, f.dtype, f.description) for f in self.features.all())
        return FeatureSetSpec(self.name, self.version, self.entity_key, self.sql, features)


class Feature(models.Model):
    """One column of a feature set."""

    class Dtype(models.TextChoices):
        NUMERIC = "numeric"
        CATEGORY = "category"

    feature_set = models.ForeignKey(FeatureSet, on_delete=models.CASCADE, related_name="features")
    position = models.PositiveIntegerField(default=0)
    name = models.CharField(max_length=63)
    dtype = models.CharField(max_length=10, choices=Dtype.choices)
    engine_type = models.CharField(max_length=40, blank=True)
    description = models.CharField(max_length=300, blank=True)
    deprecated_at = models.DateTimeField(null=True)
    deprecation_reason = models.CharField(max_length=300, blank=True)
    #: of the newest profiled month; kept here so that lists sort and count without reading the profiles
    latest_ym = models.CharField(max_length=6, null=True)
    latest_psi = models.FloatField(null=True)

    objects = FeatureQuerySet.as_manager()

    class Meta:
        ordering = ["position", "name"]
        constraints = [models.UniqueConstraint(fields=["feature_set", "name"], name="feature_name")]
        indexes = [models.Index(fields=["latest_psi"], name="feature_latest_psi")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("features:detail", args=[self.feature_set.name, self.name])


class FeatureSource(models.Model):
    """A column of a source table that a feature is computed from."""

    feature = models.ForeignKey(Feature, on_delete=models.CASCADE, related_name="sources")
    table = models.CharField(max_length=127)
    column = models.CharField(max_length=127)

    class Meta:
        ordering = ["table", "column"]
        constraints = [models.UniqueConstraint(fields=["feature", "table", "column"], name="feature_source")]
        indexes = [models.Index(fields=["table", "column"], name="source_column")]

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"


class SetSource(models.Model):
    """A source column that decides which rows a feature set has: in a filter, a join or a group."""

    feature_set = models.ForeignKey(FeatureSet, on_delete=models.CASCADE, related_name="row_sources")
    table = models.CharField(max_length=127)
    column = models.CharField(max_length=127)

    class Meta:
        ordering = ["table", "column"]
        constraints = [
            models.UniqueConstraint(fields=["feature_set", "table", "column"], name="feature_set_source")
        ]
        indexes = [models.Index(fields=["table", "column"], name="set_source_column")]

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"


class FeatureProfile(models.Model):
    """What one feature looked like in one base month."""

    feature = models.ForeignKey(Feature, on_delete=models.CASCADE, related_name="profiles")
    base_ym = models.CharField(max_length=6)
    rows = models.BigIntegerField()
    missing = models.BigIntegerField()
    distinct = models.BigIntegerField(null=True)
    mean = models.FloatField(null=True)
    minimum = models.FloatField(null=True)
    maximum = models.FloatField(null=True)
    std = models.FloatField(null=True)
    #: against the first materialised month; None where there is none
    psi = models.FloatField(null=True)
    #: 95 % point of the PSI of two samples of these sizes when nothing has moved
    psi_high = models.FloatField(null=True)
    #: chance of such a PSI when nothing has moved; `psi_q`: Benjamini-Hochberg over the set's features
    psi_p = models.FloatField(null=True)
    psi_q = models.FloatField(null=True)
    #: rows whose category the reference month did not have
    unseen = models.BigIntegerField(null=True)
    #: {"quantiles": {"0.01": ...}, "top": [{"value", "count"}], "outliers": share, ...}
    details = models.JSONField(default=dict)
    #: {"labels": [...], "shares": [...], "reference_ym": "..."} of the PSI bins
    histogram = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["base_ym"]
        constraints = [models.UniqueConstraint(fields=["feature", "base_ym"], name="feature_profile_month")]

    def __str__(self) -> str:
        return f"{self.feature} {self.base_ym}"

    @property
    def missing_share(self) -> float | None:
        return self.missing / self.rows if self.rows else None


class Materialisation(models.Model):
    """A base month of a feature set that stands in the offline store."""

    feature_set = models.ForeignKey(FeatureSet, on_delete=models.CASCADE, related_name="materialisations")
    base_ym = models.CharField(max_length=6)
    rows = models.BigIntegerField()
    table_version = models.BigIntegerField()
    created_at = models.DateTimeField(auto_now=True)

    objects = MaterialisationQuerySet.as_manager()

    class Meta:
        ordering = ["base_ym"]
        constraints = [models.UniqueConstraint(fields=["feature_set", "base_ym"], name="materialised_month")]

    def __str__(self) -> str:
        return f"{self.feature_set} {self.base_ym}"


class SavedView(models.Model):
    """A filter and sort of the catalog that somebody keeps under a name."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_views")
    name = models.CharField(max_length=60)
    #: the query string of the catalog page, without its page number
    query = models.CharField(max_length=2_000, blank=True)
    is_shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="saved_view_name")]

    def __str__(self) -> str:
        return self.name


class LeakProof(models.Model):
    """What the future-poison test found of a feature set in one base month."""

    class Outcome(models.TextChoices):
        PROVED = "PROVED"
        LEAK = "LEAK"
        #: nothing could be poisoned, so nothing was proved
        UNDECIDED = "UNDECIDED"

    feature_set = models.ForeignKey(FeatureSet, on_delete=models.CASCADE, related_name="proofs")
    base_ym = models.CharField(max_length=6)
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    sentence = models.TextField()
    #: rows that were changed and added after the base date, by table
    poisoned = models.JSONField(default=dict)
    #: [{"feature", "entities", "example": {"entity", "before", "after"}}]
    differences = models.JSONField(default=list)
    #: the date bounds of each source table (`mlopslib.sql.leaks`)
    bounds = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["base_ym"]
        constraints = [models.UniqueConstraint(fields=["feature_set", "base_ym"], name="leak_proof_month")]

    def __str__(self) -> str:
        return f"{self.feature_set} {self.base_ym}: {self.outcome}"


class EdaReport(models.Model):
    """Distributions, correlations and association with a target, of one materialised month."""

    feature_set = models.ForeignKey(FeatureSet, on_delete=models.CASCADE, related_name="eda_reports")
    base_ym = models.CharField(max_length=6)
    #: which target the features were held against; empty without one
    target_label = models.CharField(max_length=120, blank=True)
    rows = models.BigIntegerField()
    #: `mlopslib.eda.EdaReport.to_dict()`
    report = models.JSONField()
    created_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-base_ym"]
        constraints = [
            models.UniqueConstraint(
                fields=["feature_set", "base_ym", "target_label"], name="eda_report_month"
            )
        ]

    def __str__(self) -> str:
        return f"{self.feature_set} {self.base_ym}"


class OnlinePublication(models.Model):
    """A generation of a feature set in the online store."""

    feature_set = models.ForeignKey(FeatureSet, on_delete=models.CASCADE, related_name="publications")
    base_ym = models.CharField(max_length=6)
    generation = models.PositiveBigIntegerField()
    entities = models.BigIntegerField()
    seconds = models.FloatField()
    #: the consistency check against the offline store: {"checked", "equal", "missing", "different", ...}
    consistency = models.JSONField(default=dict)
    checked_at = models.DateTimeField(null=True)
    published_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-published_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["feature_set", "generation"], name="online_generation")
        ]

    def __str__(self) -> str:
        return f"{self.feature_set} {self.base_ym}, generation {self.generation}"


class EngineQuery(models.Model):
    """A query that somebody waits for while it runs in the offline engine; it can be cancelled."""

    class State(models.TextChoices):
        RUNNING = "RUNNING"
        DONE = "DONE"
        FAILED = "FAILED"
        CANCELLED = "CANCELLED"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    #: preview, dry_run, duplicates
    kind = models.CharField(max_length=20)
    #: rendered, as the engine got it
    sql = models.TextField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    message = models.TextField(blank=True)
    rows = models.BigIntegerField(null=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="engine_queries"
    )
    cancel_requested_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-started_at"]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"
