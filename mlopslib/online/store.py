"""The online store on Redis: generations that are flipped at once, and an overlay that streams write.

**Publishing.** A publication writes every entity's row under a generation number of its own, counts them
in Redis, and only then moves the pointer `current`, forward only. Readers ask for the pointer and the rows
in one MGET, which Redis answers at one moment: where the pointer is the generation that was asked for, the
rows are of that generation, all of them. Else they ask again. Old generations can therefore go at once.
A publication that dies half-way leaves the pointer where it was; the next one sweeps its rows, which it
finds by the chunks of entities that are written down in the same transaction as the rows.

**Streams.** Events are written to an overlay, one key for each entity, outside the generations; so a flip
cannot lose them. Each value has its event time, and `get` takes, feature by feature, the newer of what was
published (whose event time is the last moment of the base month) and what was streamed. An event that
comes twice, or late, changes nothing. After a flip, overlay rows with nothing newer than the new
generation are dropped where that generation has the entity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlopslib.definition import FeatureSetSpec
from mlopslib.errors import Conflict, InvalidInput, NotOnline, OnlineStoreError
from mlopslib.online.connection import connect, masked, told
from mlopslib.online.keys import Entity, Keys, encode_entity
from mlopslib.online.overlay import Event, Overlay, now_utc
from mlopslib.online.publishing import Publisher
from mlopslib.online.values import (
    Head,
    OnlineRow,
    Publication,
    Schema,
    check_entities,
    read_current,
    read_row,
    to_micros,
)

if TYPE_CHECKING:
    import pyarrow as pa

#: entities of one `get`
MOST_ENTITIES = 10_000
#: how often a reader follows a pointer that moves under it
_FLIPS = 20
#: a publication may wait longer for an answer than a reader
_WRITE_SECONDS = 15.0

Rows = tuple[Head, list[bytes | None], list[bytes | None]]


class OnlineStore:
    """See `mlopslib.online.open_online`. Threads may share one; a forked process opens its own."""

    def __init__(self, url: str, prefix: str = "gijun", *, read_seconds: float = 1.0) -> None:
        self.url = url
        self.prefix = prefix
        self._reading = connect(url, answer_seconds=read_seconds, retries=1)
        self._writing = connect(url, answer_seconds=max(read_seconds, _WRITE_SECONDS), retries=0)
        self._heads: dict[Keys, Head] = {}

    def __repr__(self) -> str:
        return f"OnlineStore({masked(self.url)!r}, {self.prefix!r})"

    # reading

    def get(
        self,
        feature_set: str,
        version: int,
        entities: Sequence[Entity],
        *,
        features: Sequence[str] | None = None,
        max_age_seconds: float | None = None,
        now: datetime | None = None,
    ) -> list[OnlineRow]:
        """The newest values of each entity, in the order asked for; one MGET.

        Parameters
        ----------
        feature_set, version
            A version is pinned: another version may mean something else by the same name.
        entities
            Whole numbers or texts, as the feature set's key is; 10,000 at most.
        features
            Which features; all of them where left out.
        max_age_seconds
            A value whose event time is longer ago than this is given as missing, and said so.
        now
            The moment that ages are counted from; the clock's where left out.

        Raises
        ------
        NotOnline
            Nothing was ever published or streamed for this version.
        InvalidInput
            An entity of the wrong type, or a feature that the set does not have.
        OnlineStoreError
            Redis is away or does not answer in time.

        Examples
        --------
        >>> rows = open_online("redis://cache:6379/0").get("cust_balance", 3, [17, 42])  # doctest: +SKIP
        >>> rows[0].values, rows[0].status                                              # doctest: +SKIP
        ({'bal_avg_3m': 1250.5, 'grade': 'A'}, 'ok')
        """
        oldest_us = _oldest(max_age_seconds, now)
        if len(entities) > MOST_ENTITIES:
            raise InvalidInput(f"ask for {MOST_ENTITIES:,} entities at a time at most", field="entities")
        codes = _codes(entities)
        head, packed, overlays = self._read(self._keys(feature_set, version), codes, with_overlay=True)
        if head.schema is None:
            raise NotOnline(
                f"{feature_set} v{version} is not in the online store: publish a month of it first",
                field="feature_set",
            )
        check_entities(entities, head.schema, feature_set)
        wanted = _wanted(features, head.schema, feature_set)
        return [
            read_row(entity, row, overlay, head, wanted, oldest_us)
            for entity, row, overlay in zip(entities, packed, overlays, strict=True)
        ]

    def published_rows(self, publication: Publication, entities: Sequence[Entity]) -> list[OnlineRow]:
        """Rows as they were published, without what streams wrote since.

        Raises Conflict where another generation is current by now.
        """
        keys = self._keys(publication.feature_set, publication.version)
        head, packed, _overlays = self._read(keys, _codes(entities), with_overlay=False)
        if head.generation != publication.generation or head.schema is None:
            raise Conflict(
                f"generation {publication.generation} of {publication.feature_set} is no longer the "
                "current one: check again"
            )
        names = head.schema.names
        pairs = zip(entities, packed, strict=True)
        return [read_row(entity, row, None, head, names, None) for entity, row in pairs]

    def current(self, feature_set: str, version: int) -> Publication | None:
        """What is published now; None where nothing is."""
        with told(self.url):
            raw = self._reading.get(self._keys(feature_set, version).current)
        return None if raw is None else read_current(raw)

    def schema(self, feature_set: str, version: int) -> Schema | None:
        """Kind of entity and features, as soon as anything was published or streamed."""
        with told(self.url):
            raw = self._reading.get(self._keys(feature_set, version).schema)
        return None if raw is None else Schema.read(raw)

    def _read(self, keys: Keys, codes: list[bytes], *, with_overlay: bool) -> Rows:
        """Pointer, schema and rows of one moment."""
        head = self._heads.get(keys) or Head.read(None, None)
        overlays = [keys.overlay + code for code in codes] if with_overlay else []
        for _attempt in range(_FLIPS):
            prefix = keys.rows(head.generation)
            asked = [keys.current, keys.schema, *(prefix + code for code in codes), *overlays]
            with told(self.url):
                current, schema, *rows = self._reading.mget(asked)
            if (current, schema) == head.raw:
                return head, rows[: len(codes)], rows[len(codes) :]
            head = Head.read(current, schema)
            self._heads[keys] = head
        raise OnlineStoreError(
            f"{keys.feature_set} v{keys.version} was published {_FLIPS} times while it was read: try again"
        )

    def _keys(self, feature_set: str, version: int) -> Keys:
        return Keys(self.prefix, feature_set, version)

    # publishing

    def publish(
        self,
        feature_set: FeatureSetSpec,
        base_ym: str,
        rows: Iterable[pa.RecordBatch | pa.Table],
        event_time: datetime,
        *,
        after: int = 0,
        on_progress: Callable[[int], None] = lambda entities: None,
    ) -> Publication:
        """Write a month's rows as a new generation and flip to it; old generations are dropped.

        Parameters
        ----------
        rows
            Arrow batches with the entity key and every feature. NaN and infinities become missing.
        event_time
            The last moment of the base month, with its zone: a streamed value is newer from then on.
        after
            The newest generation that somebody remembers, so that numbers go on after Redis lost its data.

        Raises
        ------
        EmptyMonth, DataError
            No rows; a key that is missing or comes twice; columns that are not those of the feature set.
        Conflict
            A newer generation became current meanwhile.
        OnlineStoreError
            Redis is away, or dropped keys while they were written.
        """
        publisher = self._publisher(feature_set.name, feature_set.version)
        return publisher.publish(feature_set, base_ym, rows, event_time, after=after, on_progress=on_progress)

    def drop_old_generations(self, feature_set: str, version: int) -> int:
        """Drop what lies below the pointer; returns how many generations. `publish` has done it already."""
        current = self.current(feature_set, version)
        return 0 if current is None else self._publisher(feature_set, version).drop_old(current)

    def remove(self, feature_set: str, version: int) -> None:
        """Take a version out of the online store, with all that streams wrote for it."""
        self._publisher(feature_set, version).drop_everything()

    def _publisher(self, feature_set: str, version: int) -> Publisher:
        return Publisher(self._writing, self.url, self._keys(feature_set, version))

    # streams

    def upsert(
        self,
        feature_set: FeatureSetSpec,
        entity: Entity,
        values: Mapping[str, object],
        event_time: datetime,
    ) -> bool:
        """Write one event; False where all that it says was known already, or something newer was.

        Raises InvalidInput, OnlineStoreError.
        """
        (answer,) = self.upsert_many(feature_set, [Event(entity, event_time, values)])
        if isinstance(answer, InvalidInput):
            raise answer
        return answer

    def upsert_many(
        self, feature_set: FeatureSetSpec, events: Sequence[Event], *, now: datetime | None = None
    ) -> list[bool | InvalidInput]:
        """Write events in one round trip. A bad event is answered by its reason and stops no other."""
        overlay = self._overlay(feature_set.name, feature_set.version)
        return overlay.upsert(feature_set, events, now or now_utc())

    def last_streamed(self, feature_set: str, version: int) -> tuple[datetime, int] | None:
        """Event time of the newest streamed value, and how many entities have one; None where none has."""
        return Overlay(self._reading, self.url, self._keys(feature_set, version)).newest()

    def report_stream(self, feature_set: str, version: int, consumer: str, facts: Mapping[str, Any]) -> None:
        """Keep a consumer's sign of life."""
        self._overlay(feature_set, version).report(consumer, facts)

    def streams(self, feature_set: str, version: int) -> dict[str, dict[str, Any]]:
        """The last sign of life of each consumer; those of more than a week ago are forgotten."""
        return Overlay(self._reading, self.url, self._keys(feature_set, version)).consumers()

    def _overlay(self, feature_set: str, version: int) -> Overlay:
        return Overlay(self._writing, self.url, self._keys(feature_set, version))


def _codes(entities: Sequence[Entity]) -> list[bytes]:
    codes = []
    for position, entity in enumerate(entities):
        try:
            codes.append(encode_entity(entity))
        except InvalidInput as error:
            raise InvalidInput(error.message, field=f"entities[{position}]") from error
    return codes


def _oldest(max_age_seconds: float | None, now: datetime | None) -> int | None:
    if max_age_seconds is None:
        return None
    if not 0 < max_age_seconds < 1e9:
        raise InvalidInput("the maximum age is a number of seconds above 0", field="max_age_seconds")
    return to_micros((now or now_utc()) - timedelta(seconds=max_age_seconds))


def _wanted(features: Sequence[str] | None, schema: Schema, feature_set: str) -> Sequence[str]:
    if features is None:
        return schema.names
    for name in features:
        if name not in schema.names:
            raise InvalidInput(
                f"{feature_set} has no feature {name!r}; it has {', '.join(schema.names)}", field="features"
            )
    return features
