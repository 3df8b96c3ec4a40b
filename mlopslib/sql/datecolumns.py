"""Which columns hold dates, in which writing, and which of them says when a row became known."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal

#: how a column writes a date: `ym` is 202401, `ymd` 20240131, `ymdhms` 20240131235959, `iso` 2024-01-31
Writing = Literal["date", "timestamp", "ym", "ymd", "ymdhms", "iso_ym", "iso", "iso_ts", "int_ym", "int_ymd"]

_PATTERNS: tuple[tuple[Writing, str, str], ...] = (
    ("ym", "%Y%m", r"\d{4}(0[1-9]|1[0-2])"),
    ("ymd", "%Y%m%d", r"\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"),
    ("ymdhms", "%Y%m%d%H%M%S", r"\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])([01]\d|2[0-3])[0-5]\d[0-5]\d"),
    ("iso_ym", "%Y-%m", r"\d{4}-(0[1-9]|1[0-2])"),
    ("iso", "%Y-%m-%d", r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"),
    (
        "iso_ts",
        "%Y-%m-%d %H:%M:%S",
        r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?",
    ),
)
_FORMATS: dict[str, str] = {writing: text for writing, text, _ in _PATTERNS}
_SHAPES = [(writing, re.compile(pattern)) for writing, _, pattern in _PATTERNS]
_INTEGER_WRITINGS: dict[Writing, Writing] = {"ym": "int_ym", "ymd": "int_ymd"}
#: years in which data have dates; 9999 stands for "never"
_YEARS = re.compile(r"(19|20|21|99)\d\d")
_INTEGER = {"tinyint", "smallint", "int", "integer", "bigint", "hugeint", "long"}
_TEXT = {"varchar", "string", "char", "text"}

_MONTH_WORDS = {"ym", "yyyymm", "yymm", "month", "mon", "mth", "yearmonth"}
_DAY_WORDS = {
    *("dt", "date", "day", "ymd", "yyyymmdd", "ts", "time", "timestamp", "datetime", "dtm", "dttm"),
    *("at", "on", "until", "since"),
}
#: words that name the row's own period and nothing that happened in it
_PERIOD_WORDS = {
    *("base", "bas", "std", "strd", "stnd", "stdd", "snap", "snapshot", "ref", "reference", "as", "of"),
    *("asof", "report", "reporting", "data", "part", "partition", "biz", "business", "period", "year", "p"),
}
_BIRTH_WORDS = {"birth", "born", "dob", "birthday", "bday"}
#: when a row was written, which is later than what it tells of
_LOAD_WORDS = {
    *("load", "loaded", "etl", "ins", "insert", "inserted", "upd", "update", "updated", "mod", "modified"),
    *("created", "create", "processed", "proc", "batch", "ingest", "ingested", "reg", "sys", "chg"),
}
#: dates of a thing that a later row still carries
_STATE_WORDS = {
    *("open", "opened", "join", "joined", "start", "begin", "end", "close", "closed", "expiry", "expire"),
    *("maturity", "mature", "due", "first", "last", "issue", "issued", "valid", "from", "to", "until"),
    *("cancel", "cancelled", "canceled", "default", "leave", "left", "churn", "signup", "since", "next"),
}
#: dates that lie ahead when a row is written
_LATER_WORDS = {
    *("end", "close", "closed", "expiry", "expire", "expired", "maturity", "mature", "due", "cancel"),
    *("cancelled", "canceled", "churn", "churned", "leave", "left", "default", "defaulted", "until", "to"),
    *("last", "latest", "paid", "repaid", "settled", "next", "withdrawn", "terminated", "ended", "death"),
}


def words_of(name: str) -> list[str]:
    return [word for word in name.lower().split("_") if word]


def kind_of_type(type_: str) -> Literal["date", "timestamp", "text", "int"] | None:
    """What a column of the engine's type can hold of dates."""
    word = re.split(r"[ (<]", type_.strip().lower(), maxsplit=1)[0]
    if word == "date":
        return "date"
    if word.startswith("timestamp") or word == "datetime":
        return "timestamp"
    if word in _TEXT:
        return "text"
    return "int" if word in _INTEGER else None


def writing_of_text(text: str) -> Writing | None:
    """The writing of one date, None for what is no date.

    Examples
    --------
    >>> writing_of_text("202401"), writing_of_text("2024-01-31"), writing_of_text("123456")
    ('ym', 'iso', None)
    """
    if not _YEARS.match(text):
        return None
    return next((writing for writing, shape in _SHAPES if shape.fullmatch(text)), None)


def writing_of_values(values: Iterable[Any]) -> Writing | None:
    """The one writing of all values that are there, None where one of them is no date."""
    found: set[Writing | None] = set()
    is_integer = False
    for value in values:
        is_integer = is_integer or isinstance(value, int)
        found.add(writing_of_text(str(value).strip()))
        if len(found) > 1 or None in found:
            return None
    writing = found.pop() if found else None
    if is_integer and writing is not None:
        return _INTEGER_WRITINGS.get(writing)
    return writing


def writing_by_name(name: str, type_: str) -> Writing | None:
    """What a column would hold by its type and name, before anybody has looked at its values."""
    kind = kind_of_type(type_)
    if kind == "date" or kind == "timestamp" or kind is None:
        return kind
    words = words_of(name)
    last = words[-1] if words else ""
    if _BIRTH_WORDS & set(words) and last in {"year", "birth"}:
        return None
    if last in _MONTH_WORDS or last.endswith(("yyyymm", "yearmonth")):
        return "ym" if kind == "text" else "int_ym"
    if last in _DAY_WORDS - {"at", "on", "time", "until", "since"} or last.endswith(("yyyymmdd", "date")):
        return "ymd" if kind == "text" else "int_ymd"
    if kind == "text" and last in {"time", "at"} and len(words) > 1:
        return "iso_ts"
    return None


