"""Instant checks of a query while it is written: its text, names, types and dates; no rows are read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from django.utils.translation import gettext as _
from sqlglot import exp

from apps.features.models import FeatureSet
from apps.features.services.definition import RESERVED, SAMPLE_YM, spec_of
from apps.features.services.key_count import KeyCount, count_key
from apps.features.services.leak_check import LeakCheck, check_leaks
from apps.features.services.schemas import schema_of
from mlopslib.dates import date_params, validate_ym
from mlopslib.definition import FeatureSpec
from mlopslib.errors import GijunError, SqlRejected
from mlopslib.offline.base import Column, OfflineStore
from mlopslib.sql import guard_select, parameters_in, render_sql, tables_in
from mlopslib.sql.fingerprint import fingerprint
from mlopslib.sql.lineage import sources_of

_LINE = re.compile(r"\bline (\d+)\b")
_QUOTED = re.compile(r"""["'`{]([A-Za-z_][A-Za-z0-9_.]*)["'`}]""")
_FUNCTION = re.compile(r"\bfunction ([A-Z_][A-Z0-9_]*)\b|^([A-Z_]{3,}) ")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth knowing."""

    #: "error" refuses publishing; "warning" and "ok" do not
    level: str
    text: str
    #: which input it is about
    field: str = "sql"
    #: line of the query, from 1
    line: int | None = None


@dataclass(frozen=True)
class OutputColumn:
    """A column that the query gives, as the engine and the person read it."""

    name: str
    type: str
    #: "numeric" or "category"; empty where it is neither
    dtype: str
    description: str = ""
    is_key: bool = False
    #: False where its engine type leaves no choice
    may_be_numeric: bool = True


@dataclass(frozen=True)
class CheckReport:
    base_ym: str
    findings: list[Finding] = field(default_factory=list)
    columns: list[OutputColumn] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    #: date parameters that the query uses, with their values
    parameters: dict[str, str] = field(default_factory=dict)
    #: rows that the engine expects; None where it does not guess
    estimate: int | None = None
    #: True where the rows were counted, not guessed
    is_counted: bool = False
    leaks: LeakCheck | None = None

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.level == "error"]

    @property
    def warnings(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.level == "warning"]

    @property
    def is_ok(self) -> bool:
        return not self.errors

    @property
    def features(self) -> list[OutputColumn]:
        return [column for column in self.columns if not column.is_key]


def check_sql(
    *,
    store: OfflineStore,
    sql: str,
    entity_key: str = "",
    name: str = "",
    features: Sequence[FeatureSpec] = (),
    timeless_tables: Mapping[str, str] | None = None,
    base_ym: str = SAMPLE_YM,
    count_seconds: float = 0.0,
) -> CheckReport:
    """Everything that is wrong with a query, as far as it shows without reading a row.

    On the embedded engine `count_seconds` above 0 lets it count the rows and the key of the month, for as
    long as that; else the rows are the engine's estimate.

    Raises InvalidDate where `base_ym` is no month; whatever is wrong with the query is a finding.
    """
    report = CheckReport(validate_ym(base_ym))
    if not sql.strip():
        return replace(report, findings=[Finding("error", _("Write one SELECT."))])
    dates = date_params(base_ym)
    findings = _parameters(sql, dates)
    used = {each: dates[each] for each in parameters_in(sql) if each in dates}
    # an unknown parameter is told above; the rest of the text is checked as if it were a month
    rendered = render_sql(sql, dates | {each: base_ym for each in parameters_in(sql) if each not in dates})
    try:
        tree = guard_select(rendered)
        tables = tables_in(rendered)
        known = store.list_tables()
    except GijunError as error:
        found = _finding(error, sql)
        return replace(report, findings=[*findings, found], parameters=used)
    findings += _tables(tables, known, sql)
    report = replace(report, tables=tables, parameters=used)
    if findings:
        return replace(report, findings=findings)
    try:
        columns = store.describe_sql(rendered)
    except GijunError as error:
        return replace(report, findings=[_columns_finding(error, rendered, tables, store, sql)])
    outputs, findings = _outputs(columns, entity_key, features)
    counted = None
    if count_seconds and store.engine == "duckdb" and any(column.is_key for column in outputs):
        counted = count_key(store, sql, entity_key, base_ym, seconds=count_seconds)
    findings += _key_count(counted, entity_key) if counted else _key_note(tree, entity_key, outputs)
    leaks = check_leaks(sql, base_ym, store=store, timeless=timeless_tables or {})
    findings += _leaks(leaks, sql) + _twins(sql, name)
    return replace(
        report,
        findings=findings,
        columns=outputs,
        estimate=counted.rows if counted else _estimate(store, rendered),
        is_counted=counted is not None,
        leaks=leaks,
    )


def _parameters(sql: str, dates: Mapping[str, str]) -> list[Finding]:
    findings = []
    for name in parameters_in(sql):
        try:
            render_sql(f"{{{name}}}", dates)
        except GijunError as error:
            findings.append(_finding(error, sql))
    return findings


def _tables(tables: Sequence[str], known: Sequence[str], sql: str) -> list[Finding]:
    findings = []
    lower = sorted({name.lower() for name in known})
    for table in tables:
        if table in lower:
            continue
        near = get_close_matches(table, lower, n=1, cutoff=0.5)
        text = (
            _("No table is called %(table)s: did you mean %(near)s?") % {"table": table, "near": near[0]}
            if near
            else _("No table is called %(table)s.") % {"table": table}
        )
        findings.append(Finding("error", text, line=_line_of(sql, table)))
    return findings


def _columns_finding(
    error: GijunError, rendered: str, tables: Sequence[str], store: OfflineStore, sql: str
) -> Finding:
    """What our own reading says of a column that is not there; else what the engine says."""
    try:
        sources_of(rendered, schema_of(store, tables))
    except SqlRejected as ours:
        return _finding(ours, sql)
    except GijunError:
        pass
    return _finding(error, sql)


def _outputs(
    columns: Sequence[Column], entity_key: str, features: Sequence[FeatureSpec]
) -> tuple[list[OutputColumn], list[Finding]]:
    given = {spec.name: spec for spec in features}
    names = [column.name for column in columns]
    findings = [
        Finding(
            "error", _("The query gives %(name)s more than once: name each column once.") % {"name": name}
        )
        for name in sorted({name for name in names if names.count(name) > 1})
    ]
    outputs = []
    for column in columns:
        if column.name == entity_key:
            outputs.append(OutputColumn(column.name, column.type, "", is_key=True))
            continue
        if column.name == "base_ym":
            continue
        try:
            by_type = spec_of(column, None)
        except GijunError as error:
            findings.append(Finding("error", error.message))
            outputs.append(OutputColumn(column.name, column.type, ""))
            continue
        spec = given.get(column.name)
        try:
            spec = spec_of(column, spec)
        except GijunError as error:
            findings.append(Finding("error", error.message, field="features"))
        outputs.append(
            OutputColumn(
                column.name,
                column.type,
                spec.dtype if spec else by_type.dtype,
                spec.description if spec else "",
                may_be_numeric=by_type.dtype == "numeric",
            )
        )
    if not entity_key:
        findings.append(Finding("error", _("Say which column is the entity key."), field="entity_key"))
    elif entity_key not in names:
        near = get_close_matches(entity_key, names, n=1, cutoff=0.5)
        text = (
            _("The query does not give the entity key %(key)s: did you mean %(near)s?")
            if near
            else _("The query does not give the entity key %(key)s.")
        )
        findings.append(
            Finding("error", text % {"key": entity_key, "near": near[0] if near else ""}, field="entity_key")
        )
    elif not [column for column in outputs if not column.is_key and column.name not in RESERVED]:
        findings.append(
            Finding("error", _("The query gives nothing but its key: it needs one feature at least."))
        )
    return outputs, findings


def _key_count(counted: KeyCount, entity_key: str) -> list[Finding]:
    """What the rows of the month say of the key."""
    if counted.is_unique:
        return []
    values = {
        "key": entity_key,
        "rows": f"{counted.rows:,}",
        "entities": f"{counted.entities:,}",
        "missing": f"{counted.rows - counted.present:,}",
    }
    if counted.present < counted.rows:
        text = _("%(key)s is missing in %(missing)s of %(rows)s rows: leave them out.")
    else:
        text = _("%(key)s repeats: %(rows)s rows for %(entities)s entities. GROUP BY %(key)s.")
    return [Finding("error", text % values, field="entity_key")]


def _key_note(tree: exp.Expr, entity_key: str, columns: Sequence[OutputColumn]) -> list[Finding]:
    """A query in which nothing brings the rows of one entity together; only the engine can count them."""
    has_key = any(column.is_key for column in columns)
    if not has_key or tree.find(exp.Group, exp.Distinct, exp.Window, exp.AggFunc) is not None:
        return []
    text = _("Nothing here makes %(key)s unique, such as GROUP BY %(key)s: the preview counts its rows.")
    return [Finding("warning", text % {"key": entity_key}, field="entity_key")]


def _leaks(leaks: LeakCheck, sql: str) -> list[Finding]:
    findings = []
    if leaks.is_clean is None:
        text = _("The dates of this query could not be read: %(why)s") % {"why": leaks.sentence}
        findings.append(Finding("warning", text, field="leaks"))
    for source in leaks.sources:
        if source.status in ("after_base", "open"):
            level = "error" if source.status == "after_base" else "warning"
            text = f"{source.table}: {source.reason}"
            findings.append(Finding(level, text, field="leaks", line=_line_of(sql, source.table)))
    findings += [
        Finding(
            "warning",
            _("%(column)s is a label by its name: it is known only after its row's date.")
            % {"column": label},
            field="leaks",
            line=_line_of(sql, label),
        )
        for label in leaks.labels
    ]
    return findings


def _twins(sql: str, name: str) -> list[Finding]:
    """Feature sets whose query has the same normalised tree."""
    with suppress(GijunError):
        same = FeatureSet.objects.current().filter(sql_fingerprint=fingerprint(sql))
        return [
            Finding(
                "ok" if row.name == name else "warning",
                _("This says the same as the current %(set)s: publishing it changes no value.")
                % {"set": str(row)}
                if row.name == name
                else _("%(set)s computes the same in other words: use it instead of a second one?")
                % {"set": str(row)},
                field="duplicates",
            )
            for row in same
        ]
    return []


def _estimate(store: OfflineStore, rendered: str) -> int | None:
    try:
        return store.estimate_rows(rendered)
    except GijunError:
        return None


def _finding(error: GijunError, sql: str) -> Finding:
    text = error.message
    told = _LINE.search(text)
    line = int(told[1]) if told else None
    if line is None:
        words = [match[1] for match in _QUOTED.finditer(text)]
        words += [match[1] or match[2] for match in _FUNCTION.finditer(text)]
        line = next((found for word in words if (found := _line_of(sql, word))), None)
    return Finding("error", text[:1].upper() + text[1:], field=error.field or "sql", line=line)


def _line_of(sql: str, word: str) -> int | None:
    """The first line that holds a word by itself, in any case; the last part of a dotted name will do."""
    for each in (word, word.rsplit(".", 1)[-1]):
        found = re.search(rf"(?<![\w]){re.escape(each)}(?![\w])", sql, re.IGNORECASE)
        if found:
            return sql.count("\n", 0, found.start()) + 1
    return None
