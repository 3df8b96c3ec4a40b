"""What can go wrong with a run beside its own work."""

from __future__ import annotations

from mlopslib.errors import Conflict, GijunError, InvalidInput

#: exit codes of a step's process; after 0 the rows say how it ended
EXIT_STOPPED = 75
EXIT_MEMORY = 77


class PipelineInvalid(InvalidInput):
    """A pipeline, policy or schedule that cannot work."""

    code = "pipeline-invalid"


class RunEnded(Conflict):
    """The run is not in a state that can be cancelled or resumed."""

    code = "run-ended"


class KeyReused(Conflict):
    """An idempotency key came again with another request."""

    code = "idempotency-key-reused"


class FenceLost(GijunError):
    """The step was given to somebody else: whatever this process made of it no longer counts."""

    code = "fence-lost"


class ResultInvalid(GijunError):
    """A step returned something that the record cannot hold."""

    code = "result-invalid"
