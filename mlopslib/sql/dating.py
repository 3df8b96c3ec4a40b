"""Which columns of the tables of a query hold dates, and in which writing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlglot import exp

from mlopslib.sql.blocks import Query, Schema
from mlopslib.sql.conditions import Condition, Variable, variables_in
from mlopslib.sql.datecolumns import Writing, kind_of_type, writing_by_name, writing_of_text
from mlopslib.sql.probes import Probes

#: what the data say of the date columns of a table: their writing
Writings = Mapping[str, Mapping[str, Writing]]


def date_columns(
    query: Query,
    conditions: list[list[Condition]],
    schema: Schema,
    writings: Writings,
    declared: Mapping[str, str],
    probes: Probes,
) -> dict[str, dict[str, Writing]]:
    """The date columns of each table that is read: by the data, by type and name, by comparisons."""
    tables = {source.number: source.table or "" for _, source in query.occurrences()}
    types = {
        table.lower(): {name.lower(): type_ for name, type_ in columns.items()}
        for table, columns in schema.items()
    }
    found: dict[str, dict[str, Writing]] = {}
    for table in set(tables.values()):
        named = {
            name: writing
            for name, type_ in types.get(table, {}).items()
            if (writing := writing_by_name(name, type_)) is not None
        }
        found[table] = dict(writings.get(table, named))
    shown: dict[tuple[str, str], set[Writing]] = {}
    for group in conditions:
        for condition in group:
            for variable, writing in _shown(condition.formula, probes):
                if variable[0] in tables:
                    shown.setdefault((tables[variable[0]], variable[1]), set()).add(writing)
    for (table, name), seen in shown.items():
        if table in writings or kind_of_type(types.get(table, {}).get(name, "")) != "text":
            continue
        longest = max(seen, key=_LONGEST.index)
        # what is called a month is one, though CONCAT(ym, '01') is compared with a day
        if found[table].get(name) == "ym" and longest in ("ymd", "ymdhms"):
            continue
        if name in found[table] or not found[table]:
            found[table][name] = longest
    for table, columns in found.items():
        for name in [name for name in columns if f"{table}.{name}" in declared]:
            del columns[name]
    return found


#: what a text column is taken to hold where it is compared with several writings
_LONGEST: list[Writing] = ["ym", "ymd", "ymdhms", "iso_ym", "iso", "iso_ts"]


def _shown(formula: exp.Expr, probes: Probes) -> list[tuple[Variable, Writing]]:
    """Columns that are compared with dates as texts, and how those are written."""
    found = []
    for node in formula.find_all(exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Between, exp.In):
        names = variables_in(node)
        if len(names) != 1:
            continue
        (name,) = names
        is_plain = isinstance(node.this, exp.Column) or isinstance(node.args.get("expression"), exp.Column)
        for constant in _constants(node):
            known, value = probes.value(constant)
            writing = writing_of_text(value) if known and isinstance(value, str) else None
            if writing is not None:
                if not is_plain and writing in ("ym", "iso_ym"):
                    # SUBSTR(dt, 1, 6) = '202401' shows a part of something longer
                    writing = "ymd" if writing == "ym" else "iso"
                found.append((name, writing))
    return found


def _constants(node: exp.Expr) -> Iterator[exp.Expr]:
    """The largest parts of a comparison that hold no column."""
    for child in node.iter_expressions():
        if child.find(exp.Column) is None:
            yield child
        elif isinstance(child, exp.Paren | exp.Tuple):
            yield from _constants(child)
