import math

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from mlopslib.errors import InvalidInput
from mlopslib.metrics.fdr import benjamini_hochberg
from mlopslib.metrics.psi import PsiReference


@pytest.mark.parametrize("seed", range(5))
def test_q_values_are_those_of_scipy(seed: int) -> None:
    p = np.random.default_rng(seed).beta(0.5, 2, size=40)
    p[:4] = p[0]  # ties
    assert benjamini_hochberg(p.tolist()) == pytest.approx(false_discovery_control(p, method="bh").tolist())


def test_a_test_that_could_not_be_made_stays_unknown_and_does_not_count() -> None:
    assert benjamini_hochberg([0.01, None, 0.02, math.nan]) == [0.02, None, 0.02, None]
    assert benjamini_hochberg([]) == []
    assert benjamini_hochberg([1.0, 0.0]) == [1.0, 0.0]


def test_what_is_no_chance_is_refused() -> None:
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        benjamini_hochberg([0.5, 1.2])


def test_features_that_have_not_moved_are_rarely_called_moved() -> None:
    r = np.random.default_rng(20261122)
    months_with_an_alarm = 0
    for _ in range(200):
        p = [PsiReference.fit_numeric(r.normal(size=800)).psi(r.normal(size=400)).p for _ in range(10)]
        months_with_an_alarm += any(q is not None and q <= 0.05 for q in benjamini_hochberg(p))
    # with nothing moved the rate of months with any alarm is that of false discoveries: 5 %
    assert months_with_an_alarm <= 20


def test_the_chance_of_a_psi_is_uniform_when_nothing_moved() -> None:
    r = np.random.default_rng(7)
    p = [PsiReference.fit_numeric(r.normal(size=4_000)).psi(r.normal(size=2_000)).p for _ in range(400)]
    assert np.quantile(p, [0.05, 0.5]) == pytest.approx([0.05, 0.5], abs=0.08)
    result = PsiReference.fit_numeric(r.normal(size=4_000)).psi(r.normal(1.0, size=2_000))
    assert result.p < 1e-12
    assert PsiReference.fit_category(["a", "a"]).psi(["a"]).p == 1.0
