"""Progress and log lines of a running step, written once a second by a thread of their own."""

from __future__ import annotations

import logging
import threading
from types import TracebackType

from django.db import Error as AnyDatabaseError
from django.db import connection

from apps.pipelines.models import StepLog, StepRun
from mlopslib.errors import StepCancelled

logger = logging.getLogger(__name__)

_EVERY_SECONDS = 1.0
#: a step that logs more than this has its log cut, once
_MAX_CHARACTERS = 1_000_000


class Reporter:
    """The step only leaves its latest words here, so a busy database never slows it down.

    Use as a context manager: on leaving, what is left is written.
    """

    def __init__(self, step: StepRun) -> None:
        self._step = step
        self._lock = threading.Lock()
        self._progress: tuple[float, float, str] | None = None
        self._lines: list[str] = []
        self._written = 0
        self._is_lost = False
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._write_regularly, name="reporter", daemon=True)

    def progress(self, done: float, total: float, text: str = "") -> None:
        """The step's progress. Raises StepCancelled where the step is no longer this process's."""
        if self._is_lost:
            raise StepCancelled("the step was taken from this process")
        with self._lock:
            self._progress = (float(done), float(total), text.replace("\x00", "")[:200])

    def log(self, text: str) -> None:
        with self._lock:
            self._lines.append(text.replace("\x00", "").rstrip())

    def __enter__(self) -> Reporter:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self.flush()

    def _write_regularly(self) -> None:
        try:
            while not self._done.wait(_EVERY_SECONDS):
                self.flush()
        finally:
            connection.close()

    def flush(self) -> None:
        """Write what the step said since the last time."""
        with self._lock:
            progress, self._progress = self._progress, None
            lines, self._lines = self._lines, []
        try:
            self._write_progress(progress)
            self._write_lines(lines)
        except AnyDatabaseError as error:
            logger.warning("%s: could not report: %s", self._step, error)
            connection.close()
            with self._lock:
                self._progress = self._progress or progress
                self._lines = lines + self._lines

    def _write_progress(self, progress: tuple[float, float, str] | None) -> None:
        held = StepRun.objects.held(self._step.pk, self._step.fence)
        if progress is None:
            self._is_lost = not self._done.is_set() and not held.exists()
            return
        done, total, text = progress
        changed = held.update(progress_done=done, progress_total=total, progress_text=text)
        self._is_lost = not changed and not self._done.is_set()

    def _write_lines(self, lines: list[str]) -> None:
        if not lines or self._is_lost or self._written > _MAX_CHARACTERS:
            return
        text = "\n".join(lines)
        self._written += len(text)
        if self._written > _MAX_CHARACTERS:
            text = f"{text[:10_000]}\n... the log is cut here: more than {_MAX_CHARACTERS:,} characters"
        StepLog.objects.create(step=self._step, attempt=self._step.attempt, text=text)
