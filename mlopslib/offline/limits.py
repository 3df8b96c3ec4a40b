"""What one query may take, and the watch that ends it when it takes more."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from mlopslib.errors import InvalidInput, QueryCancelled, QueryTimeout, QueryTooLarge

T = TypeVar("T")

#: seconds between two looks at the clock and at `is_cancelled`
POLL_SECONDS = 0.2
_MEMORY = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMGT])i?B\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Limits:
    """What one query may take; None is no limit of this query's own.

    Parameters
    ----------
    seconds
        Wall clock, from the first byte sent to the last row read.
    rows
        Rows of the answer.
    memory
        ``"2GB"``: what the engine may use for this query.
    """

    seconds: float | None = None
    rows: int | None = None
    memory: str | None = None

    def __post_init__(self) -> None:
        if self.seconds is not None and self.seconds <= 0:
            raise InvalidInput("a time limit is a number of seconds above 0", field="seconds")
        if self.rows is not None and self.rows < 1:
            raise InvalidInput("a limit of rows is a number of at least 1", field="rows")
        if self.memory is not None:
            memory_bytes(self.memory)

    def or_else(self, default: Limits) -> Limits:
        """These limits, with those of `default` where there is none."""
        return Limits(
            seconds=default.seconds if self.seconds is None else self.seconds,
            rows=default.rows if self.rows is None else self.rows,
            memory=default.memory if self.memory is None else self.memory,
        )


def memory_bytes(text: str) -> int:
    """
    >>> memory_bytes("512MB")
    512000000
    """
    found = _MEMORY.fullmatch(text)
    if found is None:
        raise InvalidInput(
            f"{text!r} is not an amount of memory: write it as in 512MB or 2GB", field="memory"
        )
    return int(float(found[1]) * 1000 ** (" KMGT".index(found[2].upper())))


class Watch:
    """The clock of one query, and the person who may stop it."""

    def __init__(self, limits: Limits, is_cancelled: Callable[[], bool] | None = None) -> None:
        self.limits = limits
        self._is_cancelled = is_cancelled
        self._deadline = None if limits.seconds is None else time.monotonic() + limits.seconds

    def check(self) -> None:
        """Raise QueryCancelled or QueryTimeout when the query has to end now."""
        if self._is_cancelled is not None and self._is_cancelled():
            raise QueryCancelled("the query was stopped")
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise QueryTimeout(
                f"the query ran longer than {self.limits.seconds:g} s and was stopped: "
                "read fewer months or rows, or allow it more time"
            )

    def check_rows(self, rows: int) -> None:
        """Raise QueryTooLarge when the answer has more rows than allowed."""
        if self.limits.rows is not None and rows > self.limits.rows:
            raise QueryTooLarge(
                f"the answer has more than {self.limits.rows:,} rows: aggregate, filter or add a LIMIT"
            )

    def run(self, work: Callable[[], T], *, interrupt: Callable[[], None]) -> T:
        """Do `work` in a thread while this thread keeps watch; `interrupt` makes `work` end early.

        The watch stays with the caller, so `is_cancelled` may use what belongs to its thread (a
        database connection), and a signal is heard while the engine works.
        """
        self.check()
        done = threading.Event()
        results: list[T] = []
        errors: list[BaseException] = []

        def target() -> None:
            try:
                results.append(work())
            except BaseException as error:
                errors.append(error)
            finally:
                done.set()

        thread = threading.Thread(target=target, name="offline-query", daemon=True)
        thread.start()
        try:
            while not done.wait(POLL_SECONDS):
                self.check()
        except BaseException:
            # one call may fall between two statements of `work`, so it is repeated
            while not done.is_set():
                interrupt()
                done.wait(0.05)
            raise
        finally:
            thread.join()
        if errors:
            raise errors[0]
        return results[0]
