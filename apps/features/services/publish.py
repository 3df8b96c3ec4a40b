"""Publishing: a draft becomes the current version of its name, and never changes again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.common.access import require
from apps.common.audit import record
from apps.features.lineage import store_sources
from apps.features.models import Feature, FeatureSet
from apps.features.services.definition import (
    SAMPLE_YM,
    match_features,
    understand,
)
from apps.features.services.draft import current_of, draft_of, read_draft, write_draft
from apps.features.services.key_count import require_unique_key
from apps.features.services.leak_check import LeakCheck, check_leaks
from apps.features.services.schemas import Schema, schema_of
from mlopslib.artifacts import sha256_of
from mlopslib.definition import FeatureSpec
from mlopslib.errors import Conflict, DefinitionInvalid, GijunError, InvalidInput
from mlopslib.offline.base import OfflineStore
from mlopslib.sql import tables_in
from mlopslib.sql.fingerprint import fingerprint

_DRAFT = FeatureSet.Status.DRAFT


def create_feature_set(
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
    acknowledge: str = "",
    seen_at: datetime | None = None,
) -> FeatureSet:
    """Save a feature query and publish it in one; a new version where the name exists.

    The query is rendered for a sample month, guarded, and described by the engine without running.
    `features` says how to read its columns; columns that it leaves out are read by their engine type.
    A draft of the name is taken over where `seen_at` says that the person was shown it, else it is in
    the way. Raises AccessDenied, DefinitionInvalid, SqlRejected, UnknownParameter, QueryFailed, Conflict.
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
    given = features if features is not None else [spec for spec, _ in text.columns]
    declared = _declared(name) if timeless_tables is None else text.values["timeless_tables"]
    ready = _prepare(
        sql, store, name=name, entity_key=entity_key, given=given, timeless=declared, acknowledge=acknowledge
    )
    draft = draft_of(name)
    if draft is not None and seen_at is None:
        raise Conflict(f"there is a draft {draft} of {draft.owner.username}: publish or discard it first")
    with transaction.atomic():
        return _publish(actor, write_draft(actor, text, seen_at=seen_at), ready)


def publish(*, actor: Any, store: OfflineStore, feature_set: FeatureSet, acknowledge: str = "") -> FeatureSet:
    """Make a draft the current version of its name.

    A query whose entity key repeats in the newest month is refused.
    A source that is read up to a day after the base date is refused. A source with a date column and
    no upper bound is refused too, unless it is declared timeless or `acknowledge` says why it does no
    harm; so is a column whose name says that it looks ahead. The reason goes into the trail.
    Raises AccessDenied, Conflict (no draft any more, or somebody else was first), DefinitionInvalid,
    SqlRejected, UnknownParameter, QueryFailed.
    """
    require(actor, "features.create")
    if feature_set.status != _DRAFT:
        raise Conflict(f"{feature_set} is {feature_set.get_status_display().lower()} already: edit it first")
    names = {column.name for column in understand(feature_set.sql, store).columns}
    ready = _prepare(
        feature_set.sql,
        store,
        name=feature_set.name,
        entity_key=feature_set.entity_key,
        given=[
            FeatureSpec(f.name, f.dtype, f.description)
            for f in feature_set.features.all()
            if f.name in names - {feature_set.entity_key}
        ],
        timeless=feature_set.timeless_tables,
        acknowledge=acknowledge,
    )
    return _publish(actor, feature_set, ready)


@dataclass(frozen=True)
class _Ready:
    """Everything that publishing asks the engine for, so that no transaction waits for it."""

    sql_sha256: str
    fingerprint: str
    tables: list[str]
    schema: Schema
    specs: list[FeatureSpec]
    engine_types: dict[str, str]
    doubtful: list[str]
    #: why what is doubtful does no harm
    reason: str


def _prepare(
    sql: str,
    store: OfflineStore,
    *,
    name: str,
    entity_key: str,
    given: Sequence[FeatureSpec],
    timeless: Mapping[str, str],
    acknowledge: str,
) -> _Ready:
    understood = understand(sql, store)
    specs = match_features(understood.columns, entity_key=entity_key, features=given)
    tables = tables_in(understood.rendered)
    leaks = check_leaks(sql, SAMPLE_YM, store=store, timeless=timeless)
    reason = _check_leaks(leaks, acknowledge)
    require_unique_key(store, sql, entity_key, name=name)
    return _Ready(
        sql_sha256=sha256_of(sql.encode()),
        fingerprint=fingerprint(sql),
        tables=tables,
        schema=schema_of(store, tables),
        specs=specs,
        engine_types={column.name: column.type for column in understood.columns},
        doubtful=leaks.doubtful,
        reason=reason,
    )


