"""What is different between two definitions, for the person who approves the second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mlopslib.definition import ModelSpec

Change = dict[str, Any]


def what_changed(
    before: ModelSpec, after: ModelSpec, *, facts: Mapping[str, tuple[Any, Any]] | None = None
) -> list[Change]:
    """``[{"what", "from", "to"}]``: facts that differ first (base month, rows), then the definition.

    None on a side means that the thing is not there.
    """
    changes = [_change(what, old, new) for what, (old, new) in (facts or {}).items() if old != new]
    changes += _maps(
        "feature",
        {ref.column: f"{ref.feature_set} v{ref.version}, {ref.dtype}" for ref in before.features},
        {ref.column: f"{ref.feature_set} v{ref.version}, {ref.dtype}" for ref in after.features},
    )
    changes += _maps(
        "derived variable",
        {item.name: item.expression for item in before.derived},
        {item.name: item.expression for item in after.derived},
    )
    changes += _maps("parameter", before.params, after.params)
    changes += _maps("window", asdict(before.windows), asdict(after.windows))
    changes += _maps("gate", asdict(before.gates), asdict(after.gates))
    plain = ("algorithm", "target_sql", "test_share", "seed", "margin_auc")
    return changes + [
        _change(name.replace("_", " "), old, new)
        for name in plain
        if (old := getattr(before, name)) != (new := getattr(after, name))
    ]


def span(months: Sequence[str]) -> str:
    ordered = sorted(months)
    if not ordered:
        return ""
    return ordered[0] if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}"


def _maps(kind: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    return [
        _change(f"{kind} {name}", before.get(name), after.get(name))
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    ]


def _change(what: str, old: Any, new: Any) -> Change:
    return {"what": what, "from": old, "to": new}
