"""Power of paired comparisons, against simulated experiments."""

import numpy as np
import pytest
from scipy.stats import binom

from analysis.stats.power import (
    Design,
    Power,
    assumed_design,
    critical_values,
    detectable_difference,
    expected_maximum,
    fold_factor,
    luck_of_the_best,
    over_folds,
    smallest_difference,
    standard_errors,
)
from support.simulated_verdicts import CLIP_VARIANCE, NOISE, Cell, found

EXPERIMENTS = 20_000


def rejections(clips: int, discordance: float, difference: float, generator: np.random.Generator) -> float:
    """Share of simulated paired tables in which the exact McNemar test rejects at 5 %."""
    better, worse = (discordance + difference) / 2, (discordance - difference) / 2
    won, lost, _ = generator.multinomial(clips, [better, worse, 1 - discordance], EXPERIMENTS).T
    p_value = np.minimum(1, 2 * binom.cdf(np.minimum(won, lost), won + lost, 0.5))
    return float((p_value <= 0.05).mean())


@pytest.mark.parametrize(("clips", "discordance"), [(947, 0.10), (947, 0.25), (300, 0.15)])
def test_the_exact_test_has_80_percent_power(clips: int, discordance: float) -> None:
    generator = np.random.default_rng(0)
    difference = smallest_difference(clips, discordance)
    # The exact test is conservative: it has a little less power than the formula, which is the approximate test's.
    assert 0.74 < rejections(clips, discordance, difference, generator) < 0.82
    assert rejections(clips, discordance, 0.7 * difference, generator) < 0.6
    assert rejections(clips, discordance, 0.0, generator) < 0.05


@pytest.mark.parametrize("settings", [1, 9, 29])
@pytest.mark.parametrize(("seeds", "seed_sd", "clips"), [(3, 0.03, 947), (3, 0.0, 200), (5, 0.01, 947), (10, 0.06, 200)])
def test_the_stated_difference_is_found_in_80_percent(settings: int, seeds: int, seed_sd: float, clips: int) -> None:
    stated = detectable_difference(Design(clips, (seeds, seeds), settings, seed_sd**2, NOISE, CLIP_VARIANCE))
    cell = Cell(settings, (seeds, seeds), seed_sd, clips=clips)
    assert 0.75 < found(cell, 2000, gain=stated, seed=5)[:, 0].mean() < 0.85


@pytest.mark.parametrize("wide", ["", "baseline", "setting"])
@pytest.mark.parametrize("runs", [(3, 3), (3, 5), (5, 3), (3, 10), (10, 3)])
@pytest.mark.parametrize("settings", [1, 9])
def test_equal_settings_are_rarely_called_different(settings: int, runs: tuple[int, int], wide: str) -> None:
    """benchmarks/verdict_calibration.py has the whole grid."""
    studies = 4000
    rate = found(Cell(settings, runs, 0.03, wide), studies, seed=11).any(axis=1).mean()
    assert rate <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / studies)


def test_two_seeds_would_err_too_often() -> None:
    """Why a claim about settings takes three."""
    assert found(Cell(29, (10, 2), 0.06, "setting"), 4000).any(axis=1).mean() > 0.06
    with pytest.raises(ValueError, match="takes 3 seeds of each side"):
        detectable_difference(Design(947, (2, 10), 1, 0.03**2, NOISE, CLIP_VARIANCE))


def test_more_seeds_detect_smaller_differences() -> None:
    found_with = [detectable_difference(assumed_design(947, seeds, 1, 0.02, 0.15)) for seeds in (3, 5, 10, 30)]
    assert found_with == sorted(found_with, reverse=True)
    alone = detectable_difference(assumed_design(947, 5, 1, 0.02, 0.15))
    assert alone < detectable_difference(assumed_design(947, 5, 9, 0.02, 0.15)) < 2 * alone


@pytest.mark.parametrize("candidates", [1, 3, 10, 50])
def test_the_expected_maximum_is_that_of_simulated_draws(candidates: int) -> None:
    drawn = np.random.default_rng(2).standard_normal((EXPERIMENTS, candidates)).max(1)
    assert expected_maximum(candidates) == pytest.approx(drawn.mean(), abs=0.02)


