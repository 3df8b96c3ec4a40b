"""AUC, KS, DeLong: against hand-worked numbers, scikit-learn, scipy and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp, mannwhitneyu
from sklearn.metrics import roc_auc_score, roc_curve

from mlopslib.errors import InvalidInput, SingleClassTarget
from mlopslib.metrics.ranking import (
    auc,
    auc_interval,
    delong_variance,
    gini,
    ks,
    paired_delong,
    paired_delong_clustered,
)


def sample(seed: int, n: int = 400, rate: float = 0.2, *, levels: int | None = None):
    rng = np.random.default_rng(seed)
    target = (rng.random(n) < rate).astype(float)
    score = target + rng.normal(scale=1.5, size=n)
    other = score + rng.normal(scale=0.5, size=n)
    if levels:
        score, other = np.round(score * levels) / levels, np.round(other * levels) / levels
    return target, score, other


def psi_matrix(target, score):
    """The definition, pair by pair: 1 above, 1/2 tied, 0 below."""
    hits, others = score[target == 1], score[target == 0]
    return (hits[:, None] > others) + 0.5 * (hits[:, None] == others)


targets_and_scores = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=2, max_size=60
).filter(lambda rows: len({target for target, _ in rows}) == 2)


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")  # of scipy's p-value, not asked for
@settings(max_examples=40)
@given(targets_and_scores)
def test_auc_and_ks_equal_scikit_learn_and_scipy_under_ties(rows):
    target, score = np.array([row[0] for row in rows]), np.array([float(row[1]) for row in rows])
    assert auc(target, score) == pytest.approx(roc_auc_score(target, score), abs=1e-12)
    assert gini(target, score) == pytest.approx(2 * roc_auc_score(target, score) - 1, abs=1e-12)
    hits, others = score[target == 1], score[target == 0]
    assert auc(target, score) == pytest.approx(
        mannwhitneyu(hits, others).statistic / (len(hits) * len(others)), abs=1e-12
    )
    assert ks(target, score) == pytest.approx(ks_2samp(hits, others, method="asymp").statistic, abs=1e-12)
    fpr, tpr, _ = roc_curve(target, score, drop_intermediate=False)
    assert ks(target, score) == pytest.approx(np.abs(tpr - fpr).max(), abs=1e-12)


def test_ks_does_not_depend_on_row_order_under_ties():
    target = np.array([1, 1, 0, 0, 1, 0])
    score = np.array([1.0, 1.0, 1.0, 1.0, 2.0, 2.0])
    # in row order a naive count would see the responders of the tie first
    assert ks(target, score) == pytest.approx(0.0)
    assert ks(target[::-1], score[::-1]) == pytest.approx(0.0)


def test_ks_is_two_sided():
    assert ks([1, 1, 0, 0], [1, 2, 3, 4]) == 1.0


def test_figures_of_a_constant_score():
    target, score = [0, 1, 0, 1], [3.0] * 4
    assert (auc(target, score), gini(target, score), ks(target, score)) == (0.5, 0.0, 0.0)
    assert delong_variance(target, score) == 0.0


@pytest.mark.parametrize("levels", [None, 2])
def test_delong_is_the_variance_of_placement_values(levels):
    target, score, other = sample(3, levels=levels)
    first, second = psi_matrix(target, score), psi_matrix(target, other)
    n1, n0 = first.shape
    variance = first.mean(axis=1).var(ddof=1) / n1 + first.mean(axis=0).var(ddof=1) / n0
    assert delong_variance(target, score) == pytest.approx(variance, rel=1e-9)
    s10 = np.cov(first.mean(axis=1), second.mean(axis=1)) / n1
    s01 = np.cov(first.mean(axis=0), second.mean(axis=0)) / n0
    s = s10 + s01
    found = paired_delong(target, score, other)
    z = (first.mean() - second.mean()) / math.sqrt(s[0, 0] + s[1, 1] - 2 * s[0, 1])
    assert found.z == pytest.approx(z, rel=1e-9)
    assert found.p == pytest.approx(math.erfc(abs(z) / math.sqrt(2)))
    assert found.high - found.difference == pytest.approx(1.959963984540054 * found.standard_error)


def test_delong_agrees_with_a_bootstrap():
    target, score, other = sample(5, n=1500)
    rng = np.random.default_rng(1)
    draws = []
    for _ in range(400):
        rows = rng.integers(0, len(target), len(target))
        draws.append(auc(target[rows], score[rows]) - auc(target[rows], other[rows]))
    assert paired_delong(target, score, other).standard_error == pytest.approx(np.std(draws), rel=0.12)


def test_pairing_makes_the_error_smaller_than_two_independent_samples():
    target, score, other = sample(5, n=1500)
    unpaired = math.sqrt(delong_variance(target, score) + delong_variance(target, other))
    assert paired_delong(target, score, other).standard_error < 0.6 * unpaired


def test_equal_scores_differ_by_nothing():
    target, score, _ = sample(1)
    found = paired_delong(target, score, score * 10 + 3)  # the same order
    assert (found.difference, found.low, found.high, found.z, found.p) == (0.0, 0.0, 0.0, 0.0, 1.0)


def test_perfect_against_reversed_has_no_error_and_no_doubt():
    found = paired_delong([0, 0, 1, 1], [1, 2, 3, 4], [4, 3, 2, 1])
    assert (found.difference, found.low, found.high, found.p) == (1.0, 1.0, 1.0, 0.0)


def test_one_row_in_a_class_leaves_everything_open():
    found = paired_delong([0, 0, 1], [1, 2, 3], [3, 2, 1])
    assert (found.low, found.high, found.p) == (-1.0, 1.0, 1.0)
    assert auc_interval([0, 0, 1], [1, 2, 3]) == (1.0, 0.0, 1.0)
    with pytest.raises(InvalidInput, match="two rows of each class"):
        delong_variance([0, 0, 1], [1, 2, 3])


def test_the_interval_stays_inside_zero_and_one():
    value, low, high = auc_interval([0] * 50 + [1] * 4, [*range(50), 30, 52, 53, 54])
    assert 0 < low < value < high < 1
    value, low, high = auc_interval([0] * 50 + [1] * 10, range(60))
    assert (value, high) == (1.0, 1.0)
    assert low == pytest.approx(0.025 ** (1 / 10))
    value, low, high = auc_interval([1] * 10 + [0] * 50, range(60))
    assert (value, low) == (0.0, 0.0)
    assert high == pytest.approx(1 - 0.025 ** (1 / 10))


def test_a_higher_confidence_is_wider():
    target, score, _ = sample(2)
    _, low, high = auc_interval(target, score)
    _, lower, higher = auc_interval(target, score, confidence=0.99)
    assert lower < low < high < higher
    with pytest.raises(InvalidInput):
        auc_interval(target, score, confidence=1.0)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(11)
    truth = 0.5 * math.erfc(-1 / 2)  # P(N(1,1) > N(0,1)) = Phi(1 / sqrt 2)
    inside = 0
    for _ in range(400):
        target = np.repeat([1, 0], [40, 200])
        score = target + rng.normal(size=240)
        _, low, high = auc_interval(target, score)
        inside += low <= truth <= high
    assert 0.92 <= inside / 400 <= 0.98


def test_one_row_to_a_cluster_is_delong():
    target, score, other = sample(7, n=3000)
    plain = paired_delong(target, score, other)
    clustered = paired_delong_clustered(target, score, other, np.arange(3000))
    assert clustered.difference == plain.difference
    assert clustered.standard_error == pytest.approx(plain.standard_error, rel=2e-3)


def test_copies_of_a_customer_add_no_certainty():
    target, score, other = sample(7, n=800)
    cluster = np.arange(800)
    once = paired_delong_clustered(target, score, other, cluster)
    four = paired_delong_clustered(*(np.tile(x, 4) for x in (target, score, other, cluster)))
    naive = paired_delong(*(np.tile(x, 4) for x in (target, score, other)))
    assert four.standard_error == pytest.approx(once.standard_error, rel=1e-9)
    assert naive.standard_error < 0.55 * once.standard_error


def test_the_clustered_error_is_what_repeated_samples_show():
    rng = np.random.default_rng(4)
    differences, errors = [], []
    for _ in range(200):
        habit = np.repeat(rng.normal(size=250), 4)  # four months of each customer
        twist = np.repeat(rng.normal(size=250), 4)
        target = (rng.random(1000) < 1 / (1 + np.exp(1.5 - habit))).astype(float)
        a = habit + 0.7 * twist + rng.normal(scale=0.3, size=1000)
        b = habit - 0.7 * twist + rng.normal(scale=0.3, size=1000)
        found = paired_delong_clustered(target, a, b, np.repeat(np.arange(250), 4))
        differences.append(found.difference)
        errors.append(found.standard_error)
    assert np.mean(errors) == pytest.approx(np.std(differences), rel=0.12)


def test_a_single_cluster_leaves_everything_open():
    target, score, other = sample(7, n=50)
    found = paired_delong_clustered(target, score, other, np.zeros(50))
    assert (found.low, found.high) == (-1.0, 1.0)
    with pytest.raises(InvalidInput, match="cluster has 3 rows"):
        paired_delong_clustered(target, score, other, [1, 2, 3])


@pytest.mark.parametrize("figure", [auc, ks, gini, delong_variance, auc_interval])
def test_bad_input_is_named(figure):
    with pytest.raises(SingleClassTarget):
        figure([0, 0, 0], [1.0, 2.0, 3.0])
    with pytest.raises(SingleClassTarget):
        figure([1, 1, 1], [1.0, 2.0, 3.0])
    for target, score, field in (
        ([], [], "target"),
        ([0, 1], [1.0], "score"),
        ([0, 1], [1.0, math.nan], "score"),
        ([0, 1], [1.0, math.inf], "score"),
        ([0, math.nan], [1.0, 2.0], "target"),
        ([0, 2], [1.0, 2.0], "target"),
        (["a", "b"], [1.0, 2.0], "target"),
        ([[0, 1]], [[1.0, 2.0]], "target"),
    ):
        with pytest.raises(InvalidInput) as caught:
            figure(target, score)
        assert caught.value.field == field


def test_boolean_targets_are_taken():
    assert auc(np.array([False, True]), np.array([1, 2])) == 1.0
