"""Which months train, which judge, which are too young."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlopslib.dates import add_months, month_range, months_between
from mlopslib.definition import Windows
from mlopslib.errors import DefinitionInvalid, InvalidDate
from mlopslib.oot import fair_months, is_mature, latest_mature, plan_months


def test_a_plan_by_hand():
    # W = 1, L = 1: at the end of 202210 the labels of 202208 (outcome in 202209) have just arrived
    windows = Windows(performance_months=1, data_lag_months=1, train_months=2, oot_months=2)
    plan = plan_months("202210", windows)
    assert plan.recent == ("202209", "202210")
    assert plan.oot == ("202207", "202208")
    assert plan.embargo == ("202206",)
    assert plan.train == ("202204", "202205")


windows_strategy = st.builds(
    Windows,
    performance_months=st.integers(1, 12),
    data_lag_months=st.integers(0, 4),
    train_months=st.integers(1, 24),
    oot_months=st.integers(1, 6),
)


@given(windows_strategy, st.integers(0, 200))
def test_a_plan_never_lets_a_training_label_reach_an_oot_month(windows, n):
    base_ym = add_months("200501", n)
    plan = plan_months(base_ym, windows)
    assert [*plan.train, *plan.embargo, *plan.oot, *plan.recent] == month_range(plan.train[0], base_ym)
    assert (len(plan.train), len(plan.oot)) == (windows.train_months, windows.oot_months)
    assert add_months(plan.train[-1], windows.performance_months) < plan.oot[0]
    assert all(is_mature(month, base_ym, windows) for month in plan.train + plan.oot)
    assert not any(is_mature(month, base_ym, windows) for month in plan.recent)
    assert plan.oot[-1] == latest_mature(base_ym, windows)


@pytest.mark.parametrize(
    "wrong",
    [
        Windows(performance_months=0),
        Windows(data_lag_months=-1),
        Windows(train_months=0),
        Windows(oot_months=0),
        Windows(performance_months=3, embargo_months=2),
    ],
)
def test_impossible_windows_are_refused(wrong):
    with pytest.raises(DefinitionInvalid):
        plan_months("202210", wrong)


def test_a_longer_embargo_is_kept():
    plan = plan_months("202210", Windows(performance_months=1, embargo_months=3))
    assert len(plan.embargo) == 3


def test_a_plan_needs_a_month():
    with pytest.raises(InvalidDate):
        plan_months("20221031", Windows())


def test_fair_months_exclude_each_other_month_with_its_reason():
    windows = Windows(performance_months=2)
    found = fair_months(
        month_range("202201", "202212"),
        champion_train=["202202", "202203"],
        challenger_train=["202204", "202205"],
        windows=windows,
        at_base_ym="202211",
    )
    assert found.fair == ("202208", "202209")
    assert (
        found.excluded["202201"]
        == "not out of time for the champion, which was trained on months up to 202203"
    )
    assert found.excluded["202203"] == "the champion was trained on this month"
    assert found.excluded["202205"] == "the challenger was trained on this month"
    assert found.excluded["202207"] == "labels that the challenger was trained on look into this month"
    assert found.excluded["202210"] == "labels are not complete before 202212"
    assert sorted([*found.fair, *found.excluded]) == month_range("202201", "202212")


def test_a_month_before_the_challenger_trained_is_not_fair():
    found = fair_months(
        ["202206"],
        champion_train=["202201"],
        challenger_train=["202209"],
        windows=Windows(),
        at_base_ym="202212",
    )
    assert "not out of time for the challenger" in found.excluded["202206"]


def test_the_oot_months_of_a_challenger_are_fair_to_an_older_champion():
    windows = Windows(performance_months=2, data_lag_months=1, train_months=4, oot_months=3)
    old, new = plan_months("202206", windows), plan_months("202210", windows)
    found = fair_months(
        [*new.oot, *new.recent],
        champion_train=old.train,
        challenger_train=new.train,
        windows=windows,
        at_base_ym="202210",
    )
    assert found.fair == new.oot
    assert set(found.excluded) == set(new.recent)


def test_no_candidates_no_fair_months():
    found = fair_months([], champion_train=[], challenger_train=[], windows=Windows(), at_base_ym="202210")
    assert found.fair == ()
    assert found.excluded == {}


def test_maturity_counts_calendar_months():
    windows = Windows(performance_months=3, data_lag_months=1)
    assert months_between("202211", "202303") == 4
    assert is_mature("202211", "202303", windows)
    assert not is_mature("202212", "202303", windows)


def test_a_champion_whose_target_looked_further_spoils_more_months():
    months = {"champion_train": ["202201"], "challenger_train": ["202201"], "at_base_ym": "202212"}
    windows = Windows(performance_months=1)
    candidates = ["202202", "202203", "202204", "202205"]
    assert fair_months(candidates, windows=windows, **months).fair == ("202203", "202204", "202205")
    found = fair_months(candidates, windows=windows, champion_performance_months=3, **months)
    assert found.fair == ("202205",)
    assert found.excluded["202204"] == "labels that the champion was trained on look into this month"
