"""A request that an endpoint would take, built from the contract of the package that it serves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from apps.models.card import package_json
from apps.models.models import ModelVersion
from apps.serving.models import Endpoint


@dataclass(frozen=True)
class Example:
    """`fields` say what each field may hold; `request` is the body as text."""

    request: str
    curl: str
    fields: Sequence[Mapping[str, Any]]


def example_of(endpoint: Endpoint, version: ModelVersion) -> Example | None:
    """None where the package cannot be read."""
    contract = package_json(version, "contract.json")
    if contract is None:
        return None
    reference = package_json(version, "reference.json") or {}
    typical = reference.get("inputs", {})
    fields = list(contract.get("inputs", ()))
    row: dict[str, Any] = {name: f"{number:09d}" for number, name in enumerate(endpoint.identifiers, start=1)}
    row |= {item["name"]: _value(item, typical.get(item["name"], {})) for item in fields}
    body = json.dumps({"requests": [row]}, ensure_ascii=False, indent=2)
    address = f"{settings.SERVING_URL}/v1/endpoints/{endpoint.name}/score"
    quoted = body.replace("'", "'\\''")
    curl = f"curl -s {address} \\\n  -H 'Content-Type: application/json' \\\n  -d '{quoted}'"
    return Example(request=body, curl=curl, fields=fields)


def _value(item: Mapping[str, Any], reference: Mapping[str, Any]) -> Any:
    """A usual value: an edge in the middle of the frozen bins, or a known category. Nobody's own data."""
    if item.get("type") == "category":
        known = item.get("categories") or reference.get("levels") or []
        return known[0] if known else None
    edges = reference.get("edges") or []
    value = round(float(edges[len(edges) // 2]), 6) if edges else 0.0
    return int(value) if value.is_integer() else value
