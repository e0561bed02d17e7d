"""Kendall's rank correlation and its interval, whose coverage is simulated."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from analysis.stats.rank_correlation import kendall_interval
from support.simulated_ranks import coverage


def test_it_is_scipys_with_ties():
    generator = np.random.default_rng(5)
    first = generator.integers(0, 8, 25).astype(float)
    second = first + generator.normal(0, 3, 25)
    tau, low, high = kendall_interval(first, second)
    assert tau == pytest.approx(kendalltau(first, second).statistic)
    assert low < tau < high


def test_without_an_order_there_is_none():
    assert np.isnan(kendall_interval(np.ones(5), np.arange(5.0))).all()
    assert kendall_interval(np.arange(4.0), np.arange(4.0)) == (1.0, -1.0, 1.0)


@pytest.mark.parametrize("number", [5, 6, 8, 12, 30])
@pytest.mark.parametrize(
    ("correlation", "law"), [(0.0, "normal"), (0.95, "normal"), (0.99, "t3"), (0.9, "ties"), (0.95, "outliers")]
)
def test_the_interval_has_its_stated_coverage(number, correlation, law):
    """A bootstrap's covered 37 to 77 % with 5 and 6 pairs."""
    assert coverage(number, correlation, law, 300) >= 0.94


def test_the_interval_says_something():
    """Perfect order of ten trials is well above one half, and that of 40 unrelated ones is not."""
    assert kendall_interval(np.arange(10.0), np.arange(10.0))[1] > 0.5
    random = np.random.default_rng(0)
    _, low, high = kendall_interval(random.normal(size=40), random.normal(size=40))
    assert high - low < 0.65
