import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlopslib.errors import PackageDamaged, RequestInvalid
from mlopslib.scoring.contract import RequestContract

CONTRACT = {
    "inputs": [
        {"name": "feature01", "type": "number", "nullable": True, "categories": None},
        {"name": "feature02", "type": "number", "nullable": False, "categories": None},
        {"name": "feature08", "type": "category", "nullable": True, "categories": ["N", "Y"]},
        {"name": "feature09", "type": "category", "nullable": False, "categories": ["N", "Y"]},
    ]
}
ROW = {"affiNo": "100000001", "feature01": 5.0e7, "feature02": 3, "feature08": "N", "feature09": "Y"}


@pytest.fixture
def contract():
    return RequestContract(CONTRACT, identifiers=["customId", "affiNo"])


def body(*rows, **more):
    return json.dumps({"requests": list(rows), **more}).encode()


def refused(contract, data):
    with pytest.raises(RequestInvalid) as caught:
        contract.decode(data)
    return caught.value


def test_a_good_body_gives_rows_with_numbers_as_floats(contract):
    (row,) = contract.decode(body(ROW))
    assert row == ROW
    assert type(row["feature02"]) is float


@pytest.mark.parametrize(
    "change, field, words",
    [
        ({"feature01": "5"}, "feature01", "a number is needed, not text"),
        ({"feature01": True}, "feature01", "not true or false"),
        ({"feature01": [1.0]}, "feature01", "not a list"),
        ({"feature01": {}}, "feature01", "not an object"),
        ({"feature01": 10**400}, "feature01", "too large"),
        ({"feature01": -(10**309)}, "feature01", "too large"),
        ({"feature02": None}, "feature02", "null is refused"),
        ({"feature08": 1}, "feature08", "text is needed, not a number"),
        ({"feature08": "x" * 300}, "feature08", "at most"),
        ({"feature09": None}, "feature09", "null is refused"),
        ({"feature1": 1.0}, "feature1", "did you mean feature01?"),
        ({"affiNo": 1.5}, "affiNo", "text is needed"),
        ({"affiNo": ["a"]}, "affiNo", "text is needed"),
    ],
)
def test_a_wrong_field_is_named(contract, change, field, words):
    error = refused(contract, body(ROW, ROW, ROW, {**ROW, **change}))
    assert error.field == f"requests[3].{field}"
    assert words in error.message


def test_a_missing_field_is_named(contract):
    row = {name: value for name, value in ROW.items() if name != "feature02"}
    assert refused(contract, body(row)).field == "requests[0].feature02"


@pytest.mark.parametrize(
    "data, field",
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b"7", "body"),
        (b"{}", "requests"),
        (b'{"requests": {}}', "requests"),
        (b'{"requests": []}', "requests"),
        (b'{"requests": null}', "requests"),
        (b'{"requests": [null]}', "requests[0]"),
        (b'{"requests": [[]]}', "requests[0]"),
        (b'{"requests": [{}], "more": 1}', "more"),
        (b'{"requests": [{"feature01": NaN}]}', "body"),
        (b'{"requests": [{"feature01": Infinity}]}', "body"),
        (b'{"requests": [{"feature01": 1e999}]}', "body"),
        (b'\xef\xbb\xbf{"requests": []}', "body"),
        (b'{"requests": "\xff"}', "body"),
        (b'{"requests": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "body"),
    ],
)
def test_a_wrong_body_is_refused_by_the_same_error(contract, data, field):
    assert refused(contract, data).field == field


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_rows_that_did_not_come_as_json_are_checked_too(contract, value):
    with pytest.raises(RequestInvalid, match="not finite"):
        contract.check_rows([{**ROW, "feature01": value}])


def test_an_unseen_category_is_allowed(contract):
    assert contract.decode(body({**ROW, "feature08": "Z"}))[0]["feature08"] == "Z"


def test_an_identifier_may_be_left_out_or_null(contract):
    contract.decode(body({**ROW, "customId": None}, {k: v for k, v in ROW.items() if k != "affiNo"}))


def test_a_long_unknown_name_is_cut_in_the_answer(contract):
    assert len(refused(contract, body({**ROW, "x" * 5000: 1})).message) < 300


@pytest.mark.parametrize("broken", [{}, {"inputs": [{}]}, {"inputs": 7}, {"inputs": [{"name": "a"}]}])
def test_a_contract_that_is_not_one_is_damage(broken):
    with pytest.raises(PackageDamaged):
        RequestContract(broken)


@given(st.binary(max_size=200) | st.text().map(str.encode))
def test_only_request_invalid_leaves_the_decoder(data):
    contract = RequestContract(CONTRACT)
    with contextlib.suppress(RequestInvalid):
        contract.decode(data)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(list(ROW)), inner),
        max_leaves=20,
    )
)
def test_any_json_value_is_accepted_or_refused_by_name(value):
    contract = RequestContract(CONTRACT, identifiers=["affiNo"])
    try:
        contract.check_rows([value])
    except RequestInvalid as error:
        assert error.field.startswith("requests[0]")
