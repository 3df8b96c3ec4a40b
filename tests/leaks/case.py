"""What a planted leak or a clean definition is."""

from __future__ import annotations

from dataclasses import dataclass, field

#: its last day, 2024-01-31, is the base date
BASE_YM = "202401"

SHOPS = {"shops": "a list of shops that is kept by hand"}


@dataclass(frozen=True)
class Case:
    name: str
    sql: str
    timeless: dict[str, str] = field(default_factory=dict)
    #: False where the text alone cannot tell, and only the poison test can
    is_told_by_text: bool = True
    labels: tuple[tuple[str, str], ...] = ()
