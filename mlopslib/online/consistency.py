"""Hold the online store against the month that was published: a sample of entities, value by value."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
from sqlglot import exp

from mlopslib.dates import validate_ym
from mlopslib.definition import FeatureSetSpec
from mlopslib.errors import NotOnline
from mlopslib.offline.base import OfflineStore
from mlopslib.online.keys import Entity
from mlopslib.online.store import OnlineStore
from mlopslib.online.values import Value, plain_column
from mlopslib.sql import Impala

PARTITION = "base_ym"
SAMPLE = 1_000
_EXAMPLES = 10
#: what one query lists: entities, and characters of their names
_PER_QUERY, _LONGEST_LIST = 500, 20_000


@dataclass(frozen=True)
class Consistency:
    """What a sample of the offline month looks like online.

    `checked` = `equal` + `missing` + `different`, in entities. `rows` and `entities` are the whole month
    offline and online. `examples`: {"entity", "feature", "offline", "online"}.
    """

    base_ym: str
    generation: int
    rows: int
    entities: int
    checked: int
    equal: int
    missing: int
    different: int
    seed: int
    examples: tuple[dict[str, Any], ...] = ()

    @property
    def is_consistent(self) -> bool:
        return self.equal == self.checked and self.rows == self.entities

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "examples": list(self.examples), "is_consistent": self.is_consistent}


def check_consistency(
    store: OfflineStore,
    online: OnlineStore,
    feature_set: FeatureSetSpec,
    *,
    sample: int = SAMPLE,
    seed: int = 0,
) -> Consistency:
    """Compare what is published with the offline month that it was made of.

    Entities are drawn by `seed` from the offline month; numbers must be equal exactly. What streams
    wrote since is left aside: it is meant to be newer than the month.

    Raises
    ------
    NotOnline
        Nothing is published.
    Conflict
        Another generation was published while this one was checked.
    """
    publication = online.current(feature_set.name, feature_set.version)
    if publication is None:
        raise NotOnline(
            f"{feature_set.name} v{feature_set.version} has no month in the online store: publish one first",
            field="feature_set",
        )
    key = feature_set.entity_key
    keys = store.read_partition(feature_set.table, PARTITION, publication.base_ym, columns=[key]).column(key)
    places = random.Random(seed).sample(range(len(keys)), min(sample, len(keys)))  # noqa: S311
    drawn = keys.take(pa.array(sorted(places), pa.int64())).to_pylist()
    equal = missing = different = 0
    examples: list[dict[str, Any]] = []
    for some in _lots(drawn):
        offline = _offline_rows(store, feature_set, publication.base_ym, some)
        for row in online.published_rows(publication, some):
            if row.values is None:
                missing += 1
                examples.append(_example(row.entity, key, row.entity, None))
                continue
            wrong = [
                _example(row.entity, name, value, row.values.get(name))
                for name, value in offline.get(row.entity, {}).items()
                if row.values.get(name) != value
            ]
            equal += not wrong
            different += bool(wrong)
            examples += wrong[:1]
    return Consistency(
        base_ym=publication.base_ym,
        generation=publication.generation,
        rows=len(keys),
        entities=publication.entities,
        checked=len(drawn),
        equal=equal,
        missing=missing,
        different=different,
        seed=seed,
        examples=tuple(examples[:_EXAMPLES]),
    )


def _lots(entities: list[Entity]) -> Iterator[list[Entity]]:
    """The entities in lots that one query can list."""
    lot: list[Entity] = []
    length = 0
    for entity in entities:
        length += len(str(entity))
        if lot and (len(lot) == _PER_QUERY or length > _LONGEST_LIST):
            yield lot
            lot, length = [], len(str(entity))
        lot.append(entity)
    if lot:
        yield lot


def _offline_rows(
    store: OfflineStore, feature_set: FeatureSetSpec, base_ym: str, entities: list[Entity]
) -> dict[Entity, dict[str, Value]]:
    """The features of these entities, as they stand in the offline month."""
    names = [feature.name for feature in feature_set.features]
    listed = ", ".join(_literal(entity) for entity in entities)
    query = (
        f"SELECT {', '.join(f'`{name}`' for name in (feature_set.entity_key, *names))} "  # noqa: S608
        f"FROM {feature_set.table} "
        f"WHERE {PARTITION} = '{validate_ym(base_ym)}' AND `{feature_set.entity_key}` IN ({listed})"
    )
    answer = store.read_sql(query)
    columns = [plain_column(answer.column(f.name), f.name, f.dtype) for f in feature_set.features]
    keys = answer.column(feature_set.entity_key).to_pylist()
    return {
        key: {name: column[i] for name, column in zip(names, columns, strict=True)}
        for i, key in enumerate(keys)
    }


def _literal(entity: Entity) -> str:
    if isinstance(entity, int):
        return str(entity)
    return exp.Literal.string(entity).sql(dialect=Impala)


def _example(entity: Entity, feature: str, offline: Value, online: Value) -> dict[str, Any]:
    return {"entity": entity, "feature": feature, "offline": offline, "online": online}
