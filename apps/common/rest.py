"""What every REST view shares: who may read, how a body is read, how answers are documented."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import OpenApiResponse, inline_serializer
from rest_framework import mixins, serializers, viewsets
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.common.access import may

#: the longest body that is read
MAX_BODY_BYTES = 1 << 20


class BodyTooLarge(APIException):
    status_code = 413
    default_detail = f"a body has {MAX_BODY_BYTES} bytes at most"
    default_code = "body-too-large"


class StrictJSONParser(JSONParser):
    """JSON that is UTF-8, of sane size and depth, without NaN, doubled keys or half characters."""

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        raw = stream.read(MAX_BODY_BYTES + 1)
        if len(raw) > MAX_BODY_BYTES:
            raise BodyTooLarge
        try:
            value = json.loads(raw.decode(), parse_constant=_refuse_constant, object_pairs_hook=_unique)
            json.dumps(value, ensure_ascii=False).encode()
        except RecursionError as error:
            raise ParseError("the body is not JSON that can be read: nested too deep") from error
        except ValueError as error:
            raise ParseError(f"the body is not JSON that can be read: {_reason(error)}") from error
        return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _reason(error: ValueError) -> str:
    if isinstance(error, UnicodeError):
        return "text is not valid UTF-8"
    return str(error)


class HoldsARole(BasePermission):
    """Reading needs any role; what changes something asks for more, in its service."""

    message = "reading needs a role: ask an administrator for one"

    def has_permission(self, request: Request, view: Any) -> bool:
        return may(request.user, "view")


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
}

__all__ = [
    "MAX_BODY_BYTES",
    "HoldsARole",
    "ProblemSerializer",
    "ReadViewSet",
    "StrictFields",
    "StrictJSONParser",
    "problem_responses",
]
