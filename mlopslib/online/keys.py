"""What the online store's keys look like. Each begins with ``<prefix>:fs:<set>:<version>:``.

=========================  ======  ================================================================
the rest of the key        type    holds
=========================  ======  ================================================================
``<generation>:<entity>``  string  one entity's row of a generation
``s:<entity>``             string  what streams wrote for an entity
``current``                string  the generation that is read, and its facts
``schema``                 string  kind of entity, names and types of the features
``counter``                string  the last generation number that was given out
``generations``            set     generations that have rows
``chunks:<generation>``    list    entities of a generation, in chunks
``streamed``               zset    entities that streams wrote, by event time
``streams``                hash    the last sign of life of each consumer
=========================  ======  ================================================================

An entity is the last part of its key, so it may hold any character; ``i42`` is the number 42 and
``t42`` the text "42".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mlopslib.errors import InvalidInput

Entity = int | str
#: what a feature set's entity keys are: whole numbers or texts
Kind = Literal["int", "text"]

KIND_WORDS: dict[str, str] = {"int": "whole numbers", "text": "texts"}
#: characters of a text that names an entity
LONGEST_ENTITY = 1_000
_INT64 = 1 << 63


@dataclass(frozen=True)
class Keys:
    """The keys of one feature-set version."""

    prefix: str
    feature_set: str
    version: int

    @property
    def root(self) -> str:
        return f"{self.prefix}:fs:{self.feature_set}:{self.version}"

    @property
    def current(self) -> str:
        return f"{self.root}:current"

    @property
    def schema(self) -> str:
        return f"{self.root}:schema"

    @property
    def counter(self) -> str:
        return f"{self.root}:counter"

    @property
    def generations(self) -> str:
        return f"{self.root}:generations"

    @property
    def streamed(self) -> str:
        return f"{self.root}:streamed"

    @property
    def streams(self) -> str:
        return f"{self.root}:streams"

    def chunks(self, generation: int) -> str:
        return f"{self.root}:chunks:{generation}"

    def rows(self, generation: int) -> bytes:
        """What the rows of a generation begin with."""
        return f"{self.root}:{generation}:".encode()

    @property
    def overlay(self) -> bytes:
        """What the rows that streams write begin with."""
        return f"{self.root}:s:".encode()


def kind_of(entity: object) -> Kind:
    """Raises InvalidInput for what cannot name an entity."""
    if isinstance(entity, str):
        return "text"
    if isinstance(entity, int) and not isinstance(entity, bool):
        return "int"
    raise InvalidInput(f"{entity!r} cannot name an entity: give a whole number or a text", field="entity")


def encode_entity(entity: object) -> bytes:
    """The last part of an entity's key. Raises InvalidInput.

    Examples
    --------
    >>> encode_entity(42), encode_entity("42"), encode_entity("a:b")
    (b'i42', b't42', b'ta:b')
    """
    kind_of(entity)
    if isinstance(entity, int):
        if not -_INT64 <= entity < _INT64:
            raise InvalidInput(f"the entity {entity} is outside BIGINT", field="entity")
        return b"i%d" % entity
    text = str(entity)
    if len(text) > LONGEST_ENTITY:
        raise InvalidInput(f"an entity has {LONGEST_ENTITY:,} characters at most", field="entity")
    try:
        return b"t" + text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"the entity {entity!r} is not valid text", field="entity") from error


def decode_entity(code: bytes) -> Entity:
    """The entity that `encode_entity` was given."""
    return int(code[1:]) if code[:1] == b"i" else code[1:].decode()
