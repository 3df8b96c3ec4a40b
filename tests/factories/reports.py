"""What pipeline steps put into JSON: lift tables, comparison reports, gates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlopslib.dates import add_months


def lift_rows(*, rows: int = 20_000, top: float = 3.0) -> list[dict[str, Any]]:
    """A lift table as `mlopslib.metrics.lift_table` gives it, falling from `top`."""
    rate = 0.04
    lifts = [max(top - 0.42 * decile, 0.05) for decile in range(10)]
    scale = 10 / sum(lifts)
    table, captured, n = [], 0.0, rows / 10
    for decile, raw in enumerate(lifts, start=1):
        lift = raw * scale
        captured += lift / 10
        table.append(
            {
                "decile": decile,
                "n": n,
                "responders": n * rate * lift,
                "rate": rate * lift,
                "lift": lift,
                "cumulative_lift": captured / (decile / 10),
                "capture": captured,
            }
        )
    return table


def comparison_report(
    *,
    verdict: str = "BETTER",
    months: Sequence[str] = ("202602", "202603", "202604"),
    champion: str = "v1",
    challenger: str = "v2",
) -> dict[str, Any]:
    """What `ComparisonReport.to_dict()` and the compare step's additions hold."""
    shift = {"BETTER": 0.02, "NOT_WORSE": 0.001, "WORSE": -0.02, "CANNOT_TELL": 0.003}[verdict]

    def figures(n: int, offset: float) -> dict[str, Any]:
        auc, difference = 0.74 + offset, shift - offset / 2
        return {
            "n": n,
            "positives": n // 25,
            "auc_champion": {"value": auc, "low": auc - 0.02, "high": auc + 0.02},
            "auc_challenger": {
                "value": auc + difference,
                "low": auc + difference - 0.02,
                "high": auc + difference + 0.02,
            },
            "auc_difference": {
                "value": difference,
                "low": difference - 0.01,
                "high": difference + 0.01,
                "p": 0.01,
            },
            "ks_champion": 0.40 + offset,
            "ks_challenger": 0.40 + offset + difference,
            "lift10_champion": 3.0 + offset,
            "lift10_challenger": 3.0 + offset + 5 * difference,
        }

    return {
        "champion": champion,
        "challenger": challenger,
        "months": [
            {"base_ym": ym, "verdict": verdict, **figures(20_000, -0.01 * index)}
            for index, ym in enumerate(months)
        ],
        "pooled": figures(20_000 * len(months), 0.0),
        "excluded": {add_months(months[-1], 1): "the labels are not mature"},
        "mde_auc": 0.0066,
        "deciles": {"champion": lift_rows(top=3.0), "challenger": lift_rows(top=3.4)},
        "swap_set": {"in_n": 612, "out_n": 612, "in_responders": 61, "out_responders": 40},
        "verdict": verdict,
        "sentence": f"{challenger} against {champion}: {verdict} on {len(months)} months.",
        "worse_months": [months[-1]] if verdict != "BETTER" else [],
        "score_psi": {
            "champion": {ym: 0.05 + 0.04 * index for index, ym in enumerate(months)},
            "challenger": {ym: 0.02 + 0.01 * index for index, ym in enumerate(months)},
        },
        "gates": gates(),
        "what_changed": [{"what": "base_ym", "from": "202508", "to": "202606"}],
    }


def gates(*, failed: str | None = None) -> list[dict[str, Any]]:
    """Gates as the compare step gives them; `failed` names the one that did not pass."""
    rows = [
        ("min_oot_auc", 0.75, 0.6, "OOT AUC 0.750 is not below 0.600"),
        ("min_lift_at_10", 3.1, 1.5, "lift at 10% 3.10 is not below 1.50"),
        ("max_score_psi", 0.031, 0.25, "score PSI 0.031 is below 0.250"),
        ("max_feature_psi", 0.12, 0.25, "the worst feature PSI 0.120 is below 0.250"),
    ]
    return [
        {"name": name, "figure": figure, "limit": limit, "passed": name != failed, "sentence": sentence}
        for name, figure, limit, sentence in rows
    ]
