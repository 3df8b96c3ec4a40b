"""One box over the whole catalog: features, feature sets, models, endpoints and runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db.models import Case, IntegerField, Model, Q, QuerySet, Value, When
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.features.models import Feature, FeatureSet
from apps.models.models import RegisteredModel
from apps.pipelines.models import PipelineRun
from apps.serving.models import Endpoint

PER_GROUP = 8


@dataclass(frozen=True)
class Hit:
    title: str
    text: str
    href: str


@dataclass(frozen=True)
class Group:
    title: str
    icon: str
    hits: list[Hit]
    more_href: str = ""


def find(words: str) -> list[Group]:
    """Groups that have a hit; a name that begins with the words comes before one that holds them."""
    if not words:
        return []
    groups = [_features(words), _sets(words), _models(words), _endpoints(words), _runs(words)]
    return [group for group in groups if group.hits]


def _ranked(rows: QuerySet[Any], words: str, fields: list[str]) -> QuerySet[Any]:
    condition = Q()
    for field in fields:
        condition |= Q(**{f"{field}__icontains": words})
    rank = Case(
        When(name__iexact=words, then=Value(0)),
        When(name__istartswith=words, then=Value(1)),
        When(name__icontains=words, then=Value(2)),
        default=Value(3),
        output_field=IntegerField(),
    )
    return rows.filter(condition).annotate(rank=rank).order_by("rank", "name")


def _hits(rows: QuerySet[Any], text: Callable[[Any], str]) -> tuple[list[Hit], bool]:
    found: list[Model] = list(islice(rows[: PER_GROUP + 1], PER_GROUP + 1))
    hits = [Hit(str(row), text(row), row.get_absolute_url()) for row in found[:PER_GROUP]]
    return hits, len(found) > PER_GROUP


def _features(words: str) -> Group:
    rows = Feature.objects.filter(feature_set__is_current=True).select_related("feature_set")
    hits, more = _hits(
        _ranked(rows, words, ["name", "description"]),
        lambda row: (
            f"{row.feature_set.name} · {row.description}" if row.description else row.feature_set.name
        ),
    )
    href = f"{reverse('features:list', query={'q': words})}" if more else ""
    return Group(_("Features"), "features", hits, href)


def _sets(words: str) -> Group:
    rows = FeatureSet.objects.filter(is_current=True)
    hits, _more = _hits(_ranked(rows, words, ["name", "title", "description"]), lambda row: row.title)
    return Group(_("Feature sets"), "table", hits)


def _models(words: str) -> Group:
    rows = _ranked(RegisteredModel.objects.all(), words, ["name", "title", "description"])
    hits, _more = _hits(rows, lambda row: row.title)
    return Group(_("Models"), "models", hits)


def _endpoints(words: str) -> Group:
    rows = _ranked(Endpoint.objects.select_related("registered_model"), words, ["name"])
    hits, _more = _hits(rows, lambda row: row.registered_model.title)
    return Group(_("Endpoints"), "serving", hits)


def _runs(words: str) -> Group:
    condition = Q(pipeline__name__icontains=words)
    if words.isdigit():
        condition |= Q(pk=int(words)) | Q(base_ym=words)
    rows = PipelineRun.objects.filter(condition).select_related("pipeline")
    hits, more = _hits(rows, lambda row: row.get_status_display())
    href = f"{reverse('pipelines:list', query={'q': words})}" if more else ""
    return Group(_("Runs"), "runs", hits, href)
