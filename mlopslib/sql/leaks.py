"""What a query can read of the future, judged from its text alone.

For every place where a table is read, the conditions that reach it are resolved for one base month and
the dates that they leave are compared with the base date. Sound over clever: where the text does not
tell, the source is called open and the reason says what would be right. Whether an open source does
harm is for the future-poison test (`mlopslib.leakproof`) to find out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mlopslib.dates import date_params
from mlopslib.sql.blocks import Block, Query, Schema, Source, read_query
from mlopslib.sql.bounds import Dates, solve
from mlopslib.sql.conditions import conditions_of
from mlopslib.sql.datecolumns import (
    Writing,
    dating_columns,
    is_month,
    label_horizon,
)
from mlopslib.sql.dating import Writings, date_columns
from mlopslib.sql.lineage import Origin, filters_of, sources_of
from mlopslib.sql.probes import Probes, open_probes
from mlopslib.sql.render import render_sql

Status = Literal["bounded", "open", "after_base", "timeless", "no_date_column"]


@dataclass(frozen=True)
class SourceBounds:
    """The dates of one occurrence of a table that a query can read.

    `low` and `high` are the first and the last day, both included, as YYYYMMDD; None where there is no
    end. `where` says in which part of the query the table is read.
    """

    table: str
    column: str | None
    low: str | None
    high: str | None
    status: Status
    reason: str
    where: str

    @property
    def is_clean(self) -> bool:
        return self.status in ("bounded", "timeless")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class LeakVerdict:
    """What the text of a query says about the future.

    `labels` are columns that the query reads and that are only known after the date of their row.
    """

    is_clean: bool
    sentence: str
    sources: tuple[SourceBounds, ...]
    labels: tuple[Origin, ...] = ()


def date_bounds(
    sql: str,
    base_ym: str,
    *,
    schema: Schema,
    timeless: Mapping[str, str],
    writings: Writings | None = None,
    dated_by: Mapping[str, Collection[str]] | None = None,
) -> list[SourceBounds]:
    """The dates that a query reads of each table, resolved for a base month.

    Conditions count wherever they stand: WHERE, ON, comma joins, HAVING on a group column, IN lists and
    subqueries, equality with the date of another table, around a subquery or a WITH query. A condition
    under OR limits only as far as every branch does; ON of an outer join limits the joined side alone;
    WHERE limits the joined side only where it refuses the row without a partner.

    Parameters
    ----------
    sql
        Impala SQL, not rendered.
    base_ym
        The base month ``"YYYYMM"``, whose last day is the base date, or a base date ``"YYYYMMDD"``.
    schema
        Columns of the tables that the query reads, with the engine's words for their types.
    timeless
        Tables that hold no dates by declaration, with the reason. A key ``"table.column"`` says that a
        column is known beforehand (a due date) and does not date its row.
    writings
        How the date columns are written, where the data have been looked at; by name and type
        otherwise.
    dated_by
        The columns that date the rows of a table, where the data have been looked at.

    Returns
    -------
    list of SourceBounds
        One for each occurrence of a table, in the order of the query; equal ones once.

    Raises
    ------
    SqlRejected
        If the guard refuses the query, or a column is in none of its sources.

    Examples
    --------
    >>> schema = {"balance": {"id": "varchar", "ym": "varchar", "amt": "double"}}
    >>> sql = "select id, amt from balance where ym between '{bf_2m_ym}' and '{base_ym}'"
    >>> bound, = date_bounds(sql, "202401", schema=schema, timeless={})
    >>> bound.status, bound.column, bound.low, bound.high
    ('bounded', 'ym', '20231101', '20240131')
    >>> bound, = date_bounds("select id from balance", "202401", schema=schema, timeless={})
    >>> bound.status, bound.reason
    ('open', "nothing limits ym: add balance.ym <= '{base_ym}' to the conditions")
    """
    params = date_params(base_ym)
    base_dt = params["base_dt"]
    query = read_query(render_sql(sql, params), schema)
    conditions = conditions_of(query)
    declared = {name.lower(): reason for name, reason in timeless.items()}
    with open_probes(base_dt, [c.formula for group in conditions for c in group]) as probes:
        known = date_columns(query, conditions, schema, writings or {}, declared, probes)
        variables = {
            (source.number, name): writing
            for _, source in query.occurrences()
            for name, writing in known.get(source.table or "", {}).items()
        }
        dates = solve(conditions, variables, _within(query), probes)
        found = []
        for block, source in query.occurrences():
            table = source.table or ""
            choice = _choose(table, known.get(table, {}), declared, dated_by or {})
            spans = {
                name: (dates[source.number, name], *_span(dates[source.number, name], probes))
                for name in known.get(table, {})
            }
            found.append(_judge(block, source, spans, choice, declared.get(table), base_dt))
    return list(dict.fromkeys(found))


def check_static(
    sql: str,
    base_ym: str,
    *,
    schema: Schema,
    timeless: Mapping[str, str],
    labels: Collection[Origin] = (),
    writings: Writings | None = None,
    dated_by: Mapping[str, Collection[str]] | None = None,
) -> LeakVerdict:
    """Whether the text of a query alone shows that it cannot read the future.

    Beside the dates (`date_bounds`), columns that are labels are flagged: those of `labels`, as
    (table, column), and those whose names look ahead, as in ``default_flag_next_3m``.

    Examples
    --------
    >>> schema = {"balance": {"id": "varchar", "ym": "varchar", "amt": "double"}}
    >>> sql = "select id, amt from balance where ym = '{af_1m_ym}'"
    >>> check_static(sql, "202401", schema=schema, timeless={}).sentence
    'balance is read up to 2024-02-29, after the base date 2024-01-31.'
    """
    sources = date_bounds(
        sql, base_ym, schema=schema, timeless=timeless, writings=writings, dated_by=dated_by
    )
    found = labels_in(sql, schema=schema, timeless=timeless, labels=labels)
    base = _day(date_params(base_ym)["base_dt"])
    parts = []
    for item in sources:
        if item.status == "after_base":
            parts.append(f"{item.table} is read up to {_day(item.high)}, after the base date {base}.")
        elif item.status == "open":
            parts.append(f"{item.table} is read without an end: {item.reason}.")
        elif item.status == "no_date_column":
            parts.append(f"{item.table}: {item.reason}.")
    parts += [
        f"{table}.{column} is a label: it is known only after its row's date." for table, column in found
    ]
    if not parts:
        tables = len({item.table for item in sources})
        parts = [f"Nothing after the base date {base} can be read from its {_tables(tables)}."]
    is_clean = all(item.is_clean for item in sources) and not found
    return LeakVerdict(is_clean, " ".join(dict.fromkeys(parts)), tuple(sources), found)


def labels_in(
    sql: str, *, schema: Schema, timeless: Mapping[str, str], labels: Collection[Origin] = ()
) -> tuple[Origin, ...]:
    """The label columns that a query reads, in order."""
    columns = set(filters_of(sql, schema)).union(*sources_of(sql, schema).values())
    declared = {name.lower() for name in timeless}
    given = {(table.lower(), column.lower()) for table, column in labels}
    return tuple(
        sorted(
            (table, column)
            for table, column in columns
            if (table, column) in given
            or (label_horizon(column) is not None and f"{table}.{column}" not in declared)
        )
    )


def _within(query: Query) -> dict[int, dict[int, int]]:
    """For each occurrence, the union branches that it stands in."""
    found: dict[int, dict[int, int]] = {}

    def visit(block: Block, choice: dict[int, int]) -> None:
        for source in block.sources.values():
            if source.table is not None:
                found.setdefault(source.number, {}).update(choice)
            for number, inner in enumerate(source.blocks):
                visit(inner, choice | ({id(source): number} if len(source.blocks) > 1 else {}))

    for block in query.blocks:
        visit(block, {})
    return found


def _choose(
    table: str,
    columns: Mapping[str, Writing],
    declared: Mapping[str, str],
    dated_by: Mapping[str, Collection[str]],
) -> tuple[str, ...]:
    if table in dated_by:
        return tuple(name for name in columns if name in dated_by[table])
    return dating_columns(list(columns))


def _span(dates: Dates, probes: Probes) -> tuple[str | None, str | None]:
    low, high = probes.span(dates.mask, dates.writing)
    return low, high


Spans = Mapping[str, tuple[Dates, str | None, str | None]]


def _judge(
    block: Block,
    source: Source,
    spans: Spans,
    choice: tuple[str, ...],
    timeless: str | None,
    base_dt: str,
) -> SourceBounds:
    table, alias = source.table or "", source.alias
    where = block.place if alias == table else f"{block.place}, as {alias}"
    if timeless is not None:
        return SourceBounds(table, None, None, None, "timeless", timeless, where)
    if not choice:
        reason = (
            f"no column of {table} holds a date: declare it timeless, with the reason why "
            "its rows say nothing about what comes later"
        )
        return SourceBounds(table, None, None, None, "no_date_column", reason, where)
    # the column that lets the least through
    best = min(choice, key=lambda name: _last(spans[name]))
    dates, low, high = spans[best]
    if not dates.mask.any():
        return SourceBounds(
            table, best, None, None, "bounded", f"its conditions on {best} hold for no date", where
        )
    told = _told(dates)
    if high is None:
        return SourceBounds(
            table, best, low, None, "open", _why_open(alias, best, spans, choice, told), where
        )
    if high > base_dt:
        reason = (
            f"{best} may be as late as {_day(high)}, the base date is {_day(base_dt)}: "
            f"{alias}.{best} <= {_limit(dates.writing)} would be right{told}"
        )
        return SourceBounds(table, best, low, high, "after_base", reason, where)
    return SourceBounds(table, best, low, high, "bounded", f"{best} ends on {_day(high)}{told}", where)


def _last(span: tuple[Dates, str | None, str | None]) -> str:
    dates, _, high = span
    if not dates.mask.any():
        return ""
    return high or "99999999"


def _why_open(alias: str, column: str, spans: Spans, choice: tuple[str, ...], told: str) -> str:
    others = [name for name, (_, _, high) in spans.items() if name not in choice and high is not None]
    fix = f"add {alias}.{column} <= {_limit(spans[column][0].writing)} to the conditions"
    if others:
        return f"{others[0]} is limited, but {column} says when a row became known: {fix}"
    if told:
        return f"{column} has no last date{told}: {fix}"
    return f"nothing limits {column}: {fix}"


def _told(dates: Dates) -> str:
    if not dates.reasons:
        return ""
    text = min(dates.reasons, key=len)
    return f" ({text if len(text) <= 120 else text[:117] + '...'})"


def _limit(writing: Writing) -> str:
    if is_month(writing):
        return "{base_ym}" if writing == "int_ym" else "'{base_ym}'"
    if writing == "timestamp":
        return "the end of '{base_dt}'"
    if writing == "date":
        return "TO_TIMESTAMP('{base_dt}', 'yyyyMMdd')"
    return "{base_dt}" if writing == "int_ymd" else "'{base_dt}'"


def _day(text: str | None) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if text else "no date"


def _tables(count: int) -> str:
    return "one table" if count == 1 else f"{count} tables"