def _publish(actor: Any, draft: FeatureSet, ready: _Ready) -> FeatureSet:
    try:
        with transaction.atomic():
            row = FeatureSet.objects.select_for_update().get(pk=draft.pk)
            is_same = row.updated_at == draft.updated_at and row.sql_sha256 == ready.sql_sha256
            if row.status != _DRAFT or not is_same:
                raise Conflict(f"{draft} was changed or published by somebody else: look at it again")
            FeatureSet.objects.filter(name=row.name, is_current=True).update(is_current=False)
            row.status = FeatureSet.Status.PUBLISHED
            row.is_current = True
            row.published_at = timezone.now()
            row.source_tables = ready.tables
            row.sql_fingerprint = ready.fingerprint
            row.timeless_tables = {
                table: words for table, words in row.timeless_tables.items() if table in ready.tables
            }
            row.save()
            _write_features(row, ready)
            _store_sources(row, ready.schema)
            told: dict[str, Any] = {}
            if row.timeless_tables:
                told["timeless_tables"] = row.timeless_tables
            if ready.reason:
                told |= {"doubtful": ready.doubtful, "acknowledged": ready.reason}
            record(
                actor,
                "feature_set.published",
                row,
                version=row.version,
                sql_sha256=row.sql_sha256,
                source_tables=row.source_tables,
                features=[spec.name for spec in ready.specs],
                **told,
            )
    except FeatureSet.DoesNotExist as error:
        raise Conflict(f"the draft {draft} was discarded by somebody else") from error
    except IntegrityError as error:
        raise Conflict(
            f"somebody else published {draft.name} at this moment: look at it, then try again"
        ) from error
    return row


def _declared(name: str) -> dict[str, str]:
    """The timeless tables that the name's current version declares."""
    current = current_of(name)
    return dict(current.timeless_tables) if current else {}


def _check_leaks(leaks: LeakCheck, acknowledge: str) -> str:
    """Refuse what reads the future; returns the reason for what stays open, empty where nothing does."""
    if leaks.after_tables:
        raise DefinitionInvalid(
            f"{leaks.sentence_after} A feature may only know what was known at the base date: "
            "end the range at {base_ym} or {base_dt}",
            field="sql",
        )
    reason = " ".join(acknowledge.split())
    if len(reason) > 300:
        raise InvalidInput("the reason has 300 characters at most", field="acknowledge")
    if leaks.is_clean is None and not reason:
        raise DefinitionInvalid(
            f"the dates of this query could not be read ({leaks.sentence}): try again, or say why it does "
            "no harm",
            field="acknowledge",
        )
    if leaks.labels and not reason:
        raise DefinitionInvalid(
            f"{', '.join(leaks.labels)}: a column of this name is known only after its row's date. Leave it "
            "out, or say why it does no harm",
            field="acknowledge",
        )
    if leaks.open_tables and not reason:
        raise DefinitionInvalid(
            f"{', '.join(leaks.open_tables)}: read without an end date, so rows after the base date come in. "
            "Add a condition such as column <= '{base_dt}', declare the table timeless, or say why it does "
            "no harm",
            field="acknowledge",
        )
    return reason if leaks.doubtful else ""


def _store_sources(row: FeatureSet, schema: Schema) -> None:
    """Source columns of the features; none where the query is beyond what lineage can follow."""
    with suppress(GijunError), transaction.atomic():
        store_sources(row, schema)


def _write_features(row: FeatureSet, ready: _Ready) -> None:
    row.features.all().delete()
    Feature.objects.bulk_create(
        Feature(
            feature_set=row,
            position=position,
            name=spec.name,
            dtype=spec.dtype,
            engine_type=ready.engine_types[spec.name][:40],
            description=spec.description[:300],
        )
        for position, spec in enumerate(ready.specs)
    )
