"""PSI: numbers worked out by hand, its identities, its noise, and its edges."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlopslib.errors import InvalidInput
from mlopslib.metrics.psi import FLOOR, PsiReference, psi

NAN = math.nan


def test_two_bins_by_hand():
    # shares .5, .5 against .25, .75
    expected = (0.25 - 0.5) * math.log(0.25 / 0.5) + (0.75 - 0.5) * math.log(0.75 / 0.5)
    assert psi([1, 1, 2, 2], [1, 2, 2, 2], bins=2) == pytest.approx(expected)
    assert psi(["A", "A", "B", "B"], ["A", "B", "B", "B"]) == pytest.approx(expected)


def test_an_empty_bin_counts_as_the_floor_and_says_so():
    result = PsiReference.fit_category(["A"] * 6 + ["B"] * 4).psi(["A"] * 10)
    expected = (1 - 0.6) * math.log(1 / 0.6) + (FLOOR - 0.4) * math.log(FLOOR / 0.4)
    assert result.value == pytest.approx(expected)
    assert result.floor_used
    assert [one.actual for one in result.bins] == [1.0, 0.0, 0.0, 0.0]  # the shown share is the true one
    assert result.bins[2].contribution == 0.0  # unseen, empty in both


def test_edges_are_the_quantiles_of_the_reference_alone():
    values = np.arange(1, 101, dtype=float)
    reference = PsiReference.fit_numeric(values, 10)
    assert reference.edges == tuple(np.quantile(values, np.arange(1, 10) / 10))
    assert reference.reference_counts == (10,) * 10 + (0,)
    before = reference.edges
    reference.psi(values * 1000)
    assert reference.edges == before


def test_an_edge_belongs_to_the_bin_below_and_the_outer_bins_are_open():
    reference = PsiReference("numeric", (1.0, 2.0), (), (1, 1, 1, 0))
    counts = reference.counts([-math.inf, 1.0, 1.5, 2.0, 2.0000001, math.inf, NAN])
    assert counts.tolist() == [2, 2, 2, 1]
    assert reference.labels == ["<= 1", "(1, 2]", "> 2", "missing"]


def test_missing_is_a_bin_of_its_own():
    result = PsiReference.fit_numeric([1.0, 2.0, NAN, NAN], 2).psi([1.0, 2.0, 2.0, NAN])
    assert [one.label for one in result.bins][-1] == "missing"
    assert (result.bins[-1].expected, result.bins[-1].actual) == (0.5, 0.25)
    assert result.n_reference == result.n_actual == 4


def test_a_constant_reference_sees_what_lies_above_it():
    reference = PsiReference.fit_numeric([5.0] * 50, 10)
    assert reference.edges == (5.0,)
    assert reference.psi([5.0] * 20).value == 0.0
    assert reference.counts([4.0, 5.0, 6.0]).tolist() == [2, 1, 0]


def test_an_all_missing_reference_sees_values_arrive():
    reference = PsiReference.fit_numeric([NAN] * 10, 10)
    assert reference.edges == ()
    assert reference.psi([NAN] * 5).value == 0.0
    assert reference.psi([NAN] * 5).high == 0.0
    arrived = reference.psi([1.0] * 5)
    assert arrived.floor_used
    assert arrived.value == pytest.approx(2 * (1 - FLOOR) * math.log(1 / FLOOR))


def test_categories_unseen_in_the_reference_form_one_bin():
    reference = PsiReference.fit_category(np.array(["A", "B", None, NAN], dtype=object))
    assert reference.levels == ("A", "B")
    assert reference.counts(np.array(["A", "X", "Y", None], dtype=object)).tolist() == [1, 0, 2, 1]
    assert reference.labels == ["A", "B", "unseen", "missing"]


def test_equal_quantiles_are_merged():
    reference = PsiReference.fit_numeric([0.0] * 80 + list(range(1, 21)), 10)
    # seven quantiles are 0; the eighth lies a fifth of the way from the 80th value to the 81st
    assert reference.edges == pytest.approx((0.0, 0.2, 10.1))
    assert reference.reference_counts == (80, 0, 10, 10, 0)


@pytest.mark.parametrize("values", [[], [[1.0, 2.0]], np.zeros((0,))])
def test_no_rows_is_an_error(values):
    with pytest.raises(InvalidInput):
        PsiReference.fit_numeric(values, 10)
    with pytest.raises(InvalidInput):
        PsiReference.fit_numeric([1.0, 2.0], 10).psi(values)


def test_texts_are_not_numbers():
    with pytest.raises(InvalidInput, match="not numbers"):
        PsiReference.fit_numeric(["a", "b"], 10)
    with pytest.raises(InvalidInput, match="at least 2 bins"):
        PsiReference.fit_numeric([1.0], 1)
    with pytest.raises(InvalidInput, match="3 counts are needed"):
        PsiReference.fit_numeric([1.0, 2.0], 2).psi_of_counts([1])


def test_a_reference_survives_json():
    for reference in (
        PsiReference.fit_numeric([0.1, 0.2, NAN, 7], 3),
        PsiReference.fit_category(["가", None]),
    ):
        text = json.dumps(reference.to_dict(), allow_nan=False)
        assert PsiReference.from_dict(json.loads(text)) == reference
    json.dumps(PsiReference.fit_numeric([1.0, 2.0], 2).psi([NAN, 1.0]).to_dict(), allow_nan=False)


samples = arrays(np.float64, st.integers(1, 60), elements=st.floats(-5, 5) | st.just(NAN))


@settings(max_examples=40)
@given(samples, samples)
def test_psi_is_never_negative_and_zero_for_itself(expected, actual):
    reference = PsiReference.fit_numeric(expected, 10)
    result = reference.psi(actual)
    assert result.value >= 0
    assert reference.psi(expected).value == 0
    assert sum(one.contribution for one in result.bins) == pytest.approx(result.value)
    assert sum(one.actual_count for one in result.bins) == len(actual)


@settings(max_examples=40)
@given(st.lists(st.integers(1, 100), min_size=3, max_size=8), st.data())
def test_fixed_bins_are_symmetric_and_merging_bins_never_raises_psi(counts, data):
    other = data.draw(st.lists(st.integers(1, 100), min_size=len(counts), max_size=len(counts)))

    def value(p, q):
        edges = tuple(float(i) for i in range(len(p) - 1))
        return PsiReference("numeric", edges, (), (*p, 0)).psi_of_counts([*q, 0]).value

    assert value(counts, other) == pytest.approx(value(other, counts))
    merged = value([counts[0] + counts[1], *counts[2:]], [other[0] + other[1], *other[2:]])
    assert merged <= value(counts, other) + 1e-12


@pytest.mark.parametrize(
    ("n", "m", "q95"), [(10_000, 5_000, 0.00508), (2_000, 500, 0.0423), (500, 200, 0.118)]
)
def test_the_null_band_is_the_chi_square_one(n, m, q95):
    from scipy.stats import chi2

    rng = np.random.default_rng(n)
    reference = PsiReference.fit_numeric(rng.normal(size=n), 10)
    result = reference.psi(rng.normal(size=m))
    assert result.high == pytest.approx(chi2.ppf(0.95, 9) * (1 / n + 1 / m))
    assert result.high == pytest.approx(q95, rel=0.01)
    assert result.low == 0.0


def test_one_in_twenty_unmoved_samples_leaves_the_null_band():
    rng = np.random.default_rng(20261122)
    outside = 0
    for _ in range(300):
        reference = PsiReference.fit_numeric(rng.normal(size=1_000), 10)
        result = reference.psi(rng.normal(size=500))
        outside += result.value > result.high
    assert 0.02 < outside / 300 < 0.085


def test_integers_and_booleans_are_numbers_and_mixed_objects_with_texts_categories():
    assert psi(np.array([True, False, True, False]), np.array([True, True, False, False])) == 0.0
    assert psi(np.array([1, None, 2], dtype=object), np.array([1, 2, None], dtype=object)) == 0.0
    assert psi(np.array(["a", None], dtype=object), np.array([None, "a"], dtype=object)) == 0.0


@pytest.mark.parametrize(
    ("levels", "rows"), [(10, 1_000), (200, 1_000), (500, 2_000), (1_000, 20_000)], ids=str
)
def test_a_category_that_has_not_moved_is_rarely_called_moved(levels, rows):
    """At a level of 5 %, however many levels there are; twice that much is given to chance."""
    random = np.random.default_rng(20_261_122)
    names = np.array([f"L{n:04d}" for n in range(levels)], dtype=object)
    alarms = beyond = 0
    for _ in range(100):
        reference = PsiReference.fit_category(random.choice(names, rows))
        result = reference.psi(random.choice(names, rows))
        alarms += result.p < 0.05
        beyond += result.value > result.high
    assert alarms <= 14
    assert beyond == alarms


def test_a_category_of_many_levels_that_has_moved_is_found():
    random = np.random.default_rng(7)
    names = np.array([f"L{n:03d}" for n in range(300)], dtype=object)
    shares = 1 / np.arange(1, 301)
    shares /= shares.sum()
    moved = shares[::-1]
    reference = PsiReference.fit_category(random.choice(names, 5_000, p=shares))
    assert reference.psi(random.choice(names, 5_000, p=0.9 * shares + 0.1 * moved)).p < 1e-6


def test_levels_that_the_reference_lacks_are_a_move():
    reference = PsiReference.fit_category([f"L{n % 30}" for n in range(3_000)])
    result = reference.psi([f"L{n % 30}" for n in range(2_700)] + [f"N{n}" for n in range(300)])
    assert result.p < 1e-6 and result.value > result.high
