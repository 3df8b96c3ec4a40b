"""Lift with shared ties: identities that hold for every sample."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlopslib.errors import InvalidInput, SingleClassTarget
from mlopslib.metrics.lift import lift_at, lift_table, top_membership

rows = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6)), min_size=1, max_size=50).filter(
    lambda found: any(target for target, _ in found)
)


def test_ten_rows_by_hand():
    target = [1, 1, 0, 1, 0, 0, 0, 0, 0, 1]
    table = lift_table(target, [10, 9, 8, 7, 6, 5, 4, 3, 2, 1])
    assert [row.responders for row in table] == target
    assert table[0].lift == pytest.approx(2.5)  # 1 of 1 against 4 of 10
    assert [row.cumulative_lift for row in table[:4]] == pytest.approx([2.5, 2.5, 5 / 3, 1.875])
    assert [row.capture for row in table] == pytest.approx(
        [0.25, 0.5, 0.5, 0.75, 0.75, 0.75, 0.75, 0.75, 0.75, 1]
    )
    assert table[-1].cumulative_lift == pytest.approx(1.0)


def test_a_row_on_a_cut_is_shared():
    # five rows in two groups: the third row lies half in each
    table = lift_table([0, 0, 1, 0, 0], [5, 4, 3, 2, 1], n=2)
    assert [(row.n, row.responders, row.lift) for row in table] == [(2.5, 0.5, 1.0), (2.5, 0.5, 1.0)]


def test_ties_give_the_mean_over_all_orders():
    target, score = np.array([1, 0, 1, 0, 0, 1]), np.array([9.0, 5.0, 5.0, 5.0, 5.0, 1.0])
    captured = []
    for order in itertools.permutations(range(1, 5)):
        ranked = target[[0, *order, 5]]
        captured.append(ranked[:3].sum())  # the best half
    assert lift_table(target, score, n=2)[0].responders == pytest.approx(np.mean(captured))


@settings(max_examples=40)
@given(rows, st.integers(1, 12))
def test_identities_of_the_table(found, n):
    target, score = np.array([row[0] for row in found]), np.array([float(row[1]) for row in found])
    table = lift_table(target, score, n=n)
    size, responders = len(target), target.sum()
    assert np.mean([row.lift for row in table]) == pytest.approx(1.0)
    assert sum(row.n for row in table) == pytest.approx(size)
    assert sum(row.responders for row in table) == pytest.approx(responders)
    for row in table:
        q = row.decile / n
        assert row.cumulative_lift == pytest.approx(row.capture / q)
        assert row.cumulative_lift <= min(1 / q, size / responders) + 1e-9
        assert lift_at(target, score, share=q) == pytest.approx(row.cumulative_lift)
        assert row.rate == pytest.approx(row.lift * responders / size)


@settings(max_examples=40)
@given(rows, st.randoms())
def test_row_order_does_not_matter(found, random):
    shuffled = list(found)
    random.shuffle(shuffled)
    first, second = (
        [row.responders for row in lift_table([t for t, _ in part], [float(s) for _, s in part])]
        for part in (found, shuffled)
    )
    assert first == pytest.approx(second)


@settings(max_examples=40)
@given(rows, st.floats(0.01, 1.0))
def test_membership_adds_up_to_the_share_and_captures_what_lift_says(found, share):
    target, score = np.array([row[0] for row in found]), np.array([float(row[1]) for row in found])
    inside = top_membership(score, share=share)
    assert inside.sum() == pytest.approx(share * len(score))
    assert ((inside >= 0) & (inside <= 1)).all()
    captured = inside[target == 1].sum()
    assert lift_at(target, score, share=share) == pytest.approx(captured / target.sum() / share)


def test_a_constant_score_lifts_nothing():
    table = lift_table([1, 0, 0, 0, 1, 0, 0], [2.0] * 7)
    assert [row.lift for row in table] == pytest.approx([1.0] * 10)


def test_all_responders_lift_nothing_and_none_is_an_error():
    assert lift_at([1, 1], [1.0, 2.0]) == 1.0
    with pytest.raises(SingleClassTarget):
        lift_table([0, 0], [1.0, 2.0])


def test_bad_options_are_refused():
    with pytest.raises(InvalidInput):
        lift_table([0, 1], [1.0, 2.0], n=0)
    for share in (0.0, 1.1, -0.1):
        with pytest.raises(InvalidInput):
            lift_at([0, 1], [1.0, 2.0], share=share)
    with pytest.raises(InvalidInput):
        lift_table([], [])
