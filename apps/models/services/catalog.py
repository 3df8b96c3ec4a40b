"""Definitions of models, and the versions trained from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Max

from apps.common.access import require
from apps.common.audit import record
from apps.features.models import FeatureSet
from apps.models.models import ModelVersion, RegisteredModel
from mlopslib.artifacts import canonical_json, sha256_of
from mlopslib.dates import date_params, validate_ym
from mlopslib.definition import IDENTIFIER, ModelSpec, check_identifier
from mlopslib.derive import parse_expression
from mlopslib.errors import AccessDenied, DefinitionInvalid, ExpressionInvalid, InvalidInput
from mlopslib.sql import guard_select, render_sql

#: any month does for checking a query; nothing runs
_SAMPLE_YM = "202401"
ALGORITHMS = ("lightgbm_binary",)


def define_model(
    *, actor: Any, spec: ModelSpec, title: str, description: str, entity: str
) -> RegisteredModel:
    """Put a model into the catalog; its owner may define it again, for the versions to come.

    Raises AccessDenied, DefinitionInvalid, ExpressionInvalid, SqlRejected, UnknownParameter.
    """
    require(actor, "models.define")
    check_identifier(spec.name)
    check_identifier(entity, field="entity")
    if not 0 < len(title.strip()) <= 120:
        raise DefinitionInvalid("a model needs a title of 1 to 120 characters", field="title")
    check_definition(spec)
    with transaction.atomic():
        # again and locked: a set that somebody deletes at this moment is gone or stays, not both
        feature_sets = _pinned_sets(spec, for_update=True)
        existing = RegisteredModel.objects.select_for_update().filter(name=spec.name).first()
        if existing is not None and existing.owner_id != actor.pk:
            raise AccessDenied(
                f"{spec.name} belongs to {existing.owner.username}, who alone may define it again"
            )
        registered_model = existing or RegisteredModel(name=spec.name, owner=actor)
        registered_model.title = title.strip()
        registered_model.description = description
        registered_model.entity = entity
        registered_model.definition = spec.to_dict()
        registered_model.save()
        registered_model.feature_sets.set(feature_sets)
        record(
            actor,
            "model.redefined" if existing else "model.defined",
            registered_model,
            definition_sha256=sha256_of(canonical_json(spec.to_dict())),
            feature_sets=[str(row) for row in feature_sets],
        )
    return registered_model


def check_definition(spec: ModelSpec) -> list[FeatureSet]:
    """The feature sets that a definition pins. Raises where it could not be trained."""
    if spec.algorithm not in ALGORITHMS:
        raise DefinitionInvalid(
            f"{spec.algorithm!r} is not an algorithm here; there is {', '.join(ALGORITHMS)}",
            field="algorithm",
        )
    if not spec.features:
        raise DefinitionInvalid("a model needs one feature at least", field="features")
    check_identifier(spec.entity_key, field="entity_key")
    feature_sets = _pinned_sets(spec)
    _check_names(spec)
    _check_numbers(spec)
    guard_select(render_sql(spec.target_sql, date_params(_SAMPLE_YM)))
    return feature_sets


def _pinned_sets(spec: ModelSpec, *, for_update: bool = False) -> list[FeatureSet]:
    pins = {(ref.feature_set, ref.version) for ref in spec.features}
    rows = FeatureSet.objects.pinned(pins).prefetch_related("features")
    if for_update:
        rows = rows.select_for_update()
    found = {(row.name, row.version): row for row in rows}
    for name, version in sorted(pins - set(found)):
        raise DefinitionInvalid(f"there is no feature set {name} v{version}", field="features")
    for row in found.values():
        if row.status in (FeatureSet.Status.DRAFT, FeatureSet.Status.DELETED):
            state = row.get_status_display().lower()
            raise DefinitionInvalid(f"{row} is {state}: a model takes published versions", field="features")
        if row.entity_key != spec.entity_key:
            raise DefinitionInvalid(
                f"{row} has the key {row.entity_key}, the model has {spec.entity_key}", field="entity_key"
            )
    dtypes = {
        pin: {feature.name: feature.dtype for feature in row.features.all()} for pin, row in found.items()
    }
    for ref in spec.features:
        dtype = dtypes[ref.feature_set, ref.version].get(ref.column)
        if dtype is None:
            raise DefinitionInvalid(
                f"{ref.feature_set} v{ref.version} has no feature {ref.column}", field="features"
            )
        if dtype != ref.dtype:
            raise DefinitionInvalid(
                f"{ref.column} is {dtype} in {ref.feature_set} v{ref.version}, not {ref.dtype}",
                field="features",
            )
    return [found[pin] for pin in sorted(found)]


def _check_names(spec: ModelSpec) -> None:
    columns = [ref.column for ref in spec.features]
    names = [*columns, *(item.name for item in spec.derived)]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DefinitionInvalid(f"{', '.join(repeated)}: more than one input of this name", field="features")
    for item in spec.derived:
        if not IDENTIFIER.match(item.name):
            check_identifier(item.name, field="derived")
        try:
            parse_expression(item.expression, columns=columns)
        except ExpressionInvalid as error:
            raise ExpressionInvalid(f"{item.name}: {error.message}", field="derived") from error


def _check_numbers(spec: ModelSpec) -> None:
    windows = spec.windows
    if not 0 < spec.test_share < 1:
        raise DefinitionInvalid("test_share lies between 0 and 1", field="test_share")
    if spec.margin_auc < 0:
        raise DefinitionInvalid("margin_auc is 0 or more", field="margin_auc")
    if windows.performance_months < 1 or windows.data_lag_months < 0:
        raise DefinitionInvalid(
            "a target looks at one month at least, and labels are not early", field="windows"
        )
    if windows.train_months < 1 or windows.oot_months < 1:
        raise DefinitionInvalid("training and OOT need one month each at least", field="windows")
    if windows.embargo_months is not None and windows.embargo_months < windows.performance_months:
        raise DefinitionInvalid(
            f"an embargo of {windows.embargo_months} months lets training labels, which look at "
            f"{windows.performance_months} months, into the OOT months",
            field="windows",
        )


def register_version(
    *,
    registered_model: RegisteredModel,
    author: Any,
    base_ym: str,
    package_sha256: str,
    definition: Mapping[str, Any],
    card: Mapping[str, Any],
) -> ModelVersion:
    """Keep one trained result under the model's next number, as a candidate."""
    validate_ym(base_ym)
    check_sha256(package_sha256, field="package_sha256")
    with transaction.atomic():
        RegisteredModel.objects.select_for_update().get(pk=registered_model.pk)
        newest = registered_model.versions.aggregate(number=Max("number"))["number"] or 0
        version = ModelVersion.objects.create(
            registered_model=registered_model,
            number=newest + 1,
            author=author,
            base_ym=base_ym,
            package_sha256=package_sha256,
            definition=dict(definition),
            card=dict(card),
        )
        record(author, "version.registered", version, base_ym=base_ym, package_sha256=package_sha256)
    return version


def check_sha256(value: str, *, field: str) -> str:
    if len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise InvalidInput(f"{field} is 64 hexadecimal digits", field=field)
    return value


def authors_of(version: ModelVersion) -> Sequence[tuple[int, str]]:
    """(user id, what they made) for everybody whose work is in a version."""
    pins = {(ref["feature_set"], ref["version"]) for ref in version.definition.get("features", ())}
    people = [
        (version.author_id, f"trained {version}"),
        (version.registered_model.owner_id, f"defined the model {version.registered_model}"),
    ]
    people += [(row.owner_id, f"wrote the feature set {row}") for row in FeatureSet.objects.pinned(pins)]
    return people
