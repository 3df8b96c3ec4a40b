"""Date parameters in a query: ``{base_ym}``, ``{bf_3m_ym}``, replaced by text and nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from itertools import islice

from mlopslib.errors import InvalidDate, UnknownParameter

_PARAMETER = re.compile(r"\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}")
_VALUE = re.compile(r"[0-9]{6}|[0-9]{8}")
#: parameters that a message shows where none is near
_SHOWN = 6


def parameters_in(sql: str) -> list[str]:
    """Names of the parameters of a query, each once, in the order of their first use.

    Examples
    --------
    >>> parameters_in("select '{base_ym}' from t where ym between '{bf_3m_ym}' and '{base_ym}'")
    ['base_ym', 'bf_3m_ym']
    """
    return list(dict.fromkeys(match.group(1) for match in _PARAMETER.finditer(sql)))


def render_sql(sql: str, params: Mapping[str, str]) -> str:
    """Put the values of a date dictionary into a query.

    One regular expression does it, so braces that hold no name (``'[0-9]{2}'``) stay, and a value can
    never bring in a quote: it is six or eight digits.

    Parameters
    ----------
    sql
        The query, with parameters as ``{name}``.
    params
        The date dictionary, as `mlopslib.dates.date_params` makes it.

    Raises
    ------
    UnknownParameter
        If a name is not in `params`; the message names the nearest one, or the first few.
    InvalidDate
        If a value is not six or eight digits.

    Examples
    --------
    >>> from mlopslib.dates import date_params
    >>> render_sql("select * from balance where base_ym = '{bf_1m_ym}'", date_params("202210"))
    "select * from balance where base_ym = '202209'"
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in params:
            raise UnknownParameter(_unknown(name, params), field="sql")
        if not _VALUE.fullmatch(params[name]):
            raise InvalidDate(f"{{{name}}} is {params[name]!r}: it must be six or eight digits", field=name)
        return params[name]

    return _PARAMETER.sub(value, sql)


def _unknown(name: str, params: Mapping[str, str]) -> str:
    near = get_close_matches(name.lower(), params, n=1, cutoff=0.6)
    if near:
        hint = f": did you mean {{{near[0]}}}?"
    elif params:
        hint = f": there are {', '.join(f'{{{known}}}' for known in islice(params, _SHOWN))} and others"
    else:
        hint = ": this query takes no parameters"
    return f"no date parameter is called {{{name}}}{hint}"
