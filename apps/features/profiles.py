"""What a page says of one feature's profile beside its plain columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from apps.features.models import FeatureProfile


@dataclass(frozen=True)
class TopValue:
    value: str
    count: int
    #: of the month's rows; None where the month had none
    share: float | None


@dataclass(frozen=True)
class ProfileSummary:
    """Quantiles from low to high, the most frequent values, the share of outliers."""

    quantiles: list[tuple[str, float]] = field(default_factory=list)
    top: list[TopValue] = field(default_factory=list)
    outliers: float | None = None


def summary_of(profile: FeatureProfile | None) -> ProfileSummary:
    """Read the details of a profile; what an older profile does not hold is left out."""
    details: dict[str, Any] = profile.details if profile and isinstance(profile.details, dict) else {}
    if profile is None or not details:
        return ProfileSummary()
    quantiles = [(share, value) for share, value in details.get("quantiles", {}).items() if value is not None]
    top = [
        TopValue(str(item["value"]), item["count"], item["count"] / profile.rows if profile.rows else None)
        for item in details.get("top", ())
    ]
    outliers = details.get("outliers", details.get("outlier_share"))
    return ProfileSummary(
        [(percent(share), value) for share, value in sorted(quantiles, key=lambda item: float(item[0]))],
        top,
        outliers,
    )


def percent(share: str) -> str:
    """``"0.01"`` as ``"1 %"``."""
    return f"{float(share) * 100:g} %"
