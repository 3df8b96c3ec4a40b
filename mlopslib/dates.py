"""Months and the date dictionary of a run.

A month is a string ``"YYYYMM"``, a day is a string ``"YYYYMMDD"``: the two forms in which a bank's
tables carry their partitions. Nothing here asks what day it is today.
"""

from __future__ import annotations

import calendar
import re
from datetime import date

from mlopslib.errors import InvalidDate

_YM = re.compile(r"[0-9]{6}")
_DT = re.compile(r"[0-9]{8}")

#: years that a month may have; a base month outside them is a typing error
FIRST_YEAR, LAST_YEAR = 1900, 2199
#: how many months before and after the base month the dictionary names
REACH_MONTHS = 36


def validate_ym(ym: str) -> str:
    """Return `ym` if it is a month ``"YYYYMM"``.

    Raises
    ------
    InvalidDate
        If it is not six digits, not a month of the year, or outside 1900..2199.

    Examples
    --------
    >>> validate_ym("202210")
    '202210'
    """
    if not isinstance(ym, str) or not _YM.fullmatch(ym):
        raise InvalidDate(f"{ym!r} is not a month: write six digits, as in '202210'", field="base_ym")
    year, month = int(ym[:4]), int(ym[4:])
    if not 1 <= month <= 12:
        raise InvalidDate(
            f"{ym!r} has no month {ym[4:]}: the last two digits run from 01 to 12", field="base_ym"
        )
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise InvalidDate(f"{ym!r} is outside the years {FIRST_YEAR} to {LAST_YEAR}", field="base_ym")
    return ym


def add_months(ym: str, n: int) -> str:
    """The month `n` months after `ym` (before it, when `n` is negative).

    Raises
    ------
    InvalidDate
        If `ym` is not a month or the result leaves 1900..2199.

    Examples
    --------
    >>> add_months("202211", 3), add_months("202201", -1)
    ('202302', '202112')
    """
    return _from_index(_index(ym) + n)


def months_between(a: str, b: str) -> int:
    """How many months `b` is after `a`; negative when it is before.

    Examples
    --------
    >>> months_between("202210", "202301"), months_between("202301", "202210")
    (3, -3)
    """
    return _index(b) - _index(a)


def month_range(first: str, last: str) -> list[str]:
    """Every month from `first` to `last`, both included; empty when `last` is before `first`.

    Examples
    --------
    >>> month_range("202211", "202302")
    ['202211', '202212', '202301', '202302']
    """
    return [_from_index(index) for index in range(_index(first), _index(last) + 1)]


def first_day(ym: str) -> str:
    """The first day of a month.

    Examples
    --------
    >>> first_day("202402")
    '20240201'
    """
    return f"{validate_ym(ym)}01"


def last_day(ym: str) -> str:
    """The last day of a month.

    Examples
    --------
    >>> last_day("202402"), last_day("202302")
    ('20240229', '20230228')
    """
    validate_ym(ym)
    return f"{ym}{calendar.monthrange(int(ym[:4]), int(ym[4:]))[1]:02d}"


def date_params(base: str) -> dict[str, str]:
    """The date dictionary of a run: what ``{name}`` in a query may say.

    Parameters
    ----------
    base
        The base date ``"YYYYMMDD"``, or a base month ``"YYYYMM"``, which means its last day.

    Returns
    -------
    dict
        - ``base_dt``: the base date; ``base_ym`` and ``thmm_ym``: its month;
        - ``base_first_dt``, ``base_last_dt``: first and last day of that month;
        - for N from 1 to 36, ``bf_Nm_ym`` and ``af_Nm_ym``: N months before and after the base month;
          ``bf_Nm_dt`` and ``af_Nm_dt``: the *first* day of that month; ``bf_Nm_last_dt`` and
          ``af_Nm_last_dt``: its last day.

    Raises
    ------
    InvalidDate
        If `base` is neither a month nor a day of the calendar.

    Examples
    --------
    >>> params = date_params("202210")
    >>> params["base_dt"], params["bf_1m_ym"], params["bf_1m_dt"], params["bf_1m_last_dt"]
    ('20221031', '202209', '20220901', '20220930')
    >>> date_params("20221015")["base_dt"]
    '20221015'
    """
    base_dt = _base_day(base)
    ym = base_dt[:6]
    params = {
        "base_ym": ym,
        "thmm_ym": ym,
        "base_dt": base_dt,
        "base_first_dt": first_day(ym),
        "base_last_dt": last_day(ym),
    }
    for n in range(1, REACH_MONTHS + 1):
        for prefix, months in ((f"bf_{n}m", -n), (f"af_{n}m", n)):
            other = add_months(ym, months)
            params[f"{prefix}_ym"] = other
            params[f"{prefix}_dt"] = first_day(other)
            params[f"{prefix}_last_dt"] = last_day(other)
    return params


def _base_day(base: str) -> str:
    if not isinstance(base, str) or not (_YM.fullmatch(base) or _DT.fullmatch(base)):
        raise InvalidDate(
            f"{base!r} is not a base date: write a month '202210' or a day '20221031'", field="base_ym"
        )
    if len(base) == 6:
        return last_day(base)
    validate_ym(base[:6])
    try:
        date(int(base[:4]), int(base[4:6]), int(base[6:]))
    except ValueError as error:
        raise InvalidDate(f"{base!r} is not a day of the calendar", field="base_ym") from error
    return base


def _index(ym: str) -> int:
    validate_ym(ym)
    return int(ym[:4]) * 12 + int(ym[4:]) - 1


def _from_index(index: int) -> str:
    year, month = divmod(index, 12)
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise InvalidDate(f"the month leaves the years {FIRST_YEAR} to {LAST_YEAR}", field="base_ym")
    return f"{year:04d}{month + 1:02d}"
