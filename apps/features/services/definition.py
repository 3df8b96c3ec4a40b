"""What a feature query gives, and whether it can be a feature set."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from apps.features.models import FeatureSet
from mlopslib.dates import date_params
from mlopslib.definition import Dtype, FeatureSpec, check_identifier
from mlopslib.errors import DefinitionInvalid, OfflineStoreError, SqlRejected
from mlopslib.offline.base import Column, OfflineStore
from mlopslib.sql import guard_select, render_sql

#: any month does for naming tables and columns; no query runs
SAMPLE_YM = "202401"
#: columns that the pipeline adds to a data set beside the features
RESERVED = frozenset({"base_ym", "target", "score", "part"})
#: words that the address of a feature set's features already means something by
ADDRESS_WORDS = frozenset({"editor", "engine", "new", "queries", "saved_views", "sets", "tables", "breaks"})
#: with "fs_" before it and "_v" and a number of four digits behind it, a name is a table's
_LONGEST_NAME = 54
_NUMERIC = re.compile(
    r"u?(tiny|small|big|huge)?int(eger)?\d*|double( precision)?|float\d*|real|bool(ean)?"
    r"|(decimal|numeric)(\(\d+,\s*\d+\))?"
)
_TEXT = re.compile(r"(varchar|char|bpchar|string|text)(\(\d+\))?|enum\(.*\)", re.DOTALL)
MAX_TAGS = 20


@dataclass(frozen=True)
class Understood:
    """A query as the engine reads it, rendered for a month; nothing of it has run."""

    rendered: str
    columns: list[Column]


def understand(sql: str, store: OfflineStore, *, base_ym: str = SAMPLE_YM) -> Understood:
    """The query rendered and guarded, and the columns that the engine says it gives."""
    try:
        rendered = render_sql(sql, date_params(base_ym))
        guard_select(rendered, tables=store.list_tables())
        return Understood(rendered, store.describe_sql(rendered))
    except (SqlRejected, OfflineStoreError) as error:
        error.field = error.field or "sql"
        raise


def check_name(name: str) -> None:
    """A name that can stand in an address and in the name of an offline table. Raises DefinitionInvalid."""
    check_identifier(name)
    if name in ADDRESS_WORDS:
        raise DefinitionInvalid(
            f"{name!r} is a word of the catalog's own addresses: call the feature set otherwise", field="name"
        )
    if len(name) > _LONGEST_NAME:
        raise DefinitionInvalid(
            f"a feature set's name has {_LONGEST_NAME} characters at most, this one has {len(name)}: its "
            "tables are named after it",
            field="name",
        )


def check_words(**words: str) -> None:
    """Titles and labels fit their columns."""
    if not words["title"].strip():
        raise DefinitionInvalid("a feature set needs a title that people can read", field="title")
    for name, text in words.items():
        longest = FeatureSet._meta.get_field(name).max_length
        if len(text) > longest:
            raise DefinitionInvalid(f"{name} takes {longest} characters at most", field=name)


def clean_tags(tags: Sequence[str]) -> list[str]:
    """Tags in small letters, each once. Raises DefinitionInvalid."""
    found = list(dict.fromkeys(tag for tag in (" ".join(each.split()).lower() for each in tags) if tag))
    if len(found) > MAX_TAGS:
        raise DefinitionInvalid(f"a feature set takes {MAX_TAGS} tags at most", field="tags")
    for tag in found:
        if len(tag) > 40 or "," in tag:
            raise DefinitionInvalid(
                f"{tag[:60]!r} is no tag: a tag has 40 characters at most and no comma", field="tags"
            )
    return found


def clean_timeless(timeless: Mapping[str, str]) -> dict[str, str]:
    """Tables declared to hold no date, each with its reason. Raises DefinitionInvalid."""
    found = {}
    for table, reason in timeless.items():
        reason = " ".join(str(reason).split())
        if not reason:
            raise DefinitionInvalid(
                f"say why {table} holds nothing that changes with time", field="timeless_tables"
            )
        if len(reason) > 300 or len(table) > 127:
            raise DefinitionInvalid(
                "the reason for a timeless table has 300 characters at most", field="timeless_tables"
            )
        found[table.strip().lower()] = reason
    return found


def check_given(features: Sequence[FeatureSpec]) -> None:
    """What a person says of columns, before any query is known to give them."""
    names = [spec.name for spec in features]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DefinitionInvalid(f"{', '.join(repeated)} is described more than once", field="features")
    for spec in features:
        check_identifier(spec.name, field="features")
        _check_dtype(spec)


def match_features(
    columns: Sequence[Column], *, entity_key: str, features: Sequence[FeatureSpec] | None
) -> list[FeatureSpec]:
    """One spec for each output column beside the key, in the query's order."""
    names = [column.name for column in columns]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise SqlRejected(
            f"the query gives {', '.join(repeated)} more than once: name each column once", field="sql"
        )
    if entity_key not in names:
        raise DefinitionInvalid(
            f"the query does not give the entity key {entity_key!r}; it gives {', '.join(names)}",
            field="entity_key",
        )
    given = {spec.name: spec for spec in features or ()}
    unknown = sorted(set(given) - set(names) | set(given) & {entity_key})
    if unknown:
        raise DefinitionInvalid(
            f"{', '.join(unknown)}: not a feature column of the query, which gives "
            f"{', '.join(name for name in names if name != entity_key)}",
            field="features",
        )
    specs = [
        spec_of(column, given.get(column.name))
        for column in columns
        if column.name != entity_key and column.name != "base_ym"
    ]
    if not specs:
        raise DefinitionInvalid(
            f"the query gives nothing but {entity_key}: it needs one feature at least", field="sql"
        )
    return specs


def spec_of(column: Column, given: FeatureSpec | None) -> FeatureSpec:
    """How a column is read: as the person said where that can be, else by its engine type."""
    check_identifier(column.name, field="sql")
    if column.name in RESERVED:
        raise DefinitionInvalid(
            f"{column.name!r} is a name of the pipeline: call the column otherwise", field="sql"
        )
    dtype = _dtype_of(column)
    if given is None:
        return FeatureSpec(column.name, dtype)
    _check_dtype(given)
    if given.dtype == "numeric" and dtype == "category":
        raise DefinitionInvalid(
            f"{column.name} is {column.type} in the query and cannot be numeric: CAST it, or say category",
            field="features",
        )
    return given


def _check_dtype(given: FeatureSpec) -> None:
    if given.dtype not in ("numeric", "category"):
        raise DefinitionInvalid(
            f"{given.name}: {given.dtype!r} is not a kind of feature; say numeric or category",
            field="features",
        )


def _dtype_of(column: Column) -> Dtype:
    kind = column.type.strip().lower()
    if _TEXT.fullmatch(kind):
        return "category"
    if _NUMERIC.fullmatch(kind):
        return "numeric"
    raise DefinitionInvalid(
        f"{column.name} is {column.type}; a feature is a number or a text: CAST it in the query", field="sql"
    )
