"""The online store as the portal sees it: what of a feature set is published, and what is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from django.conf import settings

from apps.common import access
from apps.features.models import FeatureSet, OnlinePublication
from apps.features.records import record_publication
from mlopslib.errors import InvalidInput, OnlineStoreError
from mlopslib.offline import open_store
from mlopslib.online import OnlineStore, Publication, open_online
from mlopslib.online.consistency import check_consistency
from mlopslib.online.keys import Kind

#: entities of one look-up on the page
MOST_LOOKED_UP = 20
#: a consumer tells of itself every two seconds
_SILENT_SECONDS = 15.0


@dataclass(frozen=True)
class Consumer:
    """A process that reads a stream, as it last told."""

    name: str
    source: str
    read: int
    written: int
    known: int
    bad: int
    lag: int | None
    newest: datetime | None
    heard_at: datetime
    is_running: bool

    @property
    def is_silent(self) -> bool:
        """It did not say that it stops, and has not been heard of since."""
        return self.is_running and (datetime.now(UTC) - self.heard_at).total_seconds() > _SILENT_SECONDS


@dataclass(frozen=True)
class OnlineState:
    """What the online store holds of a feature set; `away` says why it could not be asked."""

    away: str = ""
    publication: Publication | None = None
    kind: Kind | None = None
    streamed_at: datetime | None = None
    streamed_entities: int = 0
    consumers: list[Consumer] = field(default_factory=list)


def online_store() -> OnlineStore:
    return _opened(settings.ONLINE_URL, settings.REDIS_PREFIX)


@lru_cache(maxsize=4)
def _opened(url: str, prefix: str) -> OnlineStore:
    return open_online(url, prefix)


def online_state(feature_set: FeatureSet) -> OnlineState:
    """Never raises: a Redis that is away is told in `away`."""
    pin = (feature_set.name, feature_set.version)
    try:
        store = online_store()
        schema = store.schema(*pin)
        newest = store.last_streamed(*pin)
        return OnlineState(
            publication=store.current(*pin),
            kind=schema.kind if schema else None,
            streamed_at=newest[0] if newest else None,
            streamed_entities=newest[1] if newest else 0,
            consumers=[_consumer(name, facts) for name, facts in store.streams(*pin).items()],
        )
    except OnlineStoreError as error:
        return OnlineState(away=error.message)


def _consumer(name: str, facts: dict[str, Any]) -> Consumer:
    counts = {key: int(facts[key]) for key in ("read", "written", "known", "bad")}
    return Consumer(
        name=name,
        source=str(facts["source"]),
        lag=facts["lag"],
        newest=datetime.fromisoformat(facts["newest"]) if facts["newest"] else None,
        heard_at=datetime.fromtimestamp(facts["at"], tz=UTC),
        is_running=bool(facts["is_running"]),
        **counts,
    )


def check_again(*, actor: Any, feature_set: FeatureSet) -> OnlinePublication:
    """Hold a new sample of what is published against the offline month, and keep the figure.

    Raises AccessDenied, NotOnline, OnlineStoreError, Conflict, OfflineStoreError.
    """
    access.require(actor, "runs.start")
    online = online_store()
    # another seed each time, so that looking again looks at other entities
    seed = int(datetime.now(UTC).timestamp())
    found = check_consistency(open_store(settings.OFFLINE_URL), online, feature_set.to_spec(), seed=seed)
    publication = online.current(feature_set.name, feature_set.version)
    seconds = publication.seconds if publication else 0.0
    return record_publication(
        feature_set=feature_set,
        publication={
            "base_ym": found.base_ym,
            "generation": found.generation,
            "entities": found.entities,
            "seconds": seconds,
            "consistency": found.to_dict(),
        },
    )


def parse_entities(text: str, kind: Kind | None) -> list[int | str]:
    """Entity keys as a person types them: one a line, or, where they are numbers, with commas or spaces.

    Raises InvalidInput.
    """
    if kind == "int":
        words: Sequence[str] = text.replace(",", " ").split()
        wrong = next((word for word in words if not _is_whole(word)), None)
        if wrong is not None:
            raise InvalidInput(f"{wrong!r} is not a whole number, as the entities here are", field="entity")
        found: list[int | str] = [int(word) for word in words]
    else:
        found = [line for line in (line.strip("\r") for line in text.split("\n")) if line.strip()]
    if len(found) > MOST_LOOKED_UP:
        raise InvalidInput(f"look up {MOST_LOOKED_UP} entities at a time at most", field="entity")
    return list(dict.fromkeys(found))


def _is_whole(word: str) -> bool:
    return word.isascii() and word.removeprefix("-").isdigit() and len(word) < 25
