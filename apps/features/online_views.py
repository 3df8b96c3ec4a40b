"""What of a feature set is online, what an entity has there, and whether it agrees with the offline month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from apps.common import access
from apps.features.models import FeatureSet, OnlinePublication
from apps.features.online import OnlineState, check_again, online_state, online_store, parse_entities
from apps.features.views import feature_set_of
from mlopslib.errors import AccessDenied, GijunError, InvalidInput
from mlopslib.online import OnlineRow

_PUBLICATIONS_SHOWN = 12


@require_GET
def online(request: HttpRequest, name: str) -> HttpResponse:
    access.require(request.user, "view")
    row = feature_set_of(request, name)
    state = online_state(row)
    publications = list(row.publications.all()[:_PUBLICATIONS_SHOWN])
    newest = row.materialisations.order_by("-base_ym").first()
    context = {
        "feature_set": row,
        "tab": "online",
        "state": state,
        "publications": publications,
        "record": _record(state, publications),
        # Redis answers and holds nothing of what was published: it lost its data
        "is_lost": not state.away and state.publication is None and bool(publications),
        "newest": newest,
        "is_behind": bool(newest and state.publication and newest.base_ym > state.publication.base_ym),
        "can_start": access.may(request.user, "runs.start"),
        "can_publish": access.may(request.user, "features.materialise"),
        **_looked_up(request, row, state),
    }
    return render(request, "features/online.html", context)


@require_POST
def check(request: HttpRequest, name: str) -> HttpResponse:
    row = feature_set_of(request, name)
    try:
        found = check_again(actor=request.user, feature_set=row).consistency
    except AccessDenied:
        raise
    except GijunError as error:
        messages.error(request, error.message)
    else:
        say = messages.success if found["is_consistent"] else messages.warning
        words = ngettext(
            "%(equal)s of %(n)s entity checked is equal.",
            "%(equal)s of %(n)s entities checked are equal.",
            found["checked"],
        )
        say(request, words % {"equal": f"{found['equal']:,}", "n": f"{found['checked']:,}"})
    query = "" if row.is_current else f"?version={row.version}"
    return redirect(f"{reverse('features:online', args=[row.name])}{query}")


def _record(state: OnlineState, publications: list[OnlinePublication]) -> OnlinePublication | None:
    """The catalog's record of the generation that is online."""
    generation = state.publication.generation if state.publication else None
    return next((item for item in publications if item.generation == generation), None)


@dataclass(frozen=True)
class Cell:
    """One feature of one entity."""

    name: str
    dtype: str
    value: Any
    event_time: datetime | None
    is_stale: bool
    is_streamed: bool


@dataclass(frozen=True)
class Found:
    """What a look-up says of one entity."""

    entity: Any
    status: str
    event_time: datetime | None
    cells: list[Cell]


def _looked_up(request: HttpRequest, row: FeatureSet, state: OnlineState) -> dict[str, Any]:
    text, age = request.GET.get("entity", "")[:10_000], request.GET.get("max_age_hours", "")[:20]
    asked = {"asked": text, "asked_age": age, "found": [], "error": "", "error_field": ""}
    if not text.strip() or state.away:
        return asked
    try:
        entities = parse_entities(text, state.kind)
        rows = online_store().get(row.name, row.version, entities, max_age_seconds=_seconds(age))
    except GijunError as error:
        return {**asked, "error": error.message, "error_field": (error.field or "").split("[")[0]}
    dtypes = dict(row.features.values_list("name", "dtype"))
    published_at = state.publication.event_time if state.publication else None
    return {**asked, "found": [_found(item, dtypes, published_at) for item in rows]}


def _found(row: OnlineRow, dtypes: dict[str, str], published_at: datetime | None) -> Found:
    cells = [
        Cell(
            name=name,
            dtype=dtypes.get(name, ""),
            value=value,
            event_time=row.streamed.get(name, published_at),
            is_stale=name in row.stale,
            is_streamed=name in row.streamed,
        )
        for name, value in (row.values or {}).items()
    ]
    return Found(row.entity, row.status, row.event_time, cells)


def _seconds(hours: str) -> float | None:
    if not hours.strip():
        return None
    try:
        return float(hours) * 3600
    except ValueError as error:
        raise InvalidInput(
            _("The maximum age is a number of hours above 0."), field="max_age_hours"
        ) from error