def test_the_luck_of_the_best_is_that_of_equal_models() -> None:
    """Models that err independently on half of the undecided clips: two of them differ on `discordance` of all clips."""
    generator = np.random.default_rng(3)
    clips, discordance, candidates = 400, 0.2, 10
    undecided = 2 * discordance  # each right with probability 1/2, so two differ on half of them
    right = generator.binomial(round(undecided * clips), 0.5, (EXPERIMENTS, candidates)) / clips
    luck = (right.max(1) - right.mean(1)).mean()
    assert luck_of_the_best(candidates, clips, discordance) == pytest.approx(luck, rel=0.03)


def test_the_sentences_name_clips_seeds_the_range_and_the_luck() -> None:
    models, settings, luck = Power(test_clips=947, val_clips=266, seeds=3, candidates=10).sentences
    assert models.startswith("947 test clips, 3 seeds: two trained models that differ on 10 to 25 % of the clips can be told apart")
    assert "from a difference of 2.9 to 4.5 points on" in models
    assert ", corrected for 9 settings, if seeds of one setting scatter by 1 to 4 points (SD)" in settings
    assert "best of 10 settings" in luck
    assert "266 validation clips" in luck
    _, nothing = Power(947, 266, 2, candidates=1).sentences
    assert nothing == "With 2 seeds nothing can be said about settings. A claim about settings takes 3 seeds or more."


def test_no_clips_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing to compare"):
        smallest_difference(0, 0.15)


def test_recordings_widen_what_can_be_detected() -> None:
    independent, recorded = Power(947, 266, 3, 10), Power(947, 266, 3, 10, recordings=61)
    assert Power(947, 266, 3, 10, recordings=947).sentences == independent.sentences
    assert recorded.models[0] == independent.models[0]
    assert recorded.models[1] == pytest.approx(smallest_difference(61, 0.25))
    assert recorded.settings[1] > independent.settings[1]
    assert recorded.sentences[0].startswith("947 test clips of 61 recordings, 3 seeds: ")
    assert "all alike" in recorded.sentences[2]


def test_folds_detect_less_than_their_clips() -> None:
    one, five, two = (Power(947, 266, 3, 2, folds=folds) for folds in (1, 5, 2))
    assert five.settings[0] > one.settings[0]
    assert two.settings[0] > 0.2
    assert five.sentences[0].startswith("947 test clips in 5 folds, 3 seeds: ")
    few = Power(60, 266, 3, 2, folds=2)
    assert few.sentences[1] == "With so few folds no difference between settings could be detected."


@pytest.mark.parametrize("folds", [5, 10])
def test_the_stated_power_over_folds_is_that_of_their_model(folds: int) -> None:
    """Differences between folds that are correlated by 1 / K, as Nadeau and Bengio assume, judged by the test itself."""
    random, studies, seeds, clips = np.random.default_rng(0), 4000, 3, 2000
    design = over_folds(assumed_design(clips, seeds, 1, 0.01, 0.2), folds)
    gain = detectable_difference(design)
    noise, own = design.noise, assumed_design(clips, seeds, 1, 0.01, 0.2).clip_variance
    spread = (own + 2 * noise / seeds) / clips * folds  # of a fold's difference, were the folds independent
    common = random.standard_normal((studies, 1)) * np.sqrt(spread / (folds - 1))
    of_folds = gain + common + random.standard_normal((studies, folds)) * np.sqrt(spread)
    luck = random.standard_normal((studies, 2, seeds)) * 0.01
    over_seeds = (luck + random.standard_normal(luck.shape) * np.sqrt(noise / clips)).var(axis=2, ddof=1)
    both = np.full(1, 2 * noise / seeds / clips)
    variance = of_folds.var(axis=1, ddof=1)[:, None] / folds * fold_factor(folds)
    judged = standard_errors(over_seeds, np.array([seeds, seeds]), variance, both, folds - 1)
    difference = of_folds.mean(axis=1) + luck[:, 1].mean(axis=1) - luck[:, 0].mean(axis=1)
    power = np.mean(difference / judged.errors[:, 0] > critical_values(1, judged.freedom[:, 0]))
    assert 0.75 < power < 0.85
