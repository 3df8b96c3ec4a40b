"""What changed between two versions, read from the definitions that they froze."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.utils.translation import gettext as _

from apps.common.charting import month_label
from apps.models.models import ModelVersion
from mlopslib.definition import ModelSpec


@dataclass(frozen=True)
class Change:
    """`sign` is + for what came, − for what went, ~ for what differs."""

    sign: Literal["+", "−", "~"]
    kind: str
    what: str
    detail: str = ""


def changes(champion: ModelVersion, challenger: ModelVersion) -> list[Change]:
    """Additions first, then removals, then what differs: data, features, derived variables, settings."""
    old, new = champion.spec, challenger.spec
    found = [
        *_features(old, new),
        *_derived(old, new),
        *_training(champion, challenger),
        *_settings(old, new),
    ]
    order = {"+": 0, "−": 1, "~": 2}
    return sorted(found, key=lambda change: order[change.sign])


def _features(old: ModelSpec, new: ModelSpec) -> list[Change]:
    before = {ref.column: ref for ref in old.features}
    after = {ref.column: ref for ref in new.features}
    kind = _("feature")
    found = [
        Change("+", kind, name, f"{after[name].feature_set} v{after[name].version}")
        for name in after
        if name not in before
    ]
    found += [Change("−", kind, name) for name in before if name not in after]
    pins_before = {ref.feature_set: ref.version for ref in old.features}
    pins_after = {ref.feature_set: ref.version for ref in new.features}
    found += [
        Change("~", _("feature set"), name, f"v{pins_before[name]} → v{pins_after[name]}")
        for name in pins_after
        if name in pins_before and pins_before[name] != pins_after[name]
    ]
    return found


def _derived(old: ModelSpec, new: ModelSpec) -> list[Change]:
    before = {item.name: item.expression for item in old.derived}
    after = {item.name: item.expression for item in new.derived}
    kind = _("derived variable")
    found = [Change("+", kind, name, after[name]) for name in after if name not in before]
    found += [Change("−", kind, name) for name in before if name not in after]
    found += [
        Change("~", kind, name, f"{before[name]} → {after[name]}")
        for name in after
        if name in before and before[name] != after[name]
    ]
    return found


def _training(champion: ModelVersion, challenger: ModelVersion) -> list[Change]:
    found = []
    before, after = (
        span(champion.card.get("train_months") or []),
        span(challenger.card.get("train_months") or []),
    )
    if before != after:
        found.append(Change("~", _("training window"), "", f"{before} → {after}"))
    rows_before, rows_after = train_rows(champion.card), train_rows(challenger.card)
    if rows_before != rows_after and rows_before is not None and rows_after is not None:
        found.append(Change("~", _("training rows"), "", f"{rows_before:,} → {rows_after:,}"))
    return found


def span(months: Sequence[str]) -> str:
    return f"{month_label(months[0])} … {month_label(months[-1])}" if months else "–"


def train_rows(card: Mapping[str, Any]) -> int | None:
    rows = card.get("rows")
    if isinstance(rows, Mapping):
        rows = rows.get("train")
    return rows if isinstance(rows, int) else None


def _settings(old: ModelSpec, new: ModelSpec) -> list[Change]:
    found = []
    if old.target_sql != new.target_sql:
        found.append(Change("~", _("target SQL"), "", _line_counts(old.target_sql, new.target_sql)))
    if old.algorithm != new.algorithm:
        found.append(Change("~", _("algorithm"), "", f"{old.algorithm} → {new.algorithm}"))
    groups: list[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = [
        (_("parameter"), old.params, new.params),
        (_("window"), vars(old.windows), vars(new.windows)),
        (_("gate"), vars(old.gates), vars(new.gates)),
        (_("setting"), _loose(old), _loose(new)),
    ]
    for kind, before, after in groups:
        names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
        found += [
            Change("~", kind, name, f"{_word(before.get(name))} → {_word(after.get(name))}") for name in names
        ]
    return found


def _loose(spec: ModelSpec) -> dict[str, Any]:
    return {"seed": spec.seed, "margin_auc": spec.margin_auc, "test_share": spec.test_share}


def _word(value: Any) -> str:
    return _("not set") if value is None else str(value)


def _line_counts(old: str, new: str) -> str:
    lines = list(difflib.ndiff(old.splitlines(), new.splitlines()))
    added = sum(line.startswith("+ ") for line in lines)
    removed = sum(line.startswith("- ") for line in lines)
    return _("%(added)d lines added, %(removed)d removed") % {"added": added, "removed": removed}
