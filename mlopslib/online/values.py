"""Rows of the online store as bytes and back: nothing here talks to Redis."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import msgpack

from mlopslib.definition import FeatureSetSpec
from mlopslib.errors import DataError, InvalidInput
from mlopslib.online.keys import KIND_WORDS, Entity, Kind, encode_entity, kind_of

if TYPE_CHECKING:
    import pyarrow as pa

Value = float | int | str | None
Status = Literal["ok", "missing", "stale"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: characters of one text value
LONGEST_TEXT = 32_768
#: a stream whose clock is further ahead than this would block every later event
FUTURE_SECONDS = 3600.0


@dataclass(frozen=True)
class Publication:
    """A generation of a feature set as it stands in the online store."""

    feature_set: str
    version: int
    base_ym: str
    generation: int
    entities: int
    #: from the first row to the flip
    seconds: float
    #: what the rows are the truth of: the last moment of the base month
    event_time: datetime
    published_at: datetime

    def to_dict(self) -> dict[str, Any]:
        times = {"event_time": self.event_time.isoformat(), "published_at": self.published_at.isoformat()}
        return {**asdict(self), **times}


@dataclass(frozen=True)
class OnlineRow:
    """What the online store knows of one entity.

    Parameters
    ----------
    values
        By feature; None where nothing is known of the entity. A feature whose value is older than the
        maximum age is None, and named in `stale`.
    event_time
        Of the oldest value that was asked for; None where there is none.
    status
        ``missing``: nothing is known of the entity; ``stale``: at least one value was too old; else ``ok``.
    streamed
        Features whose value came by a stream after the last publication, with their event time.
    """

    entity: Entity
    values: dict[str, Value] | None
    event_time: datetime | None
    status: Status
    stale: tuple[str, ...] = ()
    streamed: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class Schema:
    """What every row of a feature-set version holds, in order."""

    kind: Kind
    names: tuple[str, ...]
    dtypes: tuple[str, ...]

    @classmethod
    def of(cls, feature_set: FeatureSetSpec, kind: Kind) -> Schema:
        features = feature_set.features
        return cls(kind, tuple(f.name for f in features), tuple(f.dtype for f in features))

    @classmethod
    def read(cls, raw: bytes) -> Schema:
        kind, names, dtypes = msgpack.unpackb(raw)
        return cls(kind, tuple(names), tuple(dtypes))

    def pack(self) -> bytes:
        packed: bytes = msgpack.packb([self.kind, self.names, self.dtypes])
        return packed

    @cached_property
    def id(self) -> str:
        """Stands in every row, so that a row is never read by another schema than it was written by."""
        return hashlib.sha256(self.pack()).hexdigest()[:8]


@dataclass(frozen=True)
class Head:
    """What the keys `current` and `schema` say, and their bytes, by which a change is seen."""

    raw: tuple[bytes | None, bytes | None]
    publication: Publication | None
    schema: Schema | None

    @classmethod
    def read(cls, current: bytes | None, schema: bytes | None) -> Head:
        return cls(
            raw=(current, schema),
            publication=None if current is None else read_current(current),
            schema=None if schema is None else Schema.read(schema),
        )

    @property
    def generation(self) -> int:
        return self.publication.generation if self.publication else 0


def pack_current(publication: Publication) -> bytes:
    """The generation in digits, which Lua compares, then its facts."""
    facts = asdict(publication)
    facts["event_time"] = to_micros(publication.event_time)
    facts["published_at"] = to_micros(publication.published_at)
    return b"%d\n" % publication.generation + bytes(msgpack.packb(facts))


def read_current(raw: bytes) -> Publication:
    facts = msgpack.unpackb(raw.split(b"\n", 1)[1])
    facts["event_time"] = from_micros(facts["event_time"])
    facts["published_at"] = from_micros(facts["published_at"])
    return Publication(**facts)


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970, exactly. Raises InvalidInput for a time without a zone."""
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise InvalidInput(
            f"the event time {moment.isoformat()} has no zone: write 2026-06-30T23:59:59+09:00",
            field="event_time",
        )
    return (moment - EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)


