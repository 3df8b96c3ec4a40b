"""From a JSON body to rows that the contract allows, quickly when they are and with a name when not."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec

from apps.serving.worker.errors import RequestRefused
from mlopslib.errors import RequestInvalid
from mlopslib.scoring.contract import MAX_TEXT, RequestContract

MAX_ROWS = 1_000

Row = dict[str, Any]


class RowDecoder:
    """Decodes `{"requests": [{...}, ...]}` for one contract and one endpoint's identifiers.

    msgspec checks names and types while it reads, in C. What it lets pass (a field twice, a field
    too many) shows as more colons than the decoded members account for. Only a body with a fault
    is read again, slowly, by the contract itself, which says what is wrong and where.
    """

    def __init__(self, contract: Mapping[str, Any], identifiers: Sequence[str]) -> None:
        self._contract = RequestContract(contract, identifiers=identifiers)
        text: Any = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
        fields: dict[str, Any] = {name: NotRequired[text | int | None] for name in identifiers}
        for item in self._contract.inputs:
            kind: Any = float if item.is_number else text
            fields[item.name] = kind | None if item.nullable else kind
        # the fields are known at run time only, which type checkers do not follow
        make: Any = TypedDict
        row: Any = make("row", fields)
        rows: Any = Annotated[list[row], msgspec.Meta(min_length=1, max_length=MAX_ROWS)]
        envelope: Any = msgspec.defstruct("envelope", [("requests", rows)], forbid_unknown_fields=True)
        self._decode = msgspec.json.Decoder(envelope).decode

    def decode(self, body: bytes) -> list[Row]:
        """Rows in the order of the body. Raises RequestRefused naming the field."""
        try:
            rows: list[Row] = self._decode(body).requests
        # text that is not UTF-8 and deep nesting leave msgspec as other errors than its own
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._decode_slowly(body)
        # each member has one colon; colons in text make the count too high, never too low
        if body.count(b":") != 1 + sum(map(len, rows)):
            return self._decode_slowly(body)
        return rows

    def _decode_slowly(self, body: bytes) -> list[Row]:
        _refuse_what_readers_miss(body)
        try:
            rows = self._contract.decode(body)
        except RequestInvalid as error:
            if error.field == "body":
                raise RequestRefused(400, "not-json", error.message) from None
            raise invalid(error) from None
        if len(rows) > MAX_ROWS:
            raise RequestRefused(
                422, "too-many-rows", f"requests: {len(rows)} rows, at most {MAX_ROWS}", field="requests"
            )
        return rows


def invalid(error: RequestInvalid) -> RequestRefused:
    return RequestRefused(422, error.code, error.message, field=error.field)


class _Members(list[tuple[str, Any]]):
    """The members of a JSON object, repeated names included."""


class _NotANumber:
    """Stands for NaN and Infinity, which Python's reader takes and JSON does not know."""


def _read_number(text: str) -> float | _NotANumber:
    # thousands of digits are too much for int(), and become infinite here
    number = float(text)
    return number if math.isfinite(number) else _NotANumber()


def _refuse_what_readers_miss(body: bytes) -> None:
    """Find a name that is there twice and numbers that are none: msgspec passes or cannot locate them."""
    try:
        document = json.loads(
            body.decode(),
            object_pairs_hook=_Members,
            parse_constant=lambda _: _NotANumber(),
            parse_int=_read_number,
            parse_float=_read_number,
        )
    except UnicodeDecodeError as error:
        raise _not_json(f"the body is not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise _not_json("the body is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise _not_json(f"the body is not JSON at character {error.pos}") from None
    _check(document, "")


def _check(value: Any, place: str) -> None:
    if isinstance(value, _NotANumber):
        message = f"{place or 'the body'}: a finite number is needed (null where it is missing)"
        raise RequestRefused(422, RequestInvalid.code, message, field=place or None)
    if isinstance(value, _Members):
        seen: set[str] = set()
        for name, member in value:
            field = f"{place}.{name}" if place else name
            if len(field) > 120:
                field = field[:117] + "..."
            if name in seen:
                raise RequestRefused(
                    422, RequestInvalid.code, f"{field}: the field is there twice", field=field
                )
            seen.add(name)
            _check(member, field)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            _check(item, f"{place}[{position}]")


def _not_json(message: str) -> RequestRefused:
    return RequestRefused(400, "not-json", message)
