"""Derived variables: what the language means, and that its three forms say the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlopslib.derive import parse_expression
from mlopslib.errors import ExpressionInvalid

NAN = math.nan


def value(text: str, **row: Any) -> float:
    return parse_expression(text).to_closure()(row)


def same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


@pytest.mark.parametrize(
    ("text", "row", "expected"),
    [
        ("a + b * 2", {"a": 1.0, "b": 3.0}, 7.0),
        ("(a + b) * 2", {"a": 1.0, "b": 3.0}, 8.0),
        ("a - b - 1", {"a": 5.0, "b": 3.0}, 1.0),
        ("a / b / 2", {"a": 12.0, "b": 3.0}, 2.0),
        ("-a * -2", {"a": 3.0}, 6.0),
        ("2 * -a", {"a": 3.0}, -6.0),
        ("a > 1 and b > 1", {"a": 2.0, "b": 2.0}, 1.0),
        ("a > 1 or b > 1 and b > 5", {"a": 2.0, "b": 2.0}, 1.0),
        ("not a > 1", {"a": 2.0}, 0.0),
        ("not not a > 1", {"a": 2.0}, 1.0),
        ("(a > 1) + (b > 1)", {"a": 2.0, "b": 2.0}, 2.0),
        ("if(a >= 2, b, 0)", {"a": 2.0, "b": 9.0}, 9.0),
        ("min(a, b, 4)", {"a": 5.0, "b": 6.0}, 4.0),
        ("max(a, b, 4)", {"a": 5.0, "b": 6.0}, 6.0),
        ("log(a)", {"a": math.e}, 1.0),
        ("sqrt(a) + abs(b)", {"a": 9.0, "b": -2.0}, 5.0),
        ("floor(a)", {"a": -1.5}, -2.0),
        ("kind in ('A', 'B')", {"kind": "B"}, 1.0),
        ("kind not in ('A', 'B')", {"kind": "B"}, 0.0),
        ("kind == 'A'", {"kind": "B"}, 0.0),
        ("a in (1, -2)", {"a": -2.0}, 1.0),
        ("coalesce(kind, 'none') == 'none'", {"kind": None}, 1.0),
        ("1e3 * a", {"a": 2}, 2000.0),
        ("'가' == kind", {"kind": "가"}, 1.0),
    ],
)
def test_expressions_mean_what_they_say(text, row, expected):
    assert value(text, **row) == expected


@pytest.mark.parametrize(
    ("text", "row", "expected"),
    [
        ("a + 1", {"a": None}, NAN),
        ("a + 1", {"a": NAN}, NAN),
        ("a + 1", {}, NAN),
        ("a > 1", {"a": None}, NAN),
        ("a / b", {"a": 1.0, "b": 0.0}, NAN),
        ("a / b", {"a": 0.0, "b": -0.0}, NAN),
        ("log(a)", {"a": 0.0}, NAN),
        ("log(a)", {"a": -1.0}, NAN),
        ("sqrt(a)", {"a": -1.0}, NAN),
        ("exp(a)", {"a": 800.0}, NAN),
        ("min(a, b)", {"a": 1.0, "b": None}, NAN),
        ("max(a, b)", {"a": None, "b": 1.0}, NAN),
        ("is_missing(a)", {"a": None}, 1.0),
        ("is_missing(1 / a)", {"a": 0.0}, 1.0),
        ("is_missing(kind)", {"kind": "A"}, 0.0),
        ("coalesce(a, b, 7)", {"a": None, "b": None}, 7.0),
        ("coalesce(a / b, -1)", {"a": 1.0, "b": 0.0}, -1.0),
        ("if(a > 1, 1, 0)", {"a": None}, NAN),
        ("if(is_missing(a), 0, a)", {"a": None}, 0.0),
        ("if(a > 1, b, 0)", {"a": 0.0, "b": None}, 0.0),
        # three-valued logic, as in SQL
        ("a > 1 and b > 1", {"a": 0.0, "b": None}, 0.0),
        ("a > 1 and b > 1", {"a": None, "b": 0.0}, 0.0),
        ("a > 1 and b > 1", {"a": 2.0, "b": None}, NAN),
        ("a > 1 or b > 1", {"a": None, "b": 2.0}, 1.0),
        ("a > 1 or b > 1", {"a": None, "b": 0.0}, NAN),
        ("not a > 1", {"a": None}, NAN),
        ("kind in ('A', 'B')", {"kind": None}, NAN),
    ],
)
def test_missing_propagates_unless_it_is_asked_for(text, row, expected):
    assert same(value(text, **row), expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "ends too early"),
        ("a +", "ends too early"),
        ("a b", "'b' is not expected here"),
        ("(a + 1", "')' is missing"),
        ("a = 1", "compare with =="),
        ("a ** 2", "'*' is not a value"),
        ("a < 1 < 2", "two values at a time"),
        ("a and b", "and needs a condition"),
        ("if(a, 1, 0)", "if needs a condition"),
        ("if(a > 1, 1)", "if takes 3 arguments, not 2"),
        ("lgo(a)", "did you mean 'log'?"),
        ("__import__('os')", "no function is called '__import__'"),
        ("a.b", "'.' cannot be used"),
        ("a[0]", "'[' cannot be used"),
        ("lambda", "no column is called 'lambda'"),
        ("1 + 2", "at least one column"),
        ("a + 'x'", "the text 'x' stands where a number is needed"),
        ("a > 'x'", "== and != only"),
        ("a == 'x' and a > 1", "== and != only"),
        ("a == 'x' and log(a) > 1", "column 'a' is a text"),
        ("a in (1, 'x')", "not both"),
        ("a in (b)", "numbers or texts only"),
        ("a / 0", "always missing"),
        ("a == 'it\\s'", "may not hold"),
        ("a == 'x", "a text does not end"),
        ("a * 1e999", "too large"),
        ("kind + 1", "column 'kind' is a text"),
        ("(" * 60 + "a" + ")" * 60, "nested deeper"),
        ("a + " * 200 + "a", "more than 150 parts"),
        ("a" * 2001, "longer than"),
    ],
)
def test_a_wrong_expression_says_what_is_wrong(text, message):
    with pytest.raises(ExpressionInvalid) as caught:
        parse_expression(
            text,
            columns={"a": "numeric", "b": "numeric", "kind": "category"} if "kind" in text else ["a", "b"],
        )
    assert message in caught.value.message
    assert caught.value.field == "expression"


def test_columns_are_listed_once_in_order_with_their_kind():
    expression = parse_expression("if(kind == 'A', b / a, b) + is_missing(other)")
    assert expression.columns == ("kind", "b", "a", "other")
    assert expression.category_columns == {"kind"}


def test_numpy_takes_object_columns_with_none():
    expression = parse_expression("if(coalesce(kind, 'N') == 'Y', amt, -1)")
    found = expression.to_numpy(
        {
            "kind": np.array(["Y", None, NAN, "Z"], dtype=object),
            "amt": np.array([1, None, 3, 4], dtype=object),
        }
    )
    assert found.tolist() == [1.0, -1.0, -1.0, -1.0]
    assert found.dtype == np.float64


def test_numpy_takes_empty_columns_and_names_a_lacking_one():
    expression = parse_expression("log(a) + if(k == 'x', 1, 0)")
    assert expression.to_numpy({"a": np.array([]), "k": np.array([], dtype=object)}).shape == (0,)
    with pytest.raises(ExpressionInvalid, match="column 'k' is not among the data"):
        expression.to_numpy({"a": np.array([1.0])})


def test_the_pmml_text_tests_missing_and_zero_before_use():
    columns, text = parse_expression("a / b").to_sklearn2pmml()
    assert columns == ["a", "b"]
    assert text == (
        '(None if pandas.isnull(X["a"]) else (None if pandas.isnull(X["b"]) else '
        '(None if X["b"] == 0.0 else (X["a"] / X["b"]))))'
    )


def test_an_expression_that_would_explode_in_pmml_is_refused_at_once():
    with pytest.raises(ExpressionInvalid, match="too many branches"):
        parse_expression(" + ".join(f"if(a > {i}, 1, b)" for i in range(20)))


def test_a_sum_of_flags_stays_small_in_pmml():
    expression = parse_expression(" + ".join(f"(a > {i})" for i in range(20)))
    assert len(expression.to_sklearn2pmml()[1]) < 1_500


numbers = st.sampled_from(["0.5", "1", "2.0", "100", "1e-3"])
columns = st.sampled_from(["a", "b"])
sums = st.deferred(
    lambda: st.one_of(
        columns,
        numbers,
        st.tuples(sums, st.sampled_from("+-*/"), sums).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        sums.map(lambda x: f"(-{x})"),
        st.tuples(st.sampled_from(["log", "exp", "sqrt", "abs", "floor"]), sums).map(
            lambda p: f"{p[0]}({p[1]})"
        ),
        st.tuples(st.sampled_from(["min", "max", "coalesce"]), sums, sums).map(
            lambda p: f"{p[0]}({p[1]}, {p[2]})"
        ),
        st.tuples(tests, sums, sums).map(lambda p: f"if({p[0]}, {p[1]}, {p[2]})"),
    )
)
tests = st.deferred(
    lambda: st.one_of(
        st.tuples(sums, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), sums).map(" ".join),
        st.sampled_from(["k == 'Y'", "k in ('Y', 'N')", "coalesce(k, 'N') != 'Y'", "is_missing(k)"]),
        sums.map(lambda x: f"is_missing({x})"),
        tests.map(lambda x: f"not ({x})"),
        st.tuples(tests, st.sampled_from(["and", "or"]), tests).map(lambda p: f"({p[0]}) {p[1]} ({p[2]})"),
    )
)
ROWS = [
    {"a": a, "b": b, "k": k}
    for a in (None, 0.0, -1.5, 3.0, 1e6)
    for b in (None, 0.0, 2.0, -2.0)
    for k in (None, "Y", "Z")
]
FRAME = {
    "a": np.array([NAN if row["a"] is None else row["a"] for row in ROWS]),
    "b": np.array([NAN if row["b"] is None else row["b"] for row in ROWS]),
    "k": np.array([row["k"] for row in ROWS], dtype=object),
}


@settings(max_examples=150, deadline=None)
@given(sums)
def test_numpy_closure_and_pmml_text_agree_on_every_row(text):
    try:
        expression = parse_expression(text)
    except ExpressionInvalid:
        return  # constants only, a literal zero divisor, or too large
    column = expression.to_numpy(FRAME)
    closure = expression.to_closure()
    _, pmml = expression.to_sklearn2pmml()
    code = compile(pmml, "pmml", "eval")
    for row, from_numpy in zip(ROWS, column, strict=True):
        from_closure = closure(row)
        assert same(from_closure, from_numpy), row
        if not math.isfinite(from_closure):
            continue  # a double that overflows is infinite in both, and no feature of a bank
        with np.errstate(all="ignore"):
            from_pmml = eval(code, {"X": row, "pandas": pandas, "numpy": np, "abs": abs})
        assert from_pmml is not None, row
        assert from_pmml == pytest.approx(from_closure, rel=1e-12), row
