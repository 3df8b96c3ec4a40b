"""Where the dates of a source stand beside the base date."""

from __future__ import annotations

from typing import Any

import pytest

from apps.features.timeline import WIDTH, timeline_of
from mlopslib.sql.leaks import SourceBounds


def bounds(low: str | None, high: str | None, status: str = "bounded", table: str = "t") -> dict[str, Any]:
    where = {"reason": "", "where": "the query"}
    return {"table": table, "column": "ym", "low": low, "high": high, "status": status, **where}


def test_a_bar_ends_where_its_last_day_ends() -> None:
    # drawn from 2026-03-01 to 2026-06-30: 122 days, of which 61 lie before 2026-05-01
    drawn = timeline_of([bounds("20260401", "20260430")], "202604")
    (line,) = drawn.lines
    assert drawn.base_x == pytest.approx(100 * 61 / 122, abs=0.01)
    assert line.x == pytest.approx(100 * 31 / 122, abs=0.01)
    assert line.right == pytest.approx(drawn.base_x, abs=0.02)
    assert (line.after_x, line.open_left, line.open_right) == (None, False, False)
    assert line.words == "2026-04-01 to 2026-04-30"


def test_what_lies_after_the_base_date_is_a_part_of_its_own() -> None:
    drawn = timeline_of(
        [bounds("20260401", "20260531", "after_base"), bounds("20260601", None, "open")], "202604"
    )
    across, beyond = drawn.lines
    assert across.after_x == drawn.base_x
    assert across.after_width == pytest.approx(across.right - drawn.base_x, abs=0.02)
    assert beyond.after_x == beyond.x > drawn.base_x
    assert beyond.open_right
    assert beyond.right == pytest.approx(WIDTH, abs=1)


def test_open_ends_are_said_in_words() -> None:
    given = [
        bounds(None, "20260430"),
        bounds("20260101", None),
        bounds(None, None),
        bounds(None, None, "timeless"),
    ]
    drawn = timeline_of(given, "202604")
    assert [line.words for line in drawn.lines] == [
        "everything up to 2026-04-30",
        "2026-01-01 and everything after it",
        "every date, past and future",
        "declared timeless",
    ]
    assert drawn.lines[3].x is None


def test_the_bounds_of_the_check_are_drawn_as_they_are() -> None:
    source = SourceBounds("t", "ym", "20260201", "20260430", "bounded", "ends in time", "the query")
    (line,) = timeline_of([source], "202604").lines
    assert (line.table, line.status, line.reason) == ("t", "bounded", "ends in time")


def test_a_range_of_years_has_a_few_names_and_stays_inside() -> None:
    drawn = timeline_of([bounds("20100101", "20260430")], "202604")
    named = [tick for tick in drawn.ticks if tick.label]
    assert 3 <= len(named) <= 7
    assert all(0 <= tick.x <= WIDTH for tick in drawn.ticks)
    assert 0 <= drawn.base_x <= WIDTH
