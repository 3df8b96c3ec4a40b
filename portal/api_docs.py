"""The OpenAPI schema, the page that shows it, and the answer for addresses that are not there."""

from __future__ import annotations

from typing import Any, NoReturn

from csp.constants import SELF
from csp.decorators import csp_replace
from django.http import HttpResponseBase, JsonResponse
from django.utils.decorators import method_decorator
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.common.rest import HoldsARole


class _RefusesInJson(APIView):
    """These views render YAML and HTML; a refusal is problem+json all the same."""

    def handle_exception(self, exc: Exception) -> HttpResponseBase:
        response = super().handle_exception(exc)
        answer = JsonResponse(
            response.data, status=response.status_code, content_type="application/problem+json"
        )
        if "WWW-Authenticate" in response:
            answer["WWW-Authenticate"] = response["WWW-Authenticate"]
        return answer


def document_problems(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Every operation may answer with a problem; those that name their own keep them."""
    problem = {
        "description": "Anything else: what was wrong, and what would be right.",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["responses"].setdefault("default", problem)
    return result


class SchemaView(_RefusesInJson, SpectacularAPIView):
    permission_classes = [HoldsARole]


# Swagger UI draws its icons from data: URLs and sets style attributes; scripts stay ours alone
@method_decorator(csp_replace({"style-src": [SELF, "'unsafe-inline'"]}), name="dispatch")
class DocsView(_RefusesInJson, SpectacularSwaggerSplitView):
    """Swagger UI from the wheel; its script is served as a file of its own, so that the CSP holds."""

    permission_classes = [HoldsARole]
    url_name = "api-schema"


class NotFoundView(APIView):
    """Below /api/ even an unknown address answers problem+json."""

    permission_classes = [HoldsARole]

    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> NoReturn:
        super().initial(request, *args, **kwargs)
        raise NotFound("there is nothing at this address; /api/schema/ lists what there is")
