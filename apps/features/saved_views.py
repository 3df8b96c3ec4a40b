"""Views of the catalog that people keep: what can be done with them, as verbs."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError, transaction
from django.http import QueryDict

from apps.common.access import require
from apps.common.audit import record
from apps.features.catalog import KEYS
from apps.features.models import SavedView
from mlopslib.errors import Conflict, InvalidInput

#: of one person
MAX_VIEWS = 50


def save_view(*, actor: Any, name: str, query: str, is_shared: bool = False) -> SavedView:
    """Keep a filter and sort under a name. Raises AccessDenied, InvalidInput, Conflict."""
    require(actor, "view")
    name, query = _clean_name(name), clean_query(query)
    if SavedView.objects.filter(owner=actor).count() >= MAX_VIEWS:
        raise Conflict(f"you keep {MAX_VIEWS} views already: delete one that nobody opens any more")
    with _one_name(name), transaction.atomic():
        view = SavedView.objects.create(owner=actor, name=name, query=query, is_shared=is_shared)
        if is_shared:
            record(actor, "saved_view.shared", view, query=query)
    return view


def change_view(*, actor: Any, view: SavedView, name: str, is_shared: bool) -> SavedView:
    """Rename a view of one's own, share it or take it back."""
    _own(actor, view)
    before = (view.name, view.is_shared)
    view.name, view.is_shared = _clean_name(name), is_shared
    with _one_name(view.name), transaction.atomic():
        view.save(update_fields=["name", "is_shared"])
        if is_shared and not before[1]:
            record(actor, "saved_view.shared", view, query=view.query)
        elif before[1] and not is_shared:
            record(actor, "saved_view.unshared", view, name_before=before[0])
        elif is_shared and before[0] != view.name:
            record(actor, "saved_view.renamed", view, name_before=before[0])
    return view


def delete_view(*, actor: Any, view: SavedView) -> None:
    _own(actor, view)
    with transaction.atomic():
        if view.is_shared:
            record(actor, "saved_view.deleted", view, query=view.query)
        view.delete()


def clean_query(query: str) -> str:
    """What the catalog knows of a query string, in one order: equal views have equal strings."""
    given = QueryDict(query.lstrip("?"))
    kept = QueryDict(mutable=True)
    for key in KEYS:
        values = [value for value in given.getlist(key) if value]
        if values:
            kept.setlist(key, values if key in {"q", "sort"} else sorted(set(values)))
    text = kept.urlencode()
    longest = SavedView._meta.get_field("query").max_length
    if len(text) > longest:
        raise InvalidInput("this filter is too long to be kept: tick fewer boxes", field="query")
    return text


def _clean_name(name: str) -> str:
    name = " ".join(name.split())
    longest = SavedView._meta.get_field("name").max_length
    if not 0 < len(name) <= longest:
        raise InvalidInput(f"a view needs a name of 1 to {longest} characters", field="name")
    if any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in name):
        raise InvalidInput("a name holds letters that people can read: no control characters", field="name")
    return name


def _own(actor: Any, view: SavedView) -> None:
    require(actor, "view")
    if view.owner_id != actor.pk:
        raise SavedView.DoesNotExist


@contextmanager
def _one_name(name: str) -> Iterator[None]:
    """Say in words that a person has a view of this name already."""
    try:
        yield
    except IntegrityError as error:
        raise Conflict(f"you keep a view called {name!r} already: choose another name") from error