# writing


def key_kind(column_type: Any) -> Kind:
    """Whether an Arrow key column names entities by numbers or by texts. Raises DataError."""
    import pyarrow as pa

    if pa.types.is_integer(column_type):
        return "int"
    if pa.types.is_string(column_type) or pa.types.is_large_string(column_type):
        return "text"
    raise DataError(
        f"an entity key of type {column_type} cannot go online: CAST it to BIGINT or STRING in the query",
        field="entity_key",
    )


def pack_batch(
    batch: pa.RecordBatch | pa.Table, feature_set: FeatureSetSpec, schema: Schema, event_us: int
) -> Iterator[tuple[bytes, bytes]]:
    """(entity code, packed row) of each row: ``[schema id, event time, value, value, ...]``.

    Raises DataError where a key is missing or a column is none of the feature set's.
    """
    lacking = [n for n in (feature_set.entity_key, *schema.names) if n not in batch.schema.names]
    if lacking:
        raise DataError(
            f"the rows of {feature_set.name} lack {', '.join(lacking)}: materialise the month again",
            field=lacking[0],
        )
    keys = batch.column(feature_set.entity_key).to_pylist()
    if None in keys:
        raise DataError(f"a row of {feature_set.name} has no {feature_set.entity_key}", field="entity_key")
    columns = [
        plain_column(batch.column(name), name, dtype)
        for name, dtype in zip(schema.names, schema.dtypes, strict=True)
    ]
    packer, identity = msgpack.Packer(), schema.id
    rows = zip(*columns, strict=True) if columns else (() for _ in keys)
    for key, values in zip(keys, rows, strict=True):
        yield encode_entity(key), packer.pack((identity, event_us, *values))


def plain_column(column: Any, name: str, dtype: str) -> list[Value]:
    """A column as numbers, texts and None. Whole numbers stay exact; NaN and infinities are missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_null(kind):
        return [None] * len(column)
    if dtype == "numeric":
        if pa.types.is_decimal(kind) or pa.types.is_boolean(kind) or pa.types.is_float16(kind):
            column = column.cast(pa.float64())
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))
        if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
            values: list[Value] = column.to_pylist()
            return values
    elif not (pa.types.is_nested(kind) or pa.types.is_binary(kind)):
        texts: list[Value] = column.cast(pa.string()).to_pylist()
        return texts
    raise DataError(
        f"feature {name!r} is {dtype}, its column is {kind}: materialise the month again", field=name
    )


def pack_event(feature_set: FeatureSetSpec, values: Mapping[str, object]) -> list[tuple[bytes, bytes]]:
    """(feature, packed value) of a streamed event, checked. Raises InvalidInput."""
    if not values:
        raise InvalidInput("the event has no values", field="values")
    dtypes = {feature.name: feature.dtype for feature in feature_set.features}
    unknown = sorted(str(name) for name in values if name not in dtypes)
    if unknown:
        raise InvalidInput(
            f"{feature_set.name} v{feature_set.version} has no feature {', '.join(map(repr, unknown))}; "
            f"it has {', '.join(dtypes)}",
            field=f"values.{unknown[0]}",
        )
    return [
        (name.encode(), msgpack.packb(_checked(name, dtypes[name], value))) for name, value in values.items()
    ]


def _checked(name: str, dtype: str, value: object) -> Value:
    if value is None:
        return None
    if dtype == "category":
        if isinstance(value, str) and len(value) <= LONGEST_TEXT:
            try:
                value.encode()
            except UnicodeEncodeError:
                pass
            else:
                return value
        wanted = f"a text of {LONGEST_TEXT:,} characters at most, or null"
    else:
        if isinstance(value, float) and math.isfinite(value):
            return value
        if isinstance(value, int) and not isinstance(value, bool) and -(1 << 63) <= value < 1 << 64:
            return value
        wanted = "a finite number, or null"
    shown = repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:57]}..."
    raise InvalidInput(
        f"feature {name!r} is {dtype}, the event has {shown}: give {wanted}", field=f"values.{name}"
    )


# reading


def check_entities(entities: Sequence[Entity], schema: Schema | None, feature_set: str) -> None:
    """Raise InvalidInput where an entity is a number and the set's are texts, or the other way round."""
    if schema is None:
        return
    for position, entity in enumerate(entities):
        if kind_of(entity) != schema.kind:
            raise InvalidInput(
                f"the entities of {feature_set} are {KIND_WORDS[schema.kind]}; {entity!r} is not",
                field=f"entities[{position}]",
            )


