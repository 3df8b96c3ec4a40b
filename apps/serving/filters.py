"""Filters that the pages and the API share."""

from __future__ import annotations

import django_filters

from apps.serving.models import Deployment, Endpoint


class EndpointFilter(django_filters.FilterSet):
    q = django_filters.CharFilter(field_name="name", lookup_expr="icontains")
    model = django_filters.CharFilter(field_name="registered_model__name")

    class Meta:
        model = Endpoint
        fields = ["q", "model"]


class DeploymentFilter(django_filters.FilterSet):
    endpoint = django_filters.CharFilter(field_name="endpoint__name")
    model = django_filters.CharFilter(field_name="endpoint__registered_model__name")
    state = django_filters.MultipleChoiceFilter(choices=Deployment.State.choices)

    class Meta:
        model = Deployment
        fields = ["endpoint", "model", "state"]
