"""The feature catalog: queries that give one row for each entity and base month."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.urls import reverse

from apps.features.querysets import FeatureQuerySet, FeatureSetQuerySet, MaterialisationQuerySet
from mlopslib.definition import FeatureSetSpec, FeatureSpec


class FeatureSet(models.Model):
    """One published version of a feature query. A published row never changes; an edit is a new one."""

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
    source_tables = models.JSONField(default=list)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="feature_sets")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = FeatureSetQuerySet.as_manager()

    class Meta:
        ordering = ["name", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["name", "version"], name="feature_set_version"),
            models.UniqueConstraint(
                fields=["name"], condition=models.Q(is_current=True), name="one_current_feature_set"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"

    def get_absolute_url(self) -> str:
        return reverse("features:set", args=[self.name])

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

    objects = FeatureQuerySet.as_manager()

    class Meta:
        ordering = ["position", "name"]
        constraints = [models.UniqueConstraint(fields=["feature_set", "name"], name="feature_name")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("features:detail", args=[self.feature_set.name, self.name])


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
    #: against the first materialised month; None where there is none
    psi = models.FloatField(null=True)
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