def read_row(
    entity: Entity,
    packed: bytes | None,
    overlay: bytes | None,
    head: Head,
    wanted: Sequence[str],
    oldest_us: int | None,
) -> OnlineRow:
    """One entity's row: of each feature the newer of what was published and what was streamed."""
    if overlay is None:
        return _published_row(entity, packed, head, wanted, oldest_us)
    found = _published(packed, head)
    streamed: dict[str, datetime] = {}
    for name, (event_us, value) in _streamed(overlay).items():
        if name not in found or event_us > found[name][0]:
            found[name] = (event_us, value)
            streamed[name] = from_micros(event_us)
    values: dict[str, Value] = dict.fromkeys(wanted)
    stale, times = [], []
    for name in wanted:
        if name not in found:
            continue
        event_us, value = found[name]
        times.append(event_us)
        if oldest_us is not None and event_us < oldest_us:
            stale.append(name)
        else:
            values[name] = value
    return OnlineRow(
        entity=entity,
        values=values,
        event_time=from_micros(min(times)) if times else None,
        status="stale" if stale else "ok",
        stale=tuple(stale),
        streamed={name: moment for name, moment in streamed.items() if name in values},
    )


def _published_row(
    entity: Entity, packed: bytes | None, head: Head, wanted: Sequence[str], oldest_us: int | None
) -> OnlineRow:
    """The usual case, in few steps: no stream wrote this entity, so all its values are of one moment."""
    unpacked = _unpacked(packed, head)
    if unpacked is None or head.schema is None:
        return OnlineRow(entity, None, None, "missing")
    moment = from_micros(unpacked[1])
    if oldest_us is not None and unpacked[1] < oldest_us:
        return OnlineRow(entity, dict.fromkeys(wanted), moment, "stale", tuple(wanted))
    values = dict(zip(head.schema.names, unpacked[2:], strict=True))
    if wanted is not head.schema.names:
        values = {name: values[name] for name in wanted}
    return OnlineRow(entity, values, moment, "ok")


def _unpacked(packed: bytes | None, head: Head) -> list[Any] | None:
    """``[schema id, event time, value, ...]``; None for a row that another schema wrote."""
    if packed is None or head.schema is None:
        return None
    unpacked: list[Any] = msgpack.unpackb(packed)
    return unpacked if unpacked[0] == head.schema.id else None


def _published(packed: bytes | None, head: Head) -> dict[str, tuple[int, Value]]:
    unpacked = _unpacked(packed, head)
    if unpacked is None or head.schema is None:
        return {}
    return {name: (unpacked[1], value) for name, value in zip(head.schema.names, unpacked[2:], strict=True)}


def _streamed(overlay: bytes | None) -> dict[str, tuple[int, Value]]:
    if overlay is None:
        return {}
    # the outer map was packed by Lua, whose strings are bytes; each value was packed by `pack_event`
    outer = msgpack.unpackb(overlay, raw=True)
    return {name.decode(): (event_us, msgpack.unpackb(value)) for name, (event_us, value) in outer.items()}
