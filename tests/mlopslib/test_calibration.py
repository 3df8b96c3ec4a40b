"""Brier score and calibration table, against scikit-learn and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from mlopslib.errors import InvalidInput
from mlopslib.metrics.calibration import brier, calibration_error, calibration_table, wilson_interval


@pytest.fixture
def sample():
    rng = np.random.default_rng(9)
    score = rng.beta(2, 8, 3000)
    return (rng.random(3000) < score).astype(int), score


def test_brier_equals_scikit_learn(sample):
    assert brier(*sample) == pytest.approx(brier_score_loss(*sample))


def test_the_table_equals_scikit_learns_curve(sample):
    target, score = sample
    table = calibration_table(target, score)
    rate, mean = calibration_curve(target, score, n_bins=10, strategy="quantile")
    assert [row.rate for row in table] == pytest.approx(rate)
    assert [row.mean_score for row in table] == pytest.approx(mean)
    assert sum(row.n for row in table) == 3000
    assert all(row.low <= row.rate <= row.high for row in table)


def test_a_calibrated_score_has_a_small_error_and_a_doubled_one_a_large(sample):
    target, score = sample
    assert calibration_error(target, score) < 0.03
    assert calibration_error(target, np.minimum(1, 2 * score)) > 0.15


def test_rows_with_one_score_stay_in_one_bin():
    table = calibration_table([0, 1, 0, 1], [0.3] * 4)
    assert [(row.n, row.rate, row.mean_score) for row in table] == [(4, 0.5, pytest.approx(0.3))]


def test_a_single_class_is_no_obstacle():
    assert brier([0, 0], [0.0, 0.5]) == 0.125
    assert calibration_table([0, 0], [0.0, 0.5], n=1)[0].rate == 0.0


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (3, 10), (10, 10), (1, 1000)])
def test_wilson_equals_scipy(hits, n):
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson_interval(hits, n) == pytest.approx((expected.low, expected.high))


def test_bad_input_is_refused():
    assert wilson_interval(0, 0) == (0.0, 1.0)
    for target, score in (([0, 1], [0.5, 1.5]), ([0, 1], [-0.1, 0.5]), ([], []), ([0, 1], [0.5, np.nan])):
        with pytest.raises(InvalidInput):
            brier(target, score)
    with pytest.raises(InvalidInput):
        calibration_table([0, 1], [0.1, 0.2], n=0)
