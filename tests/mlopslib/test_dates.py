"""Months and the date dictionary."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlopslib.dates import (
    REACH_MONTHS,
    add_months,
    date_params,
    first_day,
    last_day,
    month_range,
    months_between,
    validate_ym,
)
from mlopslib.errors import InvalidDate

months = st.builds(lambda year, month: f"{year}{month:02d}", st.integers(1950, 2100), st.integers(1, 12))


@pytest.mark.parametrize(
    "wrong", ["", "2022", "202213", "202200", "2022-10", "20221031", "202210\n", "２０２２１０", "189912"]
)
def test_what_is_not_a_month_is_refused(wrong):
    with pytest.raises(InvalidDate) as caught:
        validate_ym(wrong)
    assert caught.value.field == "base_ym"


@given(months, st.integers(-500, 500))
def test_adding_months_and_counting_them_are_inverse(ym, n):
    moved = add_months(ym, n)
    assert months_between(ym, moved) == n
    assert add_months(moved, -n) == ym


@given(months, st.integers(0, 40))
def test_a_range_holds_every_month_once(ym, n):
    found = month_range(ym, add_months(ym, n))
    assert len(found) == n + 1
    assert found == sorted(set(found))


def test_a_range_backwards_is_empty():
    assert month_range("202210", "202209") == []


def test_months_leave_the_calendar_with_an_error():
    with pytest.raises(InvalidDate):
        add_months("219912", 1)


@pytest.mark.parametrize(
    ("ym", "day"), [("202402", "29"), ("202302", "28"), ("210002", "28"), ("202204", "30"), ("202212", "31")]
)
def test_last_days(ym, day):
    assert last_day(ym) == ym + day
    assert first_day(ym) == ym + "01"


def test_the_dictionary_of_a_month():
    params = date_params("202401")
    assert {
        name: params[name] for name in ("base_ym", "thmm_ym", "base_dt", "base_first_dt", "base_last_dt")
    } == {
        "base_ym": "202401",
        "thmm_ym": "202401",
        "base_dt": "20240131",
        "base_first_dt": "20240101",
        "base_last_dt": "20240131",
    }
    assert [params[f"bf_1m_{kind}"] for kind in ("ym", "dt", "last_dt")] == ["202312", "20231201", "20231231"]
    assert [params[f"af_1m_{kind}"] for kind in ("ym", "dt", "last_dt")] == ["202402", "20240201", "20240229"]
    assert params["bf_36m_ym"] == "202101"
    assert "bf_0m_ym" not in params
    assert f"bf_{REACH_MONTHS + 1}m_ym" not in params


def test_a_day_keeps_its_month():
    params = date_params("20240229")
    assert params["base_dt"] == "20240229"
    assert params["bf_12m_last_dt"] == "20230228"


@pytest.mark.parametrize("wrong", ["20230229", "20221301", "2022103", "today", "202210 "])
def test_what_is_not_a_base_date_is_refused(wrong):
    with pytest.raises(InvalidDate):
        date_params(wrong)


def test_every_value_is_six_or_eight_digits():
    assert all(value.isdigit() and len(value) in (6, 8) for value in date_params("202210").values())
