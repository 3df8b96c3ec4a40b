"""What changed between two versions of a feature set: lines of SQL, columns, words about it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any, Literal

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.features.models import Feature, FeatureSet

#: unchanged lines that stay in sight around a change
CONTEXT = 4

Kind = Literal["same", "add", "remove", "skip"]


@dataclass(frozen=True)
class Line:
    """One line of the SQL with its number in either version."""

    kind: Kind
    before: int | None
    after: int | None
    text: str

    @property
    def sign(self) -> str:
        return {"add": "+", "remove": "−"}.get(self.kind, "")


@dataclass(frozen=True)
class ColumnChange:
    """A feature that came, went, or is another one now; `details` says how, (what, before, after)."""

    kind: Literal["add", "remove", "change"]
    name: str
    details: list[tuple[str, str, str]]


@dataclass(frozen=True)
class Difference:
    before: FeatureSet
    after: FeatureSet
    lines: list[Line]
    columns: list[ColumnChange]
    #: columns that are the same in both
    kept: int
    words: list[tuple[str, str, str]]

    @property
    def added(self) -> int:
        return sum(line.kind == "add" for line in self.lines)

    @property
    def removed(self) -> int:
        return sum(line.kind == "remove" for line in self.lines)

    @property
    def is_same_query(self) -> bool:
        """Whether only names, spaces or letter case differ."""
        one, other = self.before.sql_fingerprint, self.after.sql_fingerprint
        return bool(one) and one == other


def difference(before: FeatureSet, after: FeatureSet) -> Difference:
    columns, kept = _columns(before, after)
    return Difference(before, after, sql_lines(before.sql, after.sql), columns, kept, _words(before, after))


def sql_lines(before: str, after: str) -> list[Line]:
    """A unified diff; long stretches without a change are left out and counted."""
    old, new = before.splitlines(), after.splitlines()
    lines: list[Line] = []
    seen_old = 0
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for group in matcher.get_grouped_opcodes(CONTEXT):
        skipped = group[0][1] - seen_old
        if skipped:
            lines.append(_skip(skipped))
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                lines += [Line("same", i + 1, j1 + i - i1 + 1, old[i]) for i in range(i1, i2)]
                continue
            lines += [Line("remove", i + 1, None, old[i]) for i in range(i1, i2)]
            lines += [Line("add", None, j + 1, new[j]) for j in range(j1, j2)]
        seen_old = group[-1][2]
    if lines and seen_old < len(old):
        lines.append(_skip(len(old) - seen_old))
    return lines


def _skip(n: int) -> Line:
    return Line(
        "skip",
        None,
        None,
        ngettext("%(n)s line without a change", "%(n)s lines without a change", n) % {"n": n},
    )


def _columns(before: FeatureSet, after: FeatureSet) -> tuple[list[ColumnChange], int]:
    old = {feature.name: feature for feature in before.features.all()}
    new = {feature.name: feature for feature in after.features.all()}
    found: list[ColumnChange] = []
    kept = 0
    for name in [*new, *(name for name in old if name not in new)]:
        if name not in old:
            found.append(ColumnChange("add", name, [(_("type"), "", _type(new[name]))]))
        elif name not in new:
            found.append(ColumnChange("remove", name, [(_("type"), _type(old[name]), "")]))
        elif details := _details(old[name], new[name]):
            found.append(ColumnChange("change", name, details))
        else:
            kept += 1
    return found, kept


def _details(old: Feature, new: Feature) -> list[tuple[str, str, str]]:
    """Type, description and source columns, where they differ."""
    pairs = [
        (_("type"), _type(old), _type(new)),
        (_("description"), old.description, new.description),
    ]
    sources = [", ".join(str(source) for source in feature.sources.all()) for feature in (old, new)]
    if all(sources):
        pairs.append((_("computed from"), sources[0], sources[1]))
    return [(what, one, other) for what, one, other in pairs if one != other]


def _type(feature: Feature) -> str:
    return f"{feature.dtype} ({feature.engine_type})" if feature.engine_type else feature.dtype


def _words(before: FeatureSet, after: FeatureSet) -> list[tuple[str, str, str]]:
    def tables(row: FeatureSet) -> str:
        return ", ".join(sorted(map(str, row.source_tables)))

    def timeless(row: FeatureSet) -> str:
        return ", ".join(f"{table}: {reason}" for table, reason in sorted(row.timeless_tables.items()))

    pairs: list[tuple[str, Any, Any]] = [
        (_("title"), before.title, after.title),
        (_("description"), before.description, after.description),
        (_("domain"), before.domain, after.domain),
        (_("tables"), tables(before), tables(after)),
        (_("timeless tables"), timeless(before), timeless(after)),
    ]
    return [(what, one, other) for what, one, other in pairs if one != other]
