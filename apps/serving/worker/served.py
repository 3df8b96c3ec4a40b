"""What this process serves: one slot for each endpoint, swapped by rebinding one reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from apps.serving.worker.rows import RowDecoder
from mlopslib.scoring import Scorer

SlotState = Literal["serving", "loading", "refused"]


@dataclass(frozen=True)
class Served:
    """A verified, warm version. A request reads one and keeps it to its end."""

    endpoint: str
    seq: int
    model: str
    version: str
    package_sha256: str
    identifiers: tuple[str, ...]
    echo: tuple[str, ...]
    contract: Mapping[str, Any]
    decoder: RowDecoder
    scorer: Scorer
    example: Mapping[str, Any]


@dataclass
class Slot:
    """What is known of one endpoint."""

    endpoint: str
    state: SlotState = "loading"
    reason: str = ""
    #: the newest sequence number seen, served or not
    target_seq: int = 0
    #: the newest verified number seen while nothing is served; an older one is a replay
    floor_seq: int = 0
    #: verified manifests up to this one are not tried again
    refused_seq: int = 0
    #: the same bytes are not verified again
    refused_digest: str = ""
    #: loads that died for want of time or memory
    attempts: int = 0
    #: this host has served it before, so it must serve it again to be ready
    is_required: bool = False
    requests: int = 0
    served: Served | None = None


@dataclass
class Slots:
    """All endpoints of this process. Only its event loop writes here."""

    by_name: dict[str, Slot] = field(default_factory=dict)
    #: endpoint -> what answers; the only thing that requests read
    served: Mapping[str, Served] = field(default_factory=dict)
    #: the first look at the manifests is over
    is_settled: bool = False
    is_draining: bool = False

    def of(self, endpoint: str) -> Slot:
        return self.by_name.setdefault(endpoint, Slot(endpoint))

    def swap(self, served: Served) -> None:
        slot = self.of(served.endpoint)
        slot.served, slot.is_required, slot.attempts = served, True, 0
        slot.state, slot.reason = "serving", ""
        slot.target_seq = max(slot.target_seq, served.seq)
        self.served = MappingProxyType({**self.served, served.endpoint: served})

    @property
    def not_loaded(self) -> Sequence[str]:
        return [name for name, slot in self.by_name.items() if slot.is_required and slot.served is None]

    @property
    def is_ready(self) -> bool:
        """Something is served, and all that this host must serve.

        An endpoint whose first manifest is refused does not count: it would take every worker out
        of service for the others.
        """
        return bool(self.served) and self.is_settled and not self.not_loaded and not self.is_draining

    @property
    def is_degraded(self) -> bool:
        return any(slot.state == "refused" for slot in self.by_name.values())
