"""Checks that reviewers ask for: formulas by hand, and bounds that must hold."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu

from analysis.stats.checks import data_sets_with_gain, expected_best, macro_difference, probability_of_better
from analysis.stats.claims import GROWN
from analysis.stats.comparisons import compare_settings

CLIPS = pd.Index([f"{clip}.wav" for clip in range(120)], name="clip")
LABELS = pd.Series(["rare"] * 12 + ["common"] * 108, index=CLIPS)


def results(generator: np.random.Generator, rare: float, common: float, seeds: int) -> pd.DataFrame:
    share = np.where(LABELS == "rare", rare, common)[:, None]
    return pd.DataFrame(generator.random((120, seeds)) < share, index=CLIPS, columns=range(seeds))


@pytest.mark.parametrize("seeds", [1, 3])
def test_macro_difference_is_that_of_the_class_wise_accuracies(seeds: int) -> None:
    generator = np.random.default_rng(0)
    baseline, other = results(generator, 0.3, 0.8, seeds), results(generator, 0.9, 0.8, seeds)
    found = macro_difference(baseline, [other], 0, LABELS)
    of_classes = [side.mean(axis=1).groupby(LABELS).mean() for side in (baseline, other)]
    assert found.value == pytest.approx((of_classes[1] - of_classes[0]).mean())
    assert found.low < found.value < found.high
    assert found.p_value < 0.05


def test_equal_classes_make_macro_accuracy_plain_accuracy() -> None:
    generator = np.random.default_rng(1)
    sides = [results(generator, 0.5, 0.6, 3) for _ in range(3)]
    equal = pd.Series(np.tile(["a", "b"], 60), index=CLIPS)
    found, expected = macro_difference(sides[0], sides[1:], 1, equal), compare_settings(sides[0], sides[1:])[1]
    assert (found.value, found.low, found.high) == pytest.approx((expected.difference, expected.low, expected.high))


def test_probability_of_better_is_that_of_pairs() -> None:
    first, second = [0.70, 0.72, 0.71, 0.69], [0.72, 0.74, 0.705, 0.70]
    share, low, high = probability_of_better(first, second)
    assert share == pytest.approx(mannwhitneyu(second, first).statistic / 16)
    assert 0 < low < share < high < 1
    back = probability_of_better(second, first)
    assert back == pytest.approx((1 - share, 1 - high, 1 - low))
    assert probability_of_better([0.1 + 0.2, 0.3], [0.3, 0.3])[0] == 0.5  # 0.1 + 0.2 is 0.30000000000000004
    assert all(map(np.isnan, probability_of_better([0.5], [0.6, 0.7])))
    assert np.isnan(probability_of_better([0.1, 0.2, 0.3], [0.4, 0.5, 0.6])[1])


@pytest.mark.parametrize("runs", [4, 5, 10])
def test_the_interval_of_the_probability_covers(runs: int) -> None:
    generator, hits = np.random.default_rng(0), 0
    for _ in range(400):
        _, low, high = probability_of_better(generator.normal(size=runs), generator.normal(size=runs))
        hits += low <= 0.5 <= high
    assert hits / 400 > 0.93
    assert probability_of_better(range(runs), range(runs, 2 * runs))[2] == 1
    assert 0.3 < probability_of_better(range(runs), range(runs, 2 * runs))[1] < 1


def test_gains_on_several_data_sets_hold_together() -> None:
    assert data_sets_with_gain([0.1] * 4, [0.001] * 4) == 4
    assert data_sets_with_gain([-0.1] * 4, [0.001] * 4) == 0
    assert data_sets_with_gain([0.1] * 4, [0.01, 0.9, 0.9, 0.9]) == 1
    assert data_sets_with_gain([0.1] * 4, [0.02, 0.9, 0.9, 0.9]) == 0
    assert data_sets_with_gain([0.1] * 4, [0.001, 0.002, 0.06, 0.09]) == 2  # no more than have a verdict of their own
    assert data_sets_with_gain([0.1] * 4, [0.001] * 4, GROWN) == 0


def test_the_best_of_fewer_settings_is_the_mean_over_all_choices() -> None:
    generator = np.random.default_rng(2)
    gains, accuracies = generator.random(6), generator.random(6)
    for tried in (1, 2, 6):
        chosen = [accuracies[max(places, key=gains.__getitem__)] for places in itertools.combinations(range(6), tried)]
        assert expected_best(gains.tolist(), accuracies.tolist(), tried) == pytest.approx(np.mean(chosen))


def test_one_clip_and_lost_accuracies_tell_nothing() -> None:
    first, other = (pd.DataFrame([[right]], index=CLIPS[:1]) for right in (False, True))
    found = macro_difference(first, [other], 0, LABELS[:1])
    assert (found.value, found.low, found.high, found.p_value) == (1, -1, 1, 1)
    assert all(map(np.isnan, probability_of_better([0.5, np.nan, 0.5, 0.5], [0.6] * 4)))
