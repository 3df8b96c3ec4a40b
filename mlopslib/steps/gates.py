"""The limits of a definition against what was found, in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlopslib.definition import Gates

Gate = dict[str, Any]


def judge(
    gates: Gates,
    *,
    evaluations: Sequence[Mapping[str, Any]],
    feature_psi: Sequence[Mapping[str, Any]],
    comparison: Mapping[str, Any] | None,
) -> list[Gate]:
    """Each gate that is switched on: ``{"name", "figure", "limit", "passed", "sentence"}``.

    `passed` is None where the figure could not be taken; that is not a pass.

    Parameters
    ----------
    evaluations, feature_psi
        What `validate_oot` found. The gates on PSI take the worst month, also of those without labels.
    comparison
        The report against the champion; None for a model's first version, which has no AUC drop to judge.
    """
    pooled = next((row for row in evaluations if row["base_ym"] == ""), {})
    monthly = [row for row in evaluations if row["base_ym"]]
    found = [
        _floor("min_oot_auc", "OOT AUC", pooled.get("auc"), gates.min_oot_auc, 3),
        _floor("min_lift_at_10", "lift of the best tenth", pooled.get("lift_at_10"), gates.min_lift_at_10, 2),
        _score_psi(monthly, gates.max_score_psi),
        _feature_psi(feature_psi, gates.max_feature_psi),
        _auc_drop(comparison, gates.max_auc_drop),
        _floor("min_rows", "OOT rows with a target", _measured(pooled), gates.min_rows, 0),
        _floor("min_positives", "responders among them", pooled.get("positives"), gates.min_positives, 0),
    ]
    return [gate for gate in found if gate is not None]


def _measured(pooled: Mapping[str, Any]) -> int | None:
    if not pooled:
        return None
    return int(pooled["rows"] - pooled["details"]["without_target"])


def _floor(name: str, what: str, figure: float | None, limit: float | None, digits: int) -> Gate | None:
    if limit is None:
        return None
    if figure is None:
        return _gate(name, None, limit, None, f"{what}: could not be measured")
    passed = figure >= limit
    relation = "at least" if passed else "less than"
    return _gate(
        name, figure, limit, passed, f"{what} is {figure:,.{digits}f}, {relation} {limit:,.{digits}f}"
    )


def _score_psi(monthly: Sequence[Mapping[str, Any]], limit: float | None) -> Gate | None:
    if limit is None:
        return None
    known = [row for row in monthly if row["score_psi"] is not None]
    if not known:
        return _gate("max_score_psi", None, limit, None, "score PSI: no month was scored")
    worst = max(known, key=lambda row: row["score_psi"])
    what = f"the worst month's score PSI ({_month(worst['base_ym'])})"
    return _ceiling("max_score_psi", what, worst["score_psi"], limit)


def _feature_psi(rows: Sequence[Mapping[str, Any]], limit: float | None) -> Gate | None:
    if limit is None:
        return None
    if not rows:
        return _gate("max_feature_psi", None, limit, None, "feature PSI: no month was scored")
    worst = max(rows, key=lambda row: row["psi"])
    what = f"the worst feature PSI ({worst['feature']}, {_month(worst['base_ym'])})"
    return _ceiling("max_feature_psi", what, worst["psi"], limit)


def _auc_drop(comparison: Mapping[str, Any] | None, limit: float | None) -> Gate | None:
    if limit is None or comparison is None:
        return None
    pooled = comparison.get("pooled") or {}
    difference = (pooled.get("auc_difference") or {}).get("value")
    if difference is None:
        return _gate("max_auc_drop", None, limit, None, "AUC against the champion: no month is fair to both")
    champion = comparison.get("champion") or "the champion"
    drop = -difference
    passed = drop <= limit
    if drop <= 0:
        words = f"AUC is {difference:.4f} above that of {champion}: a drop of {limit:g} is allowed"
    else:
        words = (
            f"AUC is {drop:.4f} below that of {champion}, {'at most' if passed else 'more than'} {limit:g}"
        )
    return _gate("max_auc_drop", drop, limit, passed, words)


def _ceiling(name: str, what: str, figure: float, limit: float) -> Gate:
    passed = figure <= limit
    return _gate(
        name, figure, limit, passed, f"{what} is {figure:.3f}, {'at most' if passed else 'above'} {limit:.3f}"
    )


def _gate(name: str, figure: float | None, limit: float, passed: bool | None, sentence: str) -> Gate:
    return {
        "name": name,
        "figure": figure,
        "limit": limit,
        "passed": passed,
        "sentence": sentence[0].upper() + sentence[1:],
    }


def _month(ym: str) -> str:
    return f"{ym[:4]}-{ym[4:]}"
