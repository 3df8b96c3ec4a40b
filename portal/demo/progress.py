"""Progress on a terminal: one bar that moves in place, or plain lines where there is no terminal."""

from __future__ import annotations

import sys
import time

_WIDTH = 24


class Progress:
    """Numbered stages of a long job, each with a bar.

    Stages that finish stay on the screen with the seconds that they took.
    """

    def __init__(self, stages: int) -> None:
        self.stages = stages
        self.number = 0
        self._title = ""
        self._started = 0.0
        self._is_terminal = sys.stdout.isatty()

    def start(self, title: str) -> None:
        self.number += 1
        self._title = title
        self._started = time.monotonic()
        self._draw(0.0, "")

    def update(self, share: float, text: str = "") -> None:
        """`share` in 0..1."""
        if self._is_terminal:
            self._draw(min(max(share, 0.0), 1.0), text)

    def finish(self, text: str = "") -> None:
        seconds = time.monotonic() - self._started
        line = f"  [{self.number}/{self.stages}] {self._title}: {text or 'done'} ({seconds:.1f} s)"
        print(("\r\x1b[K" if self._is_terminal else "") + line, flush=True)

    def _draw(self, share: float, text: str) -> None:
        if not self._is_terminal:
            return
        filled = round(share * _WIDTH)
        bar = "#" * filled + "." * (_WIDTH - filled)
        print(f"\r\x1b[K  [{self.number}/{self.stages}] {self._title} {bar} {text}"[:150], end="", flush=True)