def write_date(moment: datetime, writing: Writing) -> Any:
    """A moment as a column holds it."""
    if writing == "date":
        return moment.date()
    if writing == "timestamp":
        return moment
    if writing in ("int_ym", "int_ymd"):
        return int(_strftime(moment, "%Y%m" if writing == "int_ym" else "%Y%m%d"))
    return _strftime(moment, _FORMATS[writing])


def _strftime(moment: datetime, form: str) -> str:
    # strftime writes the year 999 with three digits on some systems; ours have four anyway
    return moment.strftime(form)


def read_date(value: Any) -> datetime | None:
    """The moment that a value means; the first of the month for a month; None for what is no date."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    text = str(value).strip() if value is not None else ""
    writing = writing_of_text(text)
    if writing is None:
        return None
    try:
        if writing == "iso_ts":
            return datetime.fromisoformat(text)
        return datetime.strptime(text, _FORMATS[writing])
    except ValueError:
        return None


def span_of(moment: datetime, writing: Writing) -> tuple[int, int]:
    """First and last day, as YYYYMMDD, that a value with this moment stands for."""
    day = moment.year * 10_000 + moment.month * 100 + moment.day
    if writing in ("ym", "iso_ym", "int_ym"):
        first = moment.year * 10_000 + moment.month * 100
        return first + 1, first + monthrange(moment.year, moment.month)[1]
    return day, day


def is_month(writing: Writing) -> bool:
    return writing in ("ym", "iso_ym", "int_ym")


def end_of(base_dt: str) -> datetime:
    """The last moment of the base date."""
    return datetime(int(base_dt[:4]), int(base_dt[4:6]), int(base_dt[6:8])) + timedelta(
        days=1, microseconds=-1
    )


def is_period(name: str) -> bool:
    """True for the name of the row's own period: ``ym``, ``base_dt``, ``snapshot_month``.

    Examples
    --------
    >>> is_period("base_ym"), is_period("txn_dt"), is_period("open_ym")
    (True, False, False)
    """
    words = set(words_of(name))
    return (
        bool(words)
        and words <= _PERIOD_WORDS | _MONTH_WORDS | _DAY_WORDS
        and bool(words & (_MONTH_WORDS | _DAY_WORDS))
    )


def is_birth(name: str) -> bool:
    return bool(_BIRTH_WORDS & set(words_of(name)))


def is_load(name: str) -> bool:
    return bool(_LOAD_WORDS & set(words_of(name))) and not is_period(name)


def is_later(name: str) -> bool:
    """True for the name of something that ends or follows: ``closed_dt``, ``last_login_at``."""
    return bool(_LATER_WORDS & set(words_of(name)))


def is_state(name: str) -> bool:
    return bool((_STATE_WORDS | _LATER_WORDS) & set(words_of(name))) or is_birth(name)


def dating_columns(columns: Sequence[str], *, partition: Collection[str] = ()) -> tuple[str, ...]:
    """The columns of which any says when a row became known, judged by their names.

    The partition column and the row's own period come first: a row of a monthly snapshot tells the
    state of that month, however old the account is. Without one, what happened: not a birthday, not
    when the row was loaded, not what ends later.
    """
    kept = [name for name in columns if not is_birth(name)] or list(columns)
    periods = [name for name in kept if name in partition or is_period(name)]
    if periods:
        events = [name for name in kept if not is_state(name) and not is_load(name) and name not in periods]
        return (*periods, *events)
    for is_left_out in (lambda name: is_load(name) or is_later(name), is_load, is_later):
        rest = [name for name in kept if not is_left_out(name)]
        if rest:
            return tuple(rest)
    return tuple(kept)


_HORIZON = re.compile(
    r"(?:^|_)(?:next|fwd|forward|future|af|after|within|in)_?(\d{1,3})_?(d|day|w|week|m|mon|mth|month|q|y|year)s?(?:_|$)"
)
_NEXT = re.compile(r"(?:^|_)next_?(month|quarter|year|m|q|y)(?:_|$)")
_TARGET = re.compile(r"^(?:target|label|y_true)(?:_(?:yn|flag|fg|cd))?$|_target(?:_(?:yn|flag|fg))?$")
_MONTHS = {"d": 1 / 30, "w": 0.25, "m": 1, "q": 3, "y": 12}


def label_horizon(name: str) -> int | None:
    """Months that a label column looks ahead by its name; 0 where it is a label and does not say how far.

    Examples
    --------
    >>> label_horizon("default_flag_next_3m"), label_horizon("target_yn"), label_horizon("amount_3m")
    (3, 0, None)
    """
    name = name.lower()
    if match := _HORIZON.search(name):
        return max(1, round(int(match[1]) * _MONTHS[match[2][0]]))
    if match := _NEXT.search(name):
        return round(_MONTHS[match[1][0]])
    return 0 if _TARGET.search(name) else None


def companions(name: str, columns: Mapping[str, Any] | Sequence[str]) -> list[str]:
    """Columns that tell of the same happening as a date column: ``closed_reason`` beside ``closed_dt``."""
    stems = {word[:4] for word in words_of(name) if word not in _DAY_WORDS | _MONTH_WORDS}
    if not stems:
        return []
    return [
        other
        for other in columns
        if other != name and stems <= {word[:4] for word in words_of(other)} and not other.endswith("_id")
    ]
