"""Clips of one recording and folds: variances by hand, error rates on simulated studies, the words for them."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from analysis.stats.clusters import FOLD, RECORDING, Clusters, clusters_of, independent_clips
from analysis.stats.comparisons import compare_settings, largest_gain
from analysis.stats.intervals import NOT_DISTINGUISHABLE, compare_paired, interval_over_seeds
from support.simulated_results import ClusteredTest, simulate_clusters

EQUAL = ClusteredTest((7,) * 40)
UNEQUAL = ClusteredTest(tuple(np.maximum(1, np.random.default_rng(3).geometric(0.12, 40)).tolist()))


def by_clip(side: pd.DataFrame) -> pd.DataFrame:
    """The same results, as if each clip were its own."""
    return side.reset_index(drop=True)


def test_the_variance_is_that_of_leaving_out_clusters() -> None:
    values = np.random.default_rng(0).random((1, 12))
    clusters = Clusters(np.repeat([0, 1, 2, 3], [1, 2, 3, 6]), 12, RECORDING)
    without = [np.delete(values[0], clusters.of_clip == each).mean() for each in range(4)]
    expected = 3 / 4 * sum((mean - values.mean()) ** 2 for mean in without)
    assert clusters.covariance(values) == pytest.approx(np.array([[expected]]))
    assert clusters.freedom == pytest.approx(12**2 / (1 + 4 + 9 + 36) - 1)


def test_clusters_of_one_clip_change_nothing() -> None:
    values = np.random.default_rng(1).random((3, 50))
    own = Clusters(np.arange(50), 50, RECORDING)
    assert own.covariance(values) == pytest.approx(Clusters(None, 50).covariance(values))
    assert clusters_of(pd.MultiIndex.from_arrays([range(5), range(5)], names=[RECORDING, "clip"])) == Clusters(None, 5)


def test_equal_clusters_give_students_test_over_recordings() -> None:
    first, second = (by_recording for by_recording in simulate_clusters(np.random.default_rng(5), EQUAL, 1, 1))
    found = compare_paired(first, second)
    means = (second[0].astype(float) - first[0].astype(float)).groupby(RECORDING).mean()
    test = ttest_1samp(means, 0)
    assert found.p_value == pytest.approx(test.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(test.confidence_interval()))
    assert found.clusters.words == "280 test clips of 40 recordings"
    assert found.resolvable > compare_paired(by_clip(first), by_clip(second)).resolvable


@pytest.mark.parametrize("test", [EQUAL, UNEQUAL])
def test_claims_hold_their_level_on_clips_of_recordings(test: ClusteredTest) -> None:
    """Of 300 studies without a difference; as if clips were independent, 15 to 28 and 7 to 11 % of claims are wrong."""
    generator, studies = np.random.default_rng(0), 300
    wrong = dict.fromkeys(("models", "models by clip", "settings", "settings by clip", "best on test"), 0)
    for _ in range(studies):
        first, *others = simulate_clusters(generator, test, 3, 1, seed_sd=0.0)
        wrong["models"] += compare_paired(first, others[0]).finding != NOT_DISTINGUISHABLE
        wrong["models by clip"] += compare_paired(by_clip(first), by_clip(others[0])).finding != NOT_DISTINGUISHABLE
        wrong["best on test"] += min(largest_gain(first, others)) < 0.05
        first, other = simulate_clusters(generator, test, 1, 3)
        wrong["settings"] += compare_settings(first, [other])[0].p_value < 0.05
        wrong["settings by clip"] += compare_settings(by_clip(first), [by_clip(other)])[0].p_value < 0.05
    shares = {name: count / studies for name, count in wrong.items()}
    within = 0.05 + 2 * math.sqrt(0.05 * 0.95 / studies)
    assert max(shares["models"], shares["settings"], shares["best on test"]) < within, shares
    assert shares["models by clip"] > 0.1
    assert shares["settings by clip"] > shares["settings"]


def test_the_interval_of_an_accuracy_covers_with_few_recordings() -> None:
    generator = np.random.default_rng(2)
    covered = {"by recording": 0, "by clip": 0}
    for _ in range(300):
        (correct,) = (side[0].to_numpy(float) for side in simulate_clusters(generator, ClusteredTest((7,) * 15), 0, 1, 0.0))
        clusters = Clusters(np.repeat(np.arange(15), 7), 105, RECORDING)
        for name, of in (("by recording", clusters), ("by clip", Clusters(None, 105))):
            low, high = interval_over_seeds([correct.mean()], independent_clips(correct, of))
            covered[name] += low <= 0.7 <= high
    assert covered["by recording"] >= 0.92 * 300 > covered["by clip"]


def test_independent_clips_lie_between_recordings_and_clips() -> None:
    alike = np.repeat(np.random.default_rng(4).random(200) < 0.7, 5).astype(float)
    clusters = Clusters(np.repeat(np.arange(200), 5), 1000, RECORDING)
    assert independent_clips(alike, clusters) == pytest.approx(200, rel=0.03)
    assert independent_clips(np.random.default_rng(4).permutation(alike), clusters) > 700
    assert independent_clips(np.ones(1000), clusters) == 200
    assert independent_clips(alike, Clusters(None, 1000)) == 1000
    assert independent_clips(alike, Clusters(None, 1000), np.r_[np.full(999, 1.0), 9]) == pytest.approx(1008**2 / 1080)


@pytest.mark.parametrize(("folds", "seeds", "shared"), [(5, 3, 0.2), (10, 10, 0.1), (2, 3, 0.5)])
def test_folds_of_other_training_sets_keep_the_level(folds: int, seeds: int, shared: float) -> None:
    """Settings gain or lose 2 points with a training set, none on average: by clip 20 to 60 % of claims are wrong."""
    generator, studies = np.random.default_rng(0), 120
    test = ClusteredTest((300,) * folds, FOLD, training_effect=0.02, shared_effect=shared)
    wrong = by_clips = 0
    for _ in range(studies):
        first, *others = simulate_clusters(generator, test, 2, seeds)
        wrong += min(found.p_value for found in compare_settings(first, others)) < 0.05
        by_clips += compare_settings(by_clip(first), [by_clip(others[0])])[0].p_value < 0.05
    assert wrong / studies < 0.05 + 2 * math.sqrt(0.05 * 0.95 / studies)
    assert by_clips / studies > 0.12


def test_folds_are_no_clusters_of_trained_models() -> None:
    first, other = simulate_clusters(np.random.default_rng(0), ClusteredTest((50,) * 4, FOLD), 1, 3)
    assert compare_paired(first, other).clusters.words == "200 test clips"
    assert compare_settings(first, [other])[0].clusters.words == "200 test clips in 4 folds"


def test_one_recording_alone_says_nothing() -> None:
    first, other = simulate_clusters(np.random.default_rng(0), ClusteredTest((60,)), 1, 3)
    assert compare_settings(first, [other])[0].p_value > 0.5
    assert compare_paired(first, other).finding == NOT_DISTINGUISHABLE
    assert independent_clips(first[0].to_numpy(float), clusters_of(first.index)) == 1


def test_identical_predictions_on_few_recordings_are_not_equivalent() -> None:
    (run,) = simulate_clusters(np.random.default_rng(0), ClusteredTest((100,) * 5), 0, 1)
    first = pd.concat([run[0]] * 3, axis=1)
    (found,) = compare_settings(first, [first.copy()])
    assert not found.is_equivalent(0.02)
    assert found.resolvable > 0.2
    (of_clips,) = compare_settings(by_clip(first), [by_clip(first)])
    assert of_clips.resolvable < 0.05
