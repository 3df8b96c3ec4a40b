"""A process that must not outlive the one that started it."""

from __future__ import annotations

import os
import signal
import threading
import time

#: after the parent's death a process has this long to leave in an orderly way
_GRACE_SECONDS = 20.0


def leave_with_parent(descriptor: int, *, at_once: bool = False) -> None:
    """Watch a pipe whose other end only the parent holds: its end is the parent's death.

    A pipe works where a parent-death signal does not (other systems, a parent that died before
    we asked), and a thread reads it, so a busy event loop cannot miss it.
    """

    def watch() -> None:
        # the parent never writes; read returns only at end of file
        while os.read(descriptor, 64):
            pass
        if at_once:
            os._exit(1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
