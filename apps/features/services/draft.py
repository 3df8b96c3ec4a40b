"""Drafts: what a person writes before it is published. One a name; saving again changes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max

from apps.common.access import require
from apps.common.audit import record
from apps.features.models import Feature, FeatureSet, Tag
from apps.features.services.definition import (
    check_given,
    check_name,
    check_words,
    clean_tags,
    clean_timeless,
    match_features,
    spec_of,
    understand,
)
from mlopslib.artifacts import sha256_of
from mlopslib.definition import FeatureSpec, check_identifier
from mlopslib.errors import Conflict, DefinitionInvalid, GijunError
from mlopslib.offline.base import Column, OfflineStore
from mlopslib.sql.guard import MAX_CHARACTERS

_DRAFT = FeatureSet.Status.DRAFT
_DELETED = FeatureSet.Status.DELETED


@dataclass(frozen=True)
class DraftText:
    """What a person wrote, checked as far as a draft must be; no row of it exists yet."""

    name: str
    entity: str
    entity_key: str
    values: dict[str, Any]
    #: None takes over what the name has
    tags: list[str] | None
    columns: list[tuple[FeatureSpec, str]]


def save_draft(
    *,
    actor: Any,
    store: OfflineStore,
    name: str,
    title: str,
    entity: str,
    entity_key: str,
    sql: str,
    features: Sequence[FeatureSpec] | None = None,
    description: str = "",
    domain: str = "",
    tags: Sequence[str] | None = None,
    timeless_tables: Mapping[str, str] | None = None,
    seen_at: datetime | None = None,
) -> FeatureSet:
    """Save a feature query as the draft of its name; the draft that is there takes the new text.

    A draft may hold a query that does not work yet: only `publish` asks for one that does. None for
    `features`, `tags` and `timeless_tables` takes over what the name has. `seen_at` is the
    `updated_at` of the draft that the person was shown; where somebody saved it since, it is refused.
    Raises AccessDenied, DefinitionInvalid, Conflict.
    """
    require(actor, "features.create")
    text = read_draft(
        store=store,
        name=name,
        title=title,
        entity=entity,
        entity_key=entity_key,
        sql=sql,
        features=features,
        description=description,
        domain=domain,
        tags=tags,
        timeless_tables=timeless_tables,
    )
    with transaction.atomic():
        draft = write_draft(actor, text, seen_at=seen_at)
        record(actor, "feature_set.draft_saved", draft, version=draft.version, sql_sha256=draft.sql_sha256)
    return draft


def read_draft(
    *,
    store: OfflineStore,
    name: str,
    title: str,
    entity: str,
    entity_key: str,
    sql: str,
    features: Sequence[FeatureSpec] | None,
    description: str,
    domain: str,
    tags: Sequence[str] | None,
    timeless_tables: Mapping[str, str] | None,
) -> DraftText:
    """Check what was written and ask the engine for its columns. No transaction is open meanwhile."""
    check_name(name)
    check_identifier(entity, field="entity")
    check_identifier(entity_key, field="entity_key")
    check_words(title=title, entity=entity, domain=domain)
    if len(sql) > MAX_CHARACTERS:
        raise DefinitionInvalid(f"the query is longer than {MAX_CHARACTERS:,} characters", field="sql")
    check_given(features or ())
    values = {
        "title": title.strip(),
        "description": description,
        "domain": domain,
        "sql": sql,
        "sql_sha256": sha256_of(sql.encode()),
    }
    if timeless_tables is not None:
        values["timeless_tables"] = clean_timeless(timeless_tables)
    given = _given(name) if features is None else {spec.name: spec for spec in features}
    return DraftText(
        name=name,
        entity=entity,
        entity_key=entity_key,
        values=values,
        tags=None if tags is None else clean_tags(tags),
        columns=_columns(sql, store, entity_key, given),
    )


def write_draft(actor: Any, text: DraftText, *, seen_at: datetime | None = None) -> FeatureSet:
    """The rows of a draft. Raises DefinitionInvalid, Conflict."""
    try:
        with transaction.atomic():
            draft, before = _draft_of(text.name, actor, seen_at)
            _check_entity(before, entity=text.entity, entity_key=text.entity_key)
            is_new = draft.pk is None
            if is_new and before is not None:
                draft.timeless_tables = before.timeless_tables
            draft.entity, draft.entity_key = text.entity, text.entity_key
            if not is_new and draft.sql_sha256 != text.values["sql_sha256"]:
                # what was proved is proved of another query
                draft.proofs.all().delete()
                draft.proof, draft.proved_months = FeatureSet.Proof.UNPROVED, 0
            for field, value in text.values.items():
                setattr(draft, field, value)
            draft.save()
            if text.tags is not None:
                draft.tags.set([Tag.objects.get_or_create(name=word)[0] for word in text.tags])
            elif is_new and before is not None:
                draft.tags.set(before.tags.all())
            _write_features(draft, text.columns)
    except IntegrityError as error:
        raise Conflict(
            f"somebody else saved a draft of {text.name} at this moment: look at it, then try again"
        ) from error
    return draft


def discard_draft(*, actor: Any, draft: FeatureSet) -> None:
    """Throw a draft away; a draft that runs were started on stays as a deleted row, for their sake."""
    require(actor, "features.create")
    with transaction.atomic():
        row = FeatureSet.objects.select_for_update().filter(pk=draft.pk, status=_DRAFT).first()
        if row is None:
            raise Conflict(f"{draft} is no draft any more")
        record(actor, "feature_set.draft_discarded", row, version=row.version, sql_sha256=row.sql_sha256)
        if row.pipelines.exists():
            row.status = _DELETED
            row.save()
        else:
            row.delete()


def current_of(name: str) -> FeatureSet | None:
    return FeatureSet.objects.current().filter(name=name).first()


def draft_of(name: str) -> FeatureSet | None:
    return FeatureSet.objects.filter(name=name, status=_DRAFT).first()


def _draft_of(name: str, actor: Any, seen_at: datetime | None) -> tuple[FeatureSet, FeatureSet | None]:
    """The draft of a name (a new one where there is none) and the version that it comes after."""
    rows = FeatureSet.objects.select_for_update().filter(name=name)
    before = rows.current().first()
    draft = rows.filter(status=_DRAFT).first()
    if draft is not None:
        if seen_at is not None and draft.updated_at != seen_at:
            raise Conflict(
                f"the draft of {name} was saved by somebody else while you wrote: "
                "what you typed is still here; open the draft beside it, then save again"
            )
        return draft, before
    if before is None and rows.filter(status=_DELETED, published_at__isnull=False).exists():
        raise DefinitionInvalid(
            f"there was a feature set {name}; its months and its trail keep the name: take another one",
            field="name",
        )
    newest = rows.aggregate(newest=Max("version"))["newest"] or 0
    return (
        FeatureSet(name=name, version=newest + 1, owner=actor, status=_DRAFT, is_current=False),
        before,
    )


def _check_entity(before: FeatureSet | None, *, entity: str, entity_key: str) -> None:
    """A published name stays with its entity; a name that is only a draft may still change it."""
    if before is None or (before.entity, before.entity_key) == (entity, entity_key):
        return
    raise DefinitionInvalid(
        f"{before.name} gives rows of {before.entity} by {before.entity_key}; "
        "a query for another entity is another feature set, under another name",
        field="entity" if before.entity != entity else "entity_key",
    )


def _given(name: str) -> dict[str, FeatureSpec]:
    """How the columns are read today: by the draft, else by the current version."""
    row = draft_of(name) or current_of(name)
    if row is None:
        return {}
    return {f.name: FeatureSpec(f.name, f.dtype, f.description) for f in row.features.all()}


def _columns(
    sql: str, store: OfflineStore, entity_key: str, given: Mapping[str, FeatureSpec]
) -> list[tuple[FeatureSpec, str]]:
    """The columns of a draft with their engine types, as far as its query can be understood."""
    try:
        found = understand(sql, store).columns
        match_features(found, entity_key=entity_key, features=None)
    except GijunError:
        return [(spec, "") for spec in given.values()]
    return [
        (_fitting(column, given.get(column.name)), column.type)
        for column in found
        if column.name not in (entity_key, "base_ym")
    ]


def _fitting(column: Column, given: FeatureSpec | None) -> FeatureSpec:
    """What was said of a column, unless its type has changed so that it cannot hold any more."""
    try:
        return spec_of(column, given)
    except DefinitionInvalid:
        return replace(spec_of(column, None), description=given.description if given else "")


def _write_features(draft: FeatureSet, columns: Sequence[tuple[FeatureSpec, str]]) -> None:
    draft.features.all().delete()
    Feature.objects.bulk_create(
        Feature(
            feature_set=draft,
            position=position,
            name=spec.name,
            dtype=spec.dtype,
            engine_type=engine_type[:40],
            description=spec.description[:300],
        )
        for position, (spec, engine_type) in enumerate(columns)
    )
