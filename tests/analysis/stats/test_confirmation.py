"""A winner on fresh seeds: the interval by hand, and its coverage where seeds and clips both vary."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from analysis.stats.comparisons import compare_settings
from analysis.stats.confirmation import CONFIRMED, NOT_CONFIRMED, UNDECIDED, Confirmation, confirm

SEEDS, CLIPS = 5, 200


def table(right: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(right, index=[f"{clip}.wav" for clip in range(len(right))], columns=range(7, 7 + right.shape[1]))


def counts(*correct: int) -> pd.DataFrame:
    """A column per seed, in which the first clips are right."""
    return table(np.arange(CLIPS)[:, None] < np.array(correct))


def simulated(generator: np.random.Generator, seed_sd: float, side_sd: float) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """Baseline, winner and their true difference: a clip is right where the sum of normal effects stays below a bound.

    The effects: how hard the clip is (shared by both sides), how hard for one side (`side_sd`), the seed's (`seed_sd`), chance.
    """
    clip = generator.normal(size=(CLIPS, 1))
    total = math.sqrt(2 + seed_sd**2 + side_sd**2)
    sides, truth = [], []
    for bound in (0.3, 0.6):
        effects = clip + side_sd * generator.normal(size=(CLIPS, 1)) + seed_sd * generator.normal(size=(1, SEEDS))
        sides.append(table(effects + generator.normal(size=(CLIPS, SEEDS)) < bound))
        truth.append(float(norm.cdf(bound / total)))
    return sides[0], sides[1], truth[1] - truth[0]


@pytest.mark.parametrize(("seed_sd", "side_sd"), [(0.0, 0.0), (0.4, 0.0), (0.05, 1.5), (0.3, 1.0)])
def test_interval_covers_the_true_difference(seed_sd: float, side_sd: float) -> None:
    generator = np.random.default_rng(0)
    rounds = 200
    hits = 0
    for _ in range(rounds):
        baseline, winner, truth = simulated(generator, seed_sd, side_sd)
        result = confirm(baseline, winner)
        hits += result.low <= truth <= result.high
    assert hits / rounds > 0.95 - 2 * math.sqrt(0.95 * 0.05 / rounds)


def test_numbers_are_those_of_the_comparison_of_settings() -> None:
    baseline, winner = counts(100, 104, 96), counts(120, 110, 118)
    result = confirm(baseline, winner)
    (expected,) = compare_settings(baseline, [winner])
    assert result.comparison == expected
    assert (result.winner, result.baseline, result.difference) == pytest.approx((0.58, 0.5, 0.08))
    assert result.verdict == f"confirmed: +8.0 points [{result.low * 100:+.1f}, {result.high * 100:+.1f}] " + (
        "over 3 seeds and 200 test clips; test accuracy 58.0 %, baseline 50.0 %"
    )


@pytest.mark.parametrize(
    ("baseline", "winner", "finding"),
    [
        (counts(80, 82, 81, 79), counts(120, 121, 119, 122), CONFIRMED),
        (counts(80, 82, 81, 79), counts(80, 81, 80, 79), UNDECIDED),  # no better, but a small gain is well possible
        (counts(120, 121, 119, 122), counts(80, 82, 81, 79), NOT_CONFIRMED),
        (counts(80, 82, 81, 79), counts(80, 83, 82, 80), UNDECIDED),
        (counts(80, 80, 80, 80), counts(160, 80, 80, 80), UNDECIDED),  # one lucky seed
        (counts(80), counts(160), UNDECIDED),  # one seed says nothing about seeds
        (counts(80), counts(70), UNDECIDED),
    ],
)
def test_finding_is_plain(baseline: pd.DataFrame, winner: pd.DataFrame, finding: str) -> None:
    result = confirm(baseline, winner)
    assert isinstance(result, Confirmation)
    assert result.finding == finding
    assert result.verdict.startswith(finding)


def test_seeds_that_are_missing_leave_nothing_confirmed() -> None:
    baseline, winner = counts(80, 82, 81), counts(120, 121, 119)
    assert confirm(baseline, winner).finding == CONFIRMED
    result = confirm(baseline, winner, planned=5, missing=["2 seeds failed on the winner's side"])
    assert result.finding == UNDECIDED
    assert result.verdict.startswith("cannot be told with 3 of 5 seeds (2 seeds failed on the winner's side): +19.5 points [")
    assert confirm(winner, baseline, planned=5).finding == UNDECIDED


def test_order_of_seeds_and_clips_is_no_matter() -> None:
    generator = np.random.default_rng(1)
    baseline, winner, _ = simulated(generator, 0.3, 0.5)
    turned, found = confirm(baseline, winner.iloc[::-1, ::-1]), confirm(baseline, winner)
    assert turned.verdict == found.verdict
    assert (turned.low, turned.high) == pytest.approx((found.low, found.high), rel=1e-12)


def test_different_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="different seeds"):
        confirm(counts(80, 81), counts(80, 81).rename(columns={8: 9}))


def test_a_gain_below_the_one_worth_having_is_not_confirmed() -> None:
    baseline, winner = counts(80, 82, 81, 79), counts(80, 81, 80, 79)
    assert confirm(baseline, winner).finding == UNDECIDED
    assert confirm(baseline, winner, worthwhile=0.05).finding == NOT_CONFIRMED
    assert confirm(baseline, counts(120, 121, 119, 122), worthwhile=0.05).finding == CONFIRMED


@pytest.mark.parametrize(
    ("gain", "worthwhile", "wrong"), [(0.0, 0.0, CONFIRMED), (0.05, 0.0, NOT_CONFIRMED), (0.04, 0.04, NOT_CONFIRMED)]
)
def test_each_answer_errs_in_one_of_forty(gain: float, worthwhile: float, wrong: str) -> None:
    generator, rounds = np.random.default_rng(0), 300
    errors = 0
    for _ in range(rounds):
        clip = generator.normal(size=(CLIPS, 1))
        sides = []
        for bound in (0.0, norm.ppf(0.5 + gain) * math.sqrt(2.01)):
            effects = clip + generator.normal(size=(CLIPS, SEEDS)) + 0.1 * generator.normal(size=(1, SEEDS))
            sides.append(table(effects < bound))
        errors += confirm(*sides, worthwhile=worthwhile).finding == wrong
    assert errors / rounds < 0.025 + 2 * math.sqrt(0.025 * 0.975 / rounds)
