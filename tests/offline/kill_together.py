"""Processes that write and read one table while somebody kills them.

``python -m tests.offline.kill_together ROOT NOTES NAME`` is one of them. It writes a batch, notes the batch
in a file of its own that reached the disk, and reads the whole table; until the file NOTES/stop appears.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mlopslib.offline.embedded import EmbeddedStore

ROWS = 2000
TABLE = "log"
READ = f"select batch, count(*) as n, sum(part) as total from {TABLE} group by batch"
TOTAL = ROWS * (ROWS - 1) // 2


@dataclass(frozen=True)
class Figures:
    """What was seen; `lost`, `torn` and `errors` must be empty."""

    acknowledged: int
    present: int
    reads: int
    kills: int
    lost: tuple[str, ...]
    torn: tuple[str, ...]
    errors: tuple[str, ...]


def kill_while_writing(
    root: Path, notes: Path, *, seconds: float, every: float, processes: int = 3
) -> Figures:
    """Run `processes` for `seconds`; each `every` seconds one is killed and another takes its place."""
    notes.mkdir(parents=True)
    started = [_start(root, notes, number) for number in range(processes)]
    alive, kills, end = list(started), 0, time.monotonic() + seconds
    try:
        _wait_for_first_batches(notes, processes)
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(every, left))
            if time.monotonic() >= end:
                break
            victim = alive.pop(0)
            if victim.poll() is None:
                victim.send_signal(signal.SIGKILL)
                kills += 1
            victim.wait()
            started.append(_start(root, notes, len(started)))
            alive.append(started[-1])
        (notes / "stop").touch()
        codes = [process.wait(timeout=120) for process in alive]
    finally:
        for process in alive:
            process.kill()
    return _figures(root, notes, kills, codes)


def _start(root: Path, notes: Path, number: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.offline.kill_together", str(root), str(notes), str(number)]
    with open(notes / f"{number}.errors", "wb") as errors:
        return subprocess.Popen(command, stderr=errors)


def _wait_for_first_batches(notes: Path, processes: int) -> None:
    deadline = time.monotonic() + 120
    while len(list(notes.glob("*.acknowledged"))) < processes:
        assert time.monotonic() < deadline, "the writers did not start"
        time.sleep(0.05)


def _figures(root: Path, notes: Path, kills: int, codes: list[int]) -> Figures:
    acknowledged = [line for file in notes.glob("*.acknowledged") for line in _whole_lines(file)]
    reads = [line for file in notes.glob("*.reads") for line in _whole_lines(file)]
    present = {row["batch"]: row for row in EmbeddedStore(root).read_sql(READ).to_pylist()}
    errors = [text for file in notes.glob("*.errors") if (text := file.read_text().strip())]
    errors += [f"a process ended with {code}" for code in codes if code]
    return Figures(
        acknowledged=len(acknowledged),
        present=len(present),
        reads=len(reads),
        kills=kills,
        lost=tuple(batch for batch in acknowledged if batch not in present),
        torn=tuple(line for line in reads if line != "whole")
        + tuple(batch for batch, row in present.items() if (row["n"], row["total"]) != (ROWS, TOTAL))
        + tuple(batch for batch, times in Counter(acknowledged).items() if times > 1),
        errors=tuple(errors),
    )


def _whole_lines(file: Path) -> list[str]:
    """Lines that were written to their end: the last may be cut by the kill."""
    return [line.rstrip("\n") for line in file.open() if line.endswith("\n")]


def write_and_read(root: Path, notes: Path, name: str) -> None:
    store = EmbeddedStore(root, threads=1)
    mine: set[str] = set()
    with (
        open(notes / f"{name}.acknowledged", "a") as acknowledged,
        open(notes / f"{name}.reads", "a") as reads,
    ):
        while not (notes / "stop").exists():
            batch = f"{name}-{uuid.uuid4().hex}"
            frame = pd.DataFrame({"batch": [batch] * ROWS, "part": np.arange(ROWS)})
            store.save_pandas_to_table(frame, TABLE, table_creation=True)
            acknowledged.write(f"{batch}\n")
            acknowledged.flush()
            os.fsync(acknowledged.fileno())
            mine.add(batch)
            reads.write(_what_is_seen(store, mine) + "\n")
            reads.flush()


def _what_is_seen(store: EmbeddedStore, mine: set[str]) -> str:
    """``whole``, or the first batch that is not."""
    rows = store.read_sql(READ).to_pylist()
    for row in rows:
        if (row["n"], row["total"]) != (ROWS, TOTAL):
            return f"torn: {row}"
    missing = mine - {row["batch"] for row in rows}
    return f"not seen by its writer: {sorted(missing)[0]}" if missing else "whole"


if __name__ == "__main__":
    write_and_read(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
