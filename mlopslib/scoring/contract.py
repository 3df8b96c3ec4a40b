"""What a scoring request must look like, made from a package's ``contract.json``.

>>> contract = RequestContract(
...     {"inputs": [{"name": "age", "type": "number", "nullable": True, "categories": None}]},
...     identifiers=["custId"],
... )
>>> contract.decode(b'{"requests": [{"custId": "7", "age": 30}]}')
[{'custId': '7', 'age': 30.0}]
>>> contract.decode(b'{"requests": [{"custId": "7", "age": "30"}]}')
Traceback (most recent call last):
...
mlopslib.errors.RequestInvalid: requests[0].age: a number is needed, not text
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import msgspec

from mlopslib.errors import PackageDamaged, RequestInvalid

#: longest text that a category or an identifier may be
MAX_TEXT = 256
_KINDS = {"number", "category"}


@dataclass(frozen=True)
class Input:
    """One raw input of a model, as a request gives it."""

    name: str
    type: str
    nullable: bool
    categories: tuple[str, ...] | None

    @property
    def is_number(self) -> bool:
        return self.type == "number"


def read_inputs(contract: Mapping[str, Any]) -> tuple[Input, ...]:
    """The inputs of a ``contract.json``. Raises PackageDamaged where it is not one."""
    try:
        inputs = tuple(
            Input(
                name=str(item["name"]),
                type=item["type"],
                nullable=bool(item["nullable"]),
                categories=None if item.get("categories") is None else tuple(item["categories"]),
            )
            for item in contract["inputs"]
        )
    except (KeyError, TypeError) as error:
        raise PackageDamaged(f"contract.json lacks {error}", field="contract.json") from error
    for item in inputs:
        if item.type not in _KINDS:
            raise PackageDamaged(f"contract.json: {item.name} is of unknown type {item.type!r}")
    return inputs


class RequestContract:
    """Decodes and checks request rows.

    Parameters
    ----------
    contract
        The package's ``contract.json``.
    identifiers
        Fields that a row may carry beside the inputs (text or whole number); they are passed through.
        A name that is also an input is an input.

    Notes
    -----
    A category that training did not see is allowed: it is scored as missing. Everything else that the
    contract does not name is refused, and the error names the place: ``requests[3].feature01``.
    """

    def __init__(self, contract: Mapping[str, Any], *, identifiers: Sequence[str] = ()) -> None:
        self.inputs = read_inputs(contract)
        self.names = frozenset(item.name for item in self.inputs)
        self.identifiers = tuple(name for name in identifiers if name not in self.names)
        self._allowed = self.names | set(self.identifiers)
        self._checks = [(item.name, item.is_number, item.nullable) for item in self.inputs]

    def decode(self, body: bytes | bytearray | memoryview) -> list[dict[str, Any]]:
        """Rows of a body ``{"requests": [...]}``. Raises RequestInvalid."""
        try:
            content = msgspec.json.decode(body)
        # text that is not UTF-8 leaves msgspec as another error than its own; deep nesting likewise
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RequestInvalid(f"the body is not JSON: {error}", field="body") from error
        if not isinstance(content, dict):
            raise RequestInvalid('the body is an object: {"requests": [...]}', field="body")
        if "requests" not in content:
            raise RequestInvalid('the body lacks "requests", a list of rows', field="requests")
        for name in content:
            if name != "requests":
                raise RequestInvalid(
                    f'{_shown(name)}: the body holds "requests" and nothing else', field=name
                )
        return self.check_rows(content["requests"])

    def check_rows(self, rows: Any, *, field: str = "requests") -> list[dict[str, Any]]:
        """The rows with every number as a float. Raises RequestInvalid naming the first wrong field.

        Rows are changed in place (whole numbers become floats).
        """
        if not isinstance(rows, list):
            raise RequestInvalid(f"{field}: a list of rows is needed, not {_kind(rows)}", field=field)
        if not rows:
            raise RequestInvalid(f"{field}: at least one row is needed", field=field)
        for position, row in enumerate(rows):
            self._check_row(row, f"{field}[{position}]")
        return rows

    def _check_row(self, row: Any, place: str) -> None:
        if type(row) is not dict:
            raise RequestInvalid(f"{place}: a row is an object, not {_kind(row)}", field=place)
        for name, is_number, nullable in self._checks:
            try:
                value = row[name]
            except KeyError:
                field = f"{place}.{name}"
                raise RequestInvalid(f"{field}: the field is missing", field=field) from None
            if value is None:
                if not nullable:
                    field = f"{place}.{name}"
                    raise RequestInvalid(
                        f"{field}: null is refused, the model never saw it missing", field=field
                    )
            elif is_number:
                if type(value) is not float or not math.isfinite(value):
                    row[name] = _number(value, f"{place}.{name}")
            elif type(value) is not str or len(value) > MAX_TEXT:
                raise _text_error(value, f"{place}.{name}")
        if not self._allowed.issuperset(row):
            self._refuse_unknown(row, place)
        for name in self.identifiers:
            if name in row:
                _check_identifier(row[name], f"{place}.{name}")

    def _refuse_unknown(self, row: Mapping[str, Any], place: str) -> None:
        name = next(name for name in row if name not in self._allowed)
        near = get_close_matches(name[:MAX_TEXT], self._allowed, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        field = f"{place}.{_shown(name)}"
        raise RequestInvalid(f"{field}: the model knows no such field{hint}", field=field)


def _number(value: Any, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RequestInvalid(f"{field}: a number is needed, not {_kind(value)}", field=field)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise RequestInvalid(f"{field}: the number is not finite or too large", field=field)
    return number


def _text_error(value: Any, field: str) -> RequestInvalid:
    if isinstance(value, str):
        return RequestInvalid(f"{field}: text of at most {MAX_TEXT} characters is needed", field=field)
    return RequestInvalid(f"{field}: text is needed, not {_kind(value)}", field=field)


def _check_identifier(value: Any, field: str) -> None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise _text_error(value, field)


def _kind(value: Any) -> str:
    """What a person calls the JSON value."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "an object"
    return type(value).__name__


def _shown(name: str) -> str:
    return name if len(name) <= 80 else name[:77] + "..."
