"""Who may read by REST, and how a body is read: the defaults of every view."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

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
