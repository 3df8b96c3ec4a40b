"""Write a generation, count it, flip to it, and drop what lies below."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgpack

from mlopslib.dates import validate_ym
from mlopslib.definition import FeatureSetSpec
from mlopslib.errors import Conflict, DataError, EmptyMonth, GijunError, OnlineStoreError
from mlopslib.online import scripts
from mlopslib.online.connection import masked, told
from mlopslib.online.keys import Keys
from mlopslib.online.values import (
    Publication,
    Schema,
    key_kind,
    pack_batch,
    pack_current,
    read_current,
    to_micros,
)

if TYPE_CHECKING:
    import pyarrow as pa

#: entities of one transaction: other clients wait for a few milliseconds at most
CHUNK = 2_000
#: keys that one UNLINK names
_UNLINKED_AT_ONCE = 1_000


@dataclass
class Publisher:
    """Generations of one feature-set version."""

    connection: Any
    url: str
    keys: Keys

    def publish(
        self,
        feature_set: FeatureSetSpec,
        base_ym: str,
        rows: Iterable[pa.RecordBatch | pa.Table],
        event_time: datetime,
        *,
        after: int,
        on_progress: Callable[[int], None],
    ) -> Publication:
        """See `OnlineStore.publish`."""
        validate_ym(base_ym)
        event_us = to_micros(event_time)
        started = time.monotonic()
        with told(self.url):
            next_generation = self.connection.register_script(scripts.NEXT_GENERATION)
            generation = int(next_generation(keys=[self.keys.counter], args=[after]))
        try:
            schema, written = self._write_rows(generation, feature_set, rows, event_us, on_progress)
            self._check_written(generation, written)
            publication = Publication(
                feature_set=feature_set.name,
                version=feature_set.version,
                base_ym=base_ym,
                generation=generation,
                entities=written,
                seconds=round(time.monotonic() - started, 3),
                event_time=event_time.astimezone(UTC),
                published_at=datetime.now(UTC),
            )
            self._flip(publication, schema)
        except BaseException:
            # what cannot be swept now is swept by the next publication
            with suppress(GijunError):
                self.drop(generation)
            raise
        with suppress(OnlineStoreError):
            self.drop_old(publication)
        return publication

    def _write_rows(
        self,
        generation: int,
        feature_set: FeatureSetSpec,
        rows: Iterable[pa.RecordBatch | pa.Table],
        event_us: int,
        on_progress: Callable[[int], None],
    ) -> tuple[Schema, int]:
        schema: Schema | None = None
        written = 0
        for batch in rows:
            if schema is None:
                names = batch.schema.names
                key = feature_set.entity_key
                # without its key column the batch is refused below, in words
                kind = key_kind(batch.schema.field(key).type) if key in names else "text"
                schema = Schema.of(feature_set, kind)
            for start in range(0, batch.num_rows, CHUNK):
                size = min(CHUNK, batch.num_rows - start)
                chunk = dict(pack_batch(batch.slice(start, size), feature_set, schema, event_us))
                self._write_chunk(generation, feature_set, chunk, size)
                written += size
                on_progress(written)
        if schema is None or not written:
            raise EmptyMonth(f"there are no rows of {feature_set.name} to publish", field="base_ym")
        return schema, written

    def _write_chunk(
        self, generation: int, feature_set: FeatureSetSpec, chunk: Mapping[bytes, bytes], size: int
    ) -> None:
        prefix = self.keys.rows(generation)
        with told(self.url):
            pipeline = self.connection.pipeline(transaction=True)
            pipeline.get(self.keys.current)
            pipeline.sadd(self.keys.generations, generation)
            # in the same transaction as the rows: whoever sweeps knows of every row
            pipeline.rpush(self.keys.chunks(generation), msgpack.packb(list(chunk)))
            pipeline.msetnx({prefix + code: row for code, row in chunk.items()})
            current, _added, _length, is_new = pipeline.execute()
        if current is not None and read_current(current).generation >= generation:
            raise _superseded(feature_set.name, generation)
        if len(chunk) < size or not is_new:
            raise DataError(
                f"the rows of {feature_set.name} repeat a {feature_set.entity_key}: "
                "one row for each can be published",
                field="entity_key",
            )

    def _check_written(self, generation: int, written: int) -> None:
        """Count the rows in Redis: a server that evicts keys must not be flipped to."""
        prefix, found, position = self.keys.rows(generation), 0, 0
        with told(self.url):
            while chunk := self.connection.lindex(self.keys.chunks(generation), position):
                found += self.connection.exists(*(prefix + code for code in msgpack.unpackb(chunk)))
                position += 1
        if found != written:
            raise OnlineStoreError(
                f"{written:,} rows were written and {found:,} are there: the Redis at {masked(self.url)} "
                "drops keys; give it more memory and set maxmemory-policy noeviction"
            )

    def _flip(self, publication: Publication, schema: Schema) -> None:
        with told(self.url):
            is_flipped = self.connection.register_script(scripts.FLIP)(
                keys=[self.keys.current, self.keys.schema],
                args=[publication.generation, pack_current(publication), schema.pack()],
            )
        if not is_flipped:
            raise _superseded(publication.feature_set, publication.generation)

    def drop_old(self, current: Publication) -> int:
        """Drop the generations below the current one: nobody reads them, nobody can flip to them."""
        with told(self.url):
            found = map(int, self.connection.smembers(self.keys.generations))
        old = sorted(generation for generation in found if generation < current.generation)
        for generation in old:
            self.drop(generation)
        self._prune_overlay(current)
        return len(old)

    def drop(self, generation: int) -> None:
        prefix, chunks = self.keys.rows(generation), self.keys.chunks(generation)
        with told(self.url):
            while chunk := self.connection.lindex(chunks, 0):
                codes = msgpack.unpackb(chunk)
                for start in range(0, len(codes), _UNLINKED_AT_ONCE):
                    some = codes[start : start + _UNLINKED_AT_ONCE]
                    self.connection.unlink(*(prefix + code for code in some))
                # by value, not by place: two sweepers at once must not skip a chunk
                self.connection.lrem(chunks, 1, chunk)
            pipeline = self.connection.pipeline(transaction=True)
            pipeline.llen(chunks)
            pipeline.srem(self.keys.generations, generation)
            left, _removed = pipeline.execute()
            if left:
                # its writer is still at work: the next sweep finds the rest
                self.connection.sadd(self.keys.generations, generation)

    def drop_everything(self) -> None:
        """Pointer first, so that readers see all of the version or nothing."""
        keys = self.keys
        with told(self.url):
            self.connection.delete(keys.current, keys.schema)
            generations = sorted(map(int, self.connection.smembers(keys.generations)))
        for generation in generations:
            self.drop(generation)
        with told(self.url):
            while codes := self.connection.zrange(keys.streamed, 0, _UNLINKED_AT_ONCE - 1):
                self.connection.unlink(*(keys.overlay + code for code in codes))
                self.connection.zrem(keys.streamed, *codes)
            self.connection.delete(keys.streams)

    def _prune_overlay(self, current: Publication) -> None:
        """Drop streamed rows that the publication has overtaken; those of entities that it lacks stay."""
        newest, kept = to_micros(current.event_time), 0
        prune = self.connection.register_script(scripts.PRUNE)
        prefixes = [self.keys.rows(current.generation), self.keys.overlay]
        with told(self.url):
            while codes := self.connection.zrangebyscore(
                self.keys.streamed, "-inf", newest, start=kept, num=_UNLINKED_AT_ONCE
            ):
                dropped = prune(
                    keys=[self.keys.current, self.keys.streamed],
                    args=[current.generation, newest, *prefixes, *codes],
                )
                kept += len(codes) - int(dropped)


def _superseded(feature_set: str, generation: int) -> Conflict:
    return Conflict(
        f"generation {generation} of {feature_set} was given up: a newer one is published already"
    )
