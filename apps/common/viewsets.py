"""What the REST views of the apps are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import OpenApiResponse, inline_serializer
from rest_framework import mixins, serializers, viewsets

from apps.common.rest import HoldsARole


class ReadViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """List and detail for whoever holds a role."""

    permission_classes = [HoldsARole]
    lookup_value_regex = r"[0-9]+"


class StrictFields(serializers.Serializer):
    """A body whose every field is known: a field that is not is an error, not ignored."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = sorted(str(name) for name in set(data) - set(self.fields))
            if unknown:
                known = ", ".join(self.fields)
                raise serializers.ValidationError({unknown[0]: [f"not a field here; there are {known}"]})
        return super().to_internal_value(data)


class NothingSerializer(StrictFields):
    """A body that holds nothing."""


ProblemSerializer = inline_serializer(
    "Problem",
    {
        "type": serializers.CharField(help_text="A short machine word, such as `conflict`."),
        "title": serializers.CharField(help_text="What was wrong and what would be right."),
        "status": serializers.IntegerField(),
        "field": serializers.CharField(required=False, help_text="The input that was wrong."),
        "errors": serializers.DictField(required=False, help_text="Every input that was wrong."),
    },
)


def problem_responses(*statuses: int) -> dict[Any, OpenApiResponse]:
    """Documented refusals of a view, for `extend_schema(responses=...)`."""
    return {
        (status, "application/problem+json"): OpenApiResponse(ProblemSerializer, _MEANINGS[status])
        for status in statuses
    }


_MEANINGS = {
    400: "The body or the query is not well-formed.",
    401: "Nobody is logged in.",
    403: "Not allowed to this person.",
    404: "There is no such thing.",
    409: "Somebody else was first, or the state does not allow it.",
    413: "The body is too large.",
    422: "A value is wrong; `field` names it.",
    503: "A part of the system is away: try again.",
}
