"""Tags of the page of the online store."""

from __future__ import annotations

from typing import Any

from django import template

register = template.Library()


@register.filter
def exact(value: Any) -> str:
    """A number with every digit that it has: what is served, not a rounded figure."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else repr(value)
