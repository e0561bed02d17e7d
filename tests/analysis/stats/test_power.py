"""Power of paired comparisons, against simulated experiments."""

import numpy as np
import pytest
from scipy.stats import binom, norm

from analysis.stats.power import Power, expected_maximum, luck_of_the_best, smallest_difference

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


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_known_seed_variance_gives_80_percent_power(seeds: int) -> None:
    generator = np.random.default_rng(1)
    clips, discordance, seed_sd = 947, 0.15, 0.02
    difference = smallest_difference(clips, discordance, seeds, seed_sd)
    luck_of_seeds = generator.normal(0, seed_sd, (EXPERIMENTS, seeds, 2)).mean(1)
    true = difference + luck_of_seeds[:, 0] - luck_of_seeds[:, 1]
    observed = np.array(
        [
            (won - lost) / clips
            for won, lost, _ in (
                generator.multinomial(clips, [(discordance + d) / 2, (discordance - d) / 2, 1 - discordance])
                for d in np.clip(true, -discordance, discordance)
            )
        ]
    )
    critical = norm.ppf(0.975) * np.sqrt(discordance / clips + 2 * seed_sd**2 / seeds)
    assert (np.abs(observed) > critical).mean() == pytest.approx(0.8, abs=0.02)


def test_more_seeds_help_only_as_far_as_the_seeds_scatter() -> None:
    alone = smallest_difference(947, 0.15)
    assert smallest_difference(947, 0.15, seeds=10) == alone
    assert alone < smallest_difference(947, 0.15, seeds=10, seed_sd=0.04) < smallest_difference(947, 0.15, seeds=1, seed_sd=0.04)


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
    resolvable, luck = Power(test_clips=947, val_clips=266, seeds=3, candidates=10).sentences
    assert resolvable.startswith("947 test clips, 3 seeds: differences under 2.9 to 4.5 points can't be resolved")
    assert "best of 10 settings" in luck
    assert "266 validation clips" in luck
    assert len(Power(947, 266, 1, candidates=1).sentences) == 1


def test_no_clips_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing to compare"):
        smallest_difference(0, 0.15)
