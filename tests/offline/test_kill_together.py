"""Three processes write and read one table; one after the other is killed by SIGKILL."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.offline.kill_together import Figures, kill_while_writing


def check(figures: Figures) -> None:
    assert figures.errors == ()
    assert figures.lost == ()
    assert figures.torn == ()
    # a kill may fall between the commit and its note: such a batch is there and nobody was told
    assert figures.acknowledged <= figures.present <= figures.acknowledged + figures.kills


def test_killed_writers_lose_and_tear_nothing(tmp_path: Path) -> None:
    figures = kill_while_writing(tmp_path / "offline", tmp_path / "notes", seconds=10, every=2)
    check(figures)
    assert figures.kills >= 3
    # how many depends on the machine; each of the first three processes wrote and was seen
    assert min(figures.acknowledged, figures.reads) >= 3


@pytest.mark.chaos
def test_killed_writers_lose_and_tear_nothing_for_a_minute(tmp_path: Path) -> None:
    figures = kill_while_writing(tmp_path / "offline", tmp_path / "notes", seconds=60, every=5)
    print(f"\n{figures}")
    check(figures)
    assert figures.kills >= 9
    assert min(figures.acknowledged, figures.reads) > 30
