import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from analysis.statistics import compare_paired, wilson_interval


def wilson_by_hand(successes, trials):
    z = norm.ppf(0.975)
    share = successes / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return centre - half, centre + half


def newcombe_by_hand(both, only_second, only_first, neither):
    """Method 10 from the counts of the 2 × 2 table, as printed; difference second - first."""
    n = both + only_second + only_first + neither
    p2, p1 = (both + only_second) / n, (both + only_first) / n
    l2, u2 = wilson_by_hand(both + only_second, n)
    l1, u1 = wilson_by_hand(both + only_first, n)
    product = (both + only_second) * (only_first + neither) * (both + only_first) * (only_second + neither)
    excess = both * neither - only_second * only_first
    if excess > 0:
        excess = max(excess - n / 2, 0)
    phi = excess / math.sqrt(product) if product else 0
    low = math.sqrt((p2 - l2) ** 2 - 2 * phi * (p2 - l2) * (u1 - p1) + (u1 - p1) ** 2)
    high = math.sqrt((u2 - p2) ** 2 - 2 * phi * (u2 - p2) * (p1 - l1) + (p1 - l1) ** 2)
    return p2 - p1 - low, p2 - p1 + high


def sides(both, only_second, only_first, neither):
    first = [True] * both + [False] * only_second + [True] * only_first + [False] * neither
    second = [True] * both + [True] * only_second + [False] * only_first + [False] * neither
    clips = [f"{clip}.wav" for clip in range(len(first))]
    return pd.DataFrame({"a": first}, index=clips), pd.DataFrame({"b": second}, index=clips)


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (7, 10), (697, 947), (947, 947)])
def test_wilson_equals_the_formula(successes, trials):
    assert wilson_interval(successes / trials, trials) == pytest.approx(wilson_by_hand(successes, trials), abs=1e-12)


def test_wilson_of_nothing_is_nan():
    assert np.isnan(wilson_interval(math.nan, 10)).all()


@pytest.mark.parametrize(
    "table", [(36, 12, 2, 0), (20, 12, 2, 16), (50, 0, 0, 50), (0, 30, 30, 0), (600, 90, 60, 197), (10, 0, 0, 0)]
)
def test_paired_interval_equals_newcombes_formula(table):
    comparison = compare_paired(*sides(*table), candidates=1)
    assert (comparison.low, comparison.high) == pytest.approx(newcombe_by_hand(*table), abs=1e-12)
    assert comparison.low <= comparison.difference <= comparison.high


def test_paired_interval_covers_the_true_difference():
    generator = np.random.default_rng(0)
    covered = []
    for counts in generator.multinomial(300, [0.6, 0.11, 0.07, 0.22], size=400):
        comparison = compare_paired(*sides(*counts), candidates=1)
        covered.append(comparison.low <= 0.04 <= comparison.high)
    assert 0.925 <= np.mean(covered) <= 0.985


def test_mcnemar_against_a_hand_example():
    # 10 clips differ, 9 of them for the second: p = 2 (C(10,0) + C(10,1)) / 2^10
    comparison = compare_paired(*sides(60, 9, 1, 30), candidates=4)
    assert comparison.p_value == pytest.approx(22 / 1024)
    assert comparison.difference == pytest.approx(0.08)
    assert comparison.verdict == (
        "better than the baseline by 8.0 points on 100 test clips; best of 4 on validation; one seed, so seed noise is not covered"
    )


def test_small_difference_is_not_distinguishable_and_swapping_changes_the_sign():
    first, second = sides(60, 8, 4, 28)
    forward, backward = compare_paired(first, second, 1), compare_paired(second, first, 1)
    assert forward.verdict.startswith("not distinguishable from the baseline on 100 test clips; the only candidate")
    assert (forward.low, forward.high) == pytest.approx((-backward.high, -backward.low))
    assert forward.p_value == backward.p_value


def test_worse_is_said():
    assert compare_paired(*sides(40, 2, 40, 18), candidates=1).verdict.startswith("worse than the baseline by 38.0 points")


def test_identical_runs_differ_by_nothing():
    comparison = compare_paired(*sides(70, 0, 0, 30), candidates=1)
    assert comparison.difference == 0
    assert comparison.p_value == 1
    assert not comparison.distinguishable


def test_means_over_seeds_have_no_mcnemar_and_no_narrower_interval():
    first, second = sides(60, 12, 6, 22)
    one = compare_paired(first, second, 1)
    three = compare_paired(pd.concat([first] * 3, axis=1), pd.concat([second] * 3, axis=1), 1)
    assert math.isnan(three.p_value)
    assert (three.low, three.high) == pytest.approx((one.low, one.high))
    assert "means over seeds (at least 3)" in three.verdict


def test_order_of_clips_does_not_matter():
    first, second = sides(60, 12, 6, 22)
    assert compare_paired(first, second.iloc[::-1], 1) == compare_paired(first, second, 1)


def test_different_clips_are_refused():
    first, second = sides(60, 12, 6, 22)
    with pytest.raises(ValueError, match="different clips"):
        compare_paired(first, second.iloc[1:], 1)
