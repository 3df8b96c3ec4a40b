"""Search of the catalog, ranked by where the words were found, alike on SQLite and PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Greatest
from django.utils.translation import gettext as _

from apps.features.models import Feature, FeatureSet, FeatureSource, Tag

MAX_WORDS = 4
MAX_LENGTH = 200
#: characters of SQL or text around a hit
_AROUND = 36


@dataclass(frozen=True)
class Hint:
    """Where a row matched, when it was not its name: `text` in three parts around the hit."""

    where: str
    before: str
    hit: str
    after: str


def words_of(text: str) -> list[str]:
    """The words of a search; each must be found somewhere."""
    return text[:MAX_LENGTH].split()[:MAX_WORDS]


def search(queryset: QuerySet[Feature], text: str) -> QuerySet[Feature]:
    """Features in which every word is found, the best place first.

    Name (exact, then prefix, then inside) > name of the set > source column > description or title >
    SQL > tag > owner. A row is as good as the worst of its words. The published come before drafts.
    """
    words = words_of(text)
    if not words:
        return queryset
    ranks = []
    for word in words:
        places = _Places(word)
        queryset = queryset.filter(places.anywhere)
        cases = [When(condition, then=Value(rank)) for rank, condition in enumerate(places.ranked)]
        ranks.append(Case(*cases, default=Value(len(places.ranked)), output_field=IntegerField()))
    rank = ranks[0] if len(ranks) == 1 else Greatest(*ranks)
    return queryset.annotate(rank=rank).order_by("rank", "-feature_set__is_current", "name", "pk")


class _Places:
    """Where a word may stand. Subqueries hold no reference outwards, so a database reads each once."""

    def __init__(self, word: str) -> None:
        name = Q(name__icontains=word)
        sources = Q(pk__in=FeatureSource.objects.filter(_column(word)).order_by().values("feature_id"))
        description = Q(description__icontains=word)
        set_name, sql = Q(name__icontains=word), Q(sql__icontains=word)
        set_text = Q(title__icontains=word) | Q(description__icontains=word)
        tags = Tag.objects.filter(name__icontains=word).order_by().values("pk")
        tagged = Q(pk__in=FeatureSet.tags.through.objects.filter(tag__in=tags).values("featureset_id"))
        owner = Q()
        for part in ("username", "first_name", "last_name"):
            owner |= Q(**{f"owner__{part}__icontains": word})
        self.anywhere = name | description | sources | _in_sets(set_name | set_text | sql | tagged | owner)
        #: the best place first; what is in none of them was found by its owner
        self.ranked = [
            Q(name__iexact=word),
            Q(name__istartswith=word),
            name,
            _in_sets(set_name),
            sources,
            description | _in_sets(set_text),
            _in_sets(sql),
            _in_sets(tagged),
        ]


def _in_sets(condition: Q) -> Q:
    return Q(feature_set__in=FeatureSet.objects.filter(condition).order_by().values("pk"))


def _column(word: str) -> Q:
    """`balances.amt` names a column of a table; a word alone is a part of a column's or a table's name."""
    table, dot, column = word.rpartition(".")
    if dot and table:
        return Q(table__iendswith=table, column__istartswith=column)
    return Q(column__icontains=word) | Q(table__icontains=word)


def hints(features: Sequence[Feature], text: str) -> dict[int, Hint]:
    """For each feature whose name does not hold every word: where the first of the others was found.

    Reads the sources and the tags of these features only.
    """
    missing = {
        feature.pk: [word for word in words_of(text) if not _find(word, feature.name)] for feature in features
    }
    wanted = [feature for feature in features if missing[feature.pk]]
    if not wanted:
        return {}
    sources: dict[int, list[str]] = {}
    for source in FeatureSource.objects.filter(feature__in=wanted):
        sources.setdefault(source.feature_id, []).append(str(source))
    tags: dict[int, list[str]] = {}
    through = FeatureSet.tags.through.objects.filter(featureset__in={f.feature_set_id for f in wanted})
    for pk, name in through.values_list("featureset_id", "tag__name"):
        tags.setdefault(pk, []).append(name)
    found = {}
    for feature in wanted:
        places = _texts(feature, sources.get(feature.pk, []), tags.get(feature.feature_set_id, []))
        hint = _first_hint(missing[feature.pk][0], places)
        if hint is not None:
            found[feature.pk] = hint
    return found


def _texts(feature: Feature, sources: list[str], tags: list[str]) -> Iterable[tuple[str, str]]:
    """Texts of a feature with the word for each, in the order of the ranking."""
    held = feature.feature_set
    yield _("feature set"), held.name
    for source in sources:
        yield _("column"), source
    yield _("description"), feature.description
    yield _("title"), held.title
    yield _("description of the set"), held.description
    yield "SQL", held.sql
    for tag in tags:
        yield _("tag"), tag
    yield _("owner"), held.owner.display_name
    yield _("owner"), held.owner.username


def _first_hint(word: str, places: Iterable[tuple[str, str]]) -> Hint | None:
    for where, text in places:
        match = _find(word, text)
        if match is None:
            continue
        start, end = match.span()
        before, after = text[max(start - _AROUND, 0) : start], text[end : end + _AROUND]
        return Hint(
            where,
            ("…" if start > _AROUND else "") + _one_line(before),
            text[start:end],
            _one_line(after) + ("…" if end + _AROUND < len(text) else ""),
        )
    return None


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def _find(word: str, text: Any) -> re.Match[str] | None:
    return re.search(re.escape(word), text, re.IGNORECASE)
