"""The leak proof of a feature set: what its text says of dates, and what the poison test found."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.common import access
from apps.features.models import FeatureSet, LeakProof
from apps.features.services.key_count import usual_month
from apps.features.services.leak_check import LeakCheck, check_leaks
from apps.features.timeline import Timeline, timeline_of
from apps.features.views import feature_set_of
from mlopslib.dates import validate_ym
from mlopslib.errors import GijunError
from mlopslib.offline import open_store

#: months that the button proposes
_PROPOSED = 3


@require_GET
def proof(request: HttpRequest, name: str) -> HttpResponse:
    access.require(request.user, "view")
    row = feature_set_of(request, name)
    proofs = list(row.proofs.order_by("-base_ym"))
    months = list(row.materialisations.order_by("-base_ym").values_list("base_ym", flat=True))
    asked = _asked(request.GET.get("base_ym", ""))
    shown = next((item for item in proofs if item.base_ym == asked), None)
    if shown is None and not asked:
        # a leak is what a person came for
        shown = next((item for item in proofs if item.outcome == LeakProof.Outcome.LEAK), None)
        shown = shown or (proofs[0] if proofs else None)
    base_ym = asked or (shown.base_ym if shown else usual_month(row.name))
    leaks = None if shown is not None and shown.bounds else _static(row, base_ym)
    context = {
        "feature_set": row,
        "tab": "proof",
        "proofs": proofs,
        "shown": shown,
        "base_ym": base_ym,
        "leaks": leaks,
        "timeline": _timeline(shown, leaks, base_ym),
        "timeless": sorted(row.timeless_tables.items()),
        "proposed": ", ".join(sorted(months[:_PROPOSED])),
        "counts": _counts(proofs),
    }
    return render(request, "features/editor/proof.html", context)


def _static(row: FeatureSet, base_ym: str) -> LeakCheck | None:
    """What the text alone says, where the store can name its columns."""
    try:
        store = open_store(settings.OFFLINE_URL)
        return check_leaks(row.sql, base_ym, store=store, timeless=row.timeless_tables)
    except GijunError:
        return None


def _timeline(shown: LeakProof | None, leaks: LeakCheck | None, base_ym: str) -> Timeline | None:
    if shown is not None and shown.bounds:
        return timeline_of(shown.bounds, base_ym)
    if leaks is not None and leaks.sources:
        return timeline_of(leaks.sources, base_ym)
    return None


def _counts(proofs: list[LeakProof]) -> dict[str, int]:
    return {
        outcome.value.lower(): sum(item.outcome == outcome for item in proofs)
        for outcome in LeakProof.Outcome
    }


def _asked(text: str) -> str:
    """The month of the address; what is no month is as if it were left out."""
    try:
        return validate_ym(text.replace("-", ""))
    except GijunError:
        return ""
