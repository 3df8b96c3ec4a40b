"""Reads of the serving tables that chain."""

from __future__ import annotations

from django.db import models
from django.db.models import OuterRef, Subquery


class EndpointQuerySet(models.QuerySet):
    def for_model(self, name: str) -> EndpointQuerySet:
        return self.filter(registered_model__name=name)

    def with_model(self) -> EndpointQuerySet:
        return self.select_related("registered_model", "owner")


class DeploymentQuerySet(models.QuerySet):
    def live(self) -> DeploymentQuerySet:
        return self.filter(state="LIVE")

    def for_endpoint(self, name: str) -> DeploymentQuerySet:
        return self.filter(endpoint__name=name)

    def newest(self) -> DeploymentQuerySet:
        """The deployment with the highest sequence number of each endpoint: what is asked of the workers."""
        from apps.serving.models import Deployment

        highest = Deployment.objects.filter(endpoint=OuterRef("endpoint")).order_by("-seq")
        return self.filter(pk=Subquery(highest.values("pk")[:1]))

    def with_names(self) -> DeploymentQuerySet:
        return self.select_related(
            "endpoint__registered_model", "version__registered_model", "review", "deployed_by"
        )


class ServingWorkerQuerySet(models.QuerySet):
    def for_endpoint(self, name: str) -> ServingWorkerQuerySet:
        return self.filter(endpoint__name=name)
