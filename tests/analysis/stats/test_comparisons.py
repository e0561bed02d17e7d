"""Settings against one baseline: formulas by hand, error rates on simulated studies, and invariances."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import dunnett, t, ttest_ind

from analysis.stats.comparisons import compare_settings, largest_gain
from analysis.stats.intervals import compare_paired
from support.simulated_results import simulate_results

CLIPS = 200


def counts(*correct: int) -> pd.DataFrame:
    """A column per seed, in which the first clips are right."""
    return pd.DataFrame(np.arange(CLIPS)[:, None] < np.array(correct), index=[f"{clip}.wav" for clip in range(CLIPS)])


def test_one_setting_equals_the_formula() -> None:
    random = np.random.default_rng(4)
    baseline, other = counts(100, 104, 96), counts(120, 110, 118, 116)
    baseline, other = (side.mask(random.random(side.shape) < 0.1, ~side) for side in (baseline, other))  # runs differ at clips
    (found,) = compare_settings(baseline, [other])
    deltas = other.mean(axis=1) - baseline.mean(axis=1)
    own = [side.mean().var(ddof=1) for side in (baseline, other)]
    pooled = (2 * own[0] + 3 * own[1]) / 5
    wide = [max(each, pooled) for each in own]
    noise = []
    for side in (baseline.astype(float), other.astype(float)):
        rest = side.sub(side.mean(axis=1), axis=0).sub(side.mean() - side.to_numpy().mean(), axis=1)
        noise.append((rest**2).to_numpy().sum() / ((side.shape[1] - 1) * (CLIPS - 1)))
    seeds = wide[0] / 3, wide[1] / 4
    of_clips = deltas.var(ddof=1) / CLIPS
    variance = max(sum(seeds) + of_clips - (noise[0] / 3 + noise[1] / 4) / CLIPS, sum(seeds), of_clips)
    freedom = variance**2 / (seeds[0] ** 2 / 2 + seeds[1] ** 2 / 3)
    freedom = 1 + 0.7 * (freedom - 1)  # numbers of seeds differ
    error, quantile = math.sqrt(variance), t.ppf(0.975, freedom)
    assert (found.difference, found.standard_error) == pytest.approx((deltas.mean(), error))
    assert (found.low, found.high) == pytest.approx((deltas.mean() - quantile * error, deltas.mean() + quantile * error))
    assert found.p_value == pytest.approx(2 * t.sf(abs(deltas.mean()) / error, freedom))
    assert (found.clips, found.seeds, found.candidates) == (CLIPS, 3, 1)


def test_equal_variances_over_seeds_give_students_test() -> None:
    """Clips that all settings find equally hard, so that only seeds are left."""
    generator = np.random.default_rng(0)
    first = generator.normal(0.45, 0.1, 6)
    clips = 20_000
    baseline, other = (
        pd.DataFrame(generator.permuted(np.tile(np.arange(clips)[:, None] < np.round(clips * side), 1), axis=0))
        for side in (first, first + 0.1)
    )
    (found,) = compare_settings(baseline, [other])
    assert found.p_value == pytest.approx(ttest_ind(other.mean(), baseline.mean()).pvalue, rel=0.5)
    assert found.p_value > ttest_ind(other.mean(), baseline.mean()).pvalue  # a little stricter


def test_a_setting_does_not_gain_from_close_seeds() -> None:
    generator = np.random.default_rng(1)
    baseline, *scattered = (counts(*(150 + generator.integers(-12, 13, 3))) for _ in range(6))
    close = counts(158, 158, 158)
    *_, found = compare_settings(baseline, [*scattered, close])
    pooled = np.mean([side.mean().var(ddof=1) for side in (baseline, *scattered, close)])
    assert found.standard_error**2 >= 2 * pooled / 3


def test_several_settings_over_seeds_give_dunnetts_test() -> None:
    generator = np.random.default_rng(3)
    shares = generator.normal(0.5, 0.05, (5, 60))
    shares[1] += 0.03
    clips = 5000
    baseline, *others = (pd.DataFrame(generator.permuted(np.arange(clips)[:, None] < clips * side, axis=0)) for side in shares)
    found = compare_settings(baseline, others)
    expected = dunnett(*(side.mean() for side in others), control=baseline.mean(), random_state=0).pvalue
    # Dunnett pools the variance of all sides, which are nearly equal here.
    assert [each.p_value for each in found] == pytest.approx(list(expected), rel=0.25, abs=0.02)
    assert min(expected) < 0.3
    assert all(each.candidates == 4 for each in found)


def test_the_correction_lies_between_none_and_bonferroni() -> None:
    baseline, others, _ = simulate_results(np.random.default_rng(5), 6, 3)
    together = compare_settings(baseline, others)
    alone = [compare_settings(baseline, [other])[0] for other in others]
    for joint, single in zip(together, alone, strict=True):
        assert joint.difference == single.difference
        assert single.p_value <= joint.p_value + 0.01
        assert joint.p_value <= min(1.0, 6 * single.p_value) + 0.01
        assert joint.low < single.low < single.high < joint.high
        assert (joint.p_value < 0.05) == (joint.low > 0 or joint.high < 0)


@pytest.mark.parametrize(("settings", "seeds"), [(1, 3), (4, 3), (11, 3), (1, 5), (4, 5), (11, 5)])
def test_settings_that_do_not_differ_are_rarely_said_to(settings: int, seeds: int) -> None:
    """With luck of seeds that raises validation and test alike; benchmarks/claim_error_rates.py has more studies."""
    generator = np.random.default_rng(settings * 10 + seeds)
    studies = 80
    picked_errs = any_errs = 0
    for _ in range(studies):
        baseline, others, picked = simulate_results(generator, settings, seeds, clips=300, val_clips=80, seed_sd=0.3)
        found = compare_settings(baseline, others)
        picked_errs += found[picked].finding != "not distinguishable"
        any_errs += any(each.finding != "not distinguishable" for each in found)
    most = 0.05 + 2 * math.sqrt(0.05 * 0.95 / studies)
    assert picked_errs / studies <= most
    assert any_errs / studies <= most


@pytest.mark.parametrize(("settings", "gain", "least"), [(1, 0.43, 0.5), (4, 0.43, 0.35), (1, 0.2, 0.1)])
def test_true_gains_are_found(settings: int, gain: float, least: float) -> None:
    """6 points and 3 points, 3 seeds that scatter by 2.3 points, 947 clips."""
    generator = np.random.default_rng(0)
    found = []
    for _ in range(60):
        baseline, others, picked = simulate_results(generator, settings, 3, gain=gain)
        found.append(compare_settings(baseline, others)[picked].finding == "better")
    assert np.mean(found) >= least


def test_the_largest_gain_on_test_is_corrected_for_all_settings() -> None:
    """One seed: models that are equally good, of which the best is read off the test results."""
    generator = np.random.default_rng(2)
    largest, alone = 0, 0
    for _ in range(25):
        baseline, others, _ = simulate_results(generator, 8, 1, clips=300, seed_sd=0.0)
        corrected = largest_gain(baseline, others)
        single = [compare_paired(baseline, other).p_value for other in others]
        assert min(1, len(single) * min(single)) >= min(corrected) - 0.02  # the smallest of Holm's, which is more careful
        largest += min(corrected) < 0.05
        alone += min(single) < 0.05
    assert largest / 25 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 25)
    assert alone / 25 > 0.15  # why it is needed


def test_one_model_alone_has_mcnemars_p_value() -> None:
    baseline, (other,), _ = simulate_results(np.random.default_rng(8), 1, 1, gain=0.2)
    assert largest_gain(baseline, [other]) == pytest.approx([compare_paired(baseline, other).p_value], abs=0.015)


def test_order_of_clips_and_seeds_is_no_matter() -> None:
    baseline, others, _ = simulate_results(np.random.default_rng(1), 3, 3, clips=100)
    turned = [other.iloc[::-1, ::-1] for other in others]
    for first, second in zip(compare_settings(baseline, others), compare_settings(baseline, turned), strict=True):
        assert first.p_value == pytest.approx(second.p_value, abs=1e-3)
        assert (first.low, first.high) == pytest.approx((second.low, second.high))


def test_identical_predictions_differ_by_nothing() -> None:
    same = counts(100, 100)
    for found in compare_settings(same, [same, same]):
        assert (found.difference, found.p_value, found.finding) == (0, 1, "not distinguishable")
    assert largest_gain(same, [same, same]) == [1, 1]


@pytest.mark.parametrize("clips", [1, 2, 3])
def test_few_clips_and_constant_differences_prove_nothing(clips: int) -> None:
    wrong, right = (pd.DataFrame(np.full((clips, 3), value), index=range(clips)) for value in (False, True))
    (found,) = compare_settings(wrong, [right])
    assert found.difference == 1
    assert 0 < found.p_value <= 1
    assert found.resolvable > 0
    same = compare_settings(right, [right])[0]
    assert (same.p_value, same.difference) == (1, 0)
    assert same.resolvable > 0  # one clip at least may differ


def test_one_seed_and_other_clips_are_refused() -> None:
    with pytest.raises(ValueError, match="several seeds of the baseline"):
        compare_settings(counts(100), [counts(100, 101)])
    with pytest.raises(ValueError, match="different clips"):
        compare_settings(counts(100, 101), [counts(100, 101).iloc[1:]])
