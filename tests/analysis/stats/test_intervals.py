"""Confidence intervals and paired comparisons against formulas by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, t
from statsmodels.stats.weightstats import ztest

from analysis.stats.intervals import compare_paired, interval_over_seeds, wilson_interval
from analysis.stats.power import smallest_difference


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
    comparison = compare_paired(*sides(*table))
    assert (comparison.low, comparison.high) == pytest.approx(newcombe_by_hand(*table), abs=1e-12)
    assert comparison.low <= comparison.difference <= comparison.high


def test_paired_interval_covers_the_true_difference():
    generator = np.random.default_rng(0)
    covered = []
    for counts in generator.multinomial(300, [0.6, 0.11, 0.07, 0.22], size=400):
        comparison = compare_paired(*sides(*counts))
        covered.append(comparison.low <= 0.04 <= comparison.high)
    assert 0.925 <= np.mean(covered) <= 0.985


def test_mcnemar_against_a_hand_example():
    # 10 clips differ, 9 of them for the second: p = 2 (C(10,0) + C(10,1)) / 2^10
    comparison = compare_paired(*sides(60, 9, 1, 30))
    assert comparison.p_value == pytest.approx(22 / 1024)
    assert comparison.difference == pytest.approx(0.08)
    assert comparison.discordance == pytest.approx(0.1)
    assert comparison.finding == "better"


def test_swapping_sides_of_a_small_difference_changes_the_sign():
    first, second = sides(60, 8, 4, 28)
    forward, backward = compare_paired(first, second), compare_paired(second, first)
    assert forward.finding == backward.finding == "not distinguishable"
    assert (forward.low, forward.high) == pytest.approx((-backward.high, -backward.low))
    assert forward.p_value == backward.p_value


def test_worse_is_said():
    assert compare_paired(*sides(40, 2, 40, 18)).finding == "worse"


def test_identical_runs_differ_by_nothing():
    comparison = compare_paired(*sides(70, 0, 0, 30))
    assert comparison.difference == 0
    assert comparison.p_value == 1
    assert comparison.finding == "not distinguishable"


def test_means_over_seeds_have_a_z_test_and_no_narrower_interval():
    first, second = sides(60, 12, 6, 22)
    one = compare_paired(first, second)
    three = compare_paired(pd.concat([first] * 3, axis=1), pd.concat([second] * 3, axis=1))
    assert three.p_value == pytest.approx(ztest([1.0] * 12 + [-1.0] * 6 + [0.0] * 82)[1])
    assert (three.low, three.high) == pytest.approx((one.low, one.high))
    assert three.seeds == 3


def test_order_of_clips_does_not_matter():
    first, second = sides(60, 12, 6, 22)
    assert compare_paired(first, second.iloc[::-1]) == compare_paired(first, second)


def test_different_clips_are_refused():
    first, second = sides(60, 12, 6, 22)
    with pytest.raises(ValueError, match="different clips"):
        compare_paired(first, second.iloc[1:])


def test_a_comparison_says_what_it_could_resolve():
    assert compare_paired(*sides(60, 9, 6, 25)).resolvable == pytest.approx(smallest_difference(100, 0.15))
    assert 0 < compare_paired(*sides(70, 0, 0, 30)).resolvable < 0.1  # the same predictions: one clip at least may differ


@pytest.mark.parametrize("accuracies", [[0.7, 0.74, 0.72], [0.9, 0.95], [0.5] * 4])
def test_an_interval_over_seeds_is_wilsons_at_its_variance(accuracies):
    mean, runs, clips = np.mean(accuracies), len(accuracies), 947
    half = t.ppf(0.975, runs - 1) ** 2 * np.var(accuracies, ddof=1) / runs + norm.ppf(0.975) ** 2 * mean * (1 - mean) / clips
    effective = mean * (1 - mean) * norm.ppf(0.975) ** 2 / half
    assert interval_over_seeds(accuracies, clips) == pytest.approx(wilson_by_hand(mean * effective, effective))


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("seed_sd", [0.01, 0.06])
def test_an_interval_over_seeds_covers_95_percent(seeds, seed_sd):
    random, clips, share, noise = np.random.default_rng(0), 947, 0.7, 0.1
    of_clips = random.standard_normal((3000, 1)) * np.sqrt((share * (1 - share) - noise) / clips)
    of_runs = random.standard_normal((3000, seeds)) * np.sqrt(seed_sd**2 + noise / clips)
    bounds = np.array([interval_over_seeds(np.clip(runs, 0, 1), clips) for runs in share + of_clips + of_runs])
    assert ((bounds[:, 0] < share) & (share < bounds[:, 1])).mean() > 0.942


def test_seeds_never_narrow_an_interval_and_one_run_has_wilsons():
    assert interval_over_seeds([0.7], 300) == wilson_interval(0.7, 300)
    assert interval_over_seeds([1.0, 1.0], 300) == wilson_interval(1.0, 300)
    (low, high), (one_low, one_high) = interval_over_seeds([0.7] * 5, 300), wilson_interval(0.7, 300)
    assert low <= one_low < one_high <= high
    assert interval_over_seeds([0.6, 0.8], 300)[0] < 0.5


def test_an_interval_over_seeds_covers_the_expected_accuracy():
    """Runs whose accuracy scatters by 2 points, on clips that scatter too."""
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        clip = generator.normal(size=400)
        runs = 0.5 + 0.07 * generator.normal(size=(3, 1)) - clip > generator.normal(size=(3, 400))
        low, high = interval_over_seeds(runs.mean(axis=1), 400)
        covered += low <= norm.cdf(0.5 / np.sqrt(2 + 0.07**2)) <= high
    assert covered / 400 >= 0.93
