"""Several settings against one baseline on the same test clips, corrected for their number."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import t

from analysis.stats.clusters import Clusters, clusters_of
from analysis.stats.intervals import LEVEL, aligned, finding, interval_over_seeds
from analysis.stats.power import MANY_CLUSTERS, MIN_SEEDS, Design, detectable_difference, standard_errors

DRAWS = 20_000  # of the largest statistic
FLIPS = 5000  # of signs


@dataclass(frozen=True)
class SettingsComparison:
    """A setting against the baseline; positive differences mean better than the baseline.

    Attributes:
        clusters: test clips, by recording or fold.
        seeds: of the side that has fewer.
        candidates: settings that were compared with the baseline at the same time.
        baselines: baselines that validation selected this one from, itself among them.
        difference: of the mean accuracies, share.
        standard_error: of the difference, over other seeds and other clips.
        low: lower bound of its 95 % interval; of several candidates all intervals hold at once.
        high: upper bound.
        p_value: two-sided; of several candidates corrected for their number.
        design: what its power follows from.
        equivalence_low: lower bound of the 90 % interval, which decides on equivalence; of several candidates all hold at once.
        equivalence_high: upper bound.
    """

    clusters: Clusters
    seeds: int
    candidates: int
    baselines: int
    difference: float
    standard_error: float
    low: float
    high: float
    p_value: float
    design: Design
    equivalence_low: float
    equivalence_high: float

    @property
    def clips(self) -> int:
        """Test clips."""
        return self.clusters.clips

    @property
    def finding(self) -> str:
        """In a word or two."""
        return finding(self.difference, self.p_value)

    @property
    def resolvable(self) -> float:
        """True difference that such a study finds with a power of 80 %, share."""
        return detectable_difference(self.design)

    def is_equivalent(self, within: float) -> bool:
        """Whether the two settings differ by less than `within` (share), by two one-sided tests at 5 % (Schuirmann 1987).

        Never with fewer than `MANY_CLUSTERS` recordings or folds.
        """
        enough = self.clusters.freedom >= MANY_CLUSTERS  # a difference on a tenth of few recordings is easily missed
        return enough and -within < self.equivalence_low and self.equivalence_high < within


def compare_settings(
    baseline: pd.DataFrame, others: Sequence[pd.DataFrame], rivals: Sequence[pd.DataFrame] = ()
) -> list[SettingsComparison]:
    """Compare several settings with one baseline, on other seeds and other clips, corrected for their number.

    Settings are fixed; seeds, clips, and the chance of a run at a clip are random. Of setting j, d_j is the difference of its mean
    accuracy over n_j seeds and N clips and the baseline's. Its variance is that of the crossed design,

        V_j = (s²_j / n_j + s²_0 / n_0) + v_j / N − (w_j / n_j + w_0 / n_0) / N,

    with the variances s² of the runs' accuracies on each side, the variance v_j over clips of the clips' mean differences, and the
    mean squares w of the interaction of runs and clips, which are in both of the others; at least the larger of these two. v and w
    are those of `analysis.stats.clusters`: over recordings where several clips were cut from one, over folds where these are
    pooled, so that other training sets are asked about, too. Runs of
    one seed are not taken as pairs: they share no more than where they start. `analysis.stats.power.standard_errors` has s² and the
    degrees of freedom. The settings share baseline and clips, so that T_j = d_j / √V_j are correlated; the largest of k is compared
    with that of multivariate t with these correlations (many-to-one comparisons: Dunnett, JASA 50 (1955) 1096; Hothorn, Bretz and
    Westfall, Biometrical Journal 50 (2008) 346), drawn `DRAWS` times with a fixed seed. Intervals are d_j ± q √V_j with its 95 %
    quantile q. Of fewer than `MANY_CLUSTERS` recordings or folds the correlations are not known well enough, and the correction is
    Bonferroni's. Where the baseline was selected among several, the largest of the differences of all settings to all baselines
    takes their place: a baseline that was lucky on validation is lucky on test, too.

    A setting with one seed has the variance of the others. It counts as one of those that were compared, and no claim is to be made
    about it: a claim takes `MIN_SEEDS` of either side.

    Args:
        baseline: correct (bool) by test clip (index) and run (columns), at least two runs.
        others: the same of each setting, at least one run.
        rivals: the same of each other baseline among which validation selected this one.

    Raises:
        ValueError: the baseline has one run only, or a side other clips.
    """
    if baseline.shape[1] < 2:
        raise ValueError("a claim about settings needs several seeds of the baseline; compare the models with compare_paired")
    sides = [aligned(baseline, other) for other in others]
    first, clusters = baseline.to_numpy(float), clusters_of(baseline.index, by_fold=True)
    clips = len(first)
    deltas = np.stack([side.mean(axis=1) - first.mean(axis=1) for side in sides])  # (settings, clips)
    of_clips = np.maximum(np.diag(clusters.covariance(deltas)) * clusters.factor, clusters.least_variance)
    every = [first, *sides, *(aligned(baseline, rival) for rival in rivals)]
    runs = np.array([side.shape[1] for side in every])
    noise = _interactions(every, clusters)  # of a run and a clip together
    both = noise / runs / clips
    over_seeds = np.array([side.mean(axis=0).var(ddof=1) if side.shape[1] > 1 else np.nan for side in every])
    number = len(sides)
    found = standard_errors(over_seeds, runs, of_clips, both[0] + both[1 : number + 1], clusters.freedom)
    pairs = number * (1 + len(rivals))
    largest = None
    if pairs > 1 and clusters.freedom >= MANY_CLUSTERS:
        largest = _largest(every, np.maximum(found.of_seeds - both, 0.0), clusters, 1 + len(rivals))
    design = Design(
        clips=clips,
        runs=(int(runs[0]), int(runs[1])),
        candidates=number,
        baselines=1 + len(rivals),
        clip_freedom=clusters.freedom,
        **_variances(float(found.pooled), noise, runs, of_clips, clips),
    )
    return [
        SettingsComparison(
            clusters,
            int(min(runs[0], runs[1 + place])),
            number,
            1 + len(rivals),
            design=replace(design, runs=(int(runs[0]), int(runs[1 + place]))),
            **_judged(float(delta.mean()), float(found.errors[place]), float(found.freedom[place]), largest, pairs),
        )
        for place, delta in enumerate(deltas)
    ]


def _variances(pooled: float, noise: np.ndarray, runs: np.ndarray, of_clips: np.ndarray, clips: int) -> dict[str, float]:
    """The variances of a design as they are estimated: of seeds, of a run at a clip, and of clips with many seeds."""
    of_runs = float(noise[0] / runs[0] + np.mean(noise[1:] / runs[1:]))
    return {
        "seed_variance": max(0.0, pooled - float(noise.mean()) / clips),
        "noise": float(noise.mean()),
        "clip_variance": max(0.0, float(np.mean(of_clips)) * clips - of_runs),
    }


def largest_gain(baseline: pd.DataFrame, others: Sequence[pd.DataFrame]) -> list[float]:
    """P-values of "this model differs from the baseline" when all of `others` are looked at on test, corrected for their number.

    Max-T permutation (Westfall and Young 1993): where model and baseline are equally good, a clip speaks for either side as often,
    so that the signs of all models' differences at a clip, δ_jc, can be flipped together; of clips of one recording the signs of
    their sum. With T_j = |Σ_c δ_jc| / √Σ_c δ²_jc, the
    p-value of model j is the share of `FLIPS` random flips (with a fixed seed, the unflipped one among them) whose largest T is at
    least T_j. It is about trained models on other clips, not about settings.

    Args:
        baseline: correct (bool) by test clip (index) and run (columns); of several runs the mean of a clip counts.
        others: the same of each model.

    Raises:
        ValueError: the sides were tested on different clips.
    """
    first = baseline.to_numpy(float).mean(axis=1)
    deltas = np.stack([aligned(baseline, other).mean(axis=1) - first for other in others])
    deltas = clusters_of(baseline.index).sums(deltas)
    deltas = deltas / np.maximum(np.sqrt((deltas**2).sum(axis=1, keepdims=True)), 1e-12)
    observed = np.abs(deltas.sum(axis=1))
    signs = np.random.default_rng(0).integers(0, 2, (FLIPS, deltas.shape[1]), dtype=np.int8) * np.float32(2) - np.float32(1)
    largest = np.abs(signs @ deltas.T.astype(np.float32)).max(axis=1)
    reached = 1 + (largest[:, None] >= observed[None, :] - 1e-4).sum(axis=0)
    return [float(value) for value in reached / (FLIPS + 1)]


@dataclass(frozen=True)
class UnpairedComparison:
    """Accuracies of a setting and its baseline where it is not known which clips each has right.

    Attributes:
        difference: of the mean accuracies, share; positive means better than the baseline.
        low: lower bound of its 95 % interval.
        high: upper bound.
        p_value: two-sided.
    """

    difference: float
    low: float
    high: float
    p_value: float


def compare_unpaired(baseline: Sequence[float], other: Sequence[float], clips: int) -> UnpairedComparison:
    """Compare the accuracies of a setting's runs and its baseline's as if each side had been tested on other clips.

    Models that are tested on the same clips err together, so this can only miss differences that predictions would show. With one
    run on a side the claim is about trained models: the score test of two shares, and Newcombe's hybrid interval. With `MIN_SEEDS`
    on both it is about settings: with the variances s² of the n runs' accuracies and the pooled share p on N clips,

        V = s²_0 / n_0 + s²_1 / n_1 + 2 p(1 − p) / N,

    d / √V has Student's t with Satterthwaite's degrees of freedom, and the interval combines `interval_over_seeds` of both sides in
    Newcombe's way (method 10 of Statistics in Medicine 17 (1998) 873).

    Args:
        baseline: accuracy of each run, share.
        other: the same of the setting.
        clips: test clips.
    """
    of_settings = min(len(baseline), len(other)) >= MIN_SEEDS
    sides = [np.asarray(side, float) for side in (baseline, other)]
    first, second = (float(side.mean()) for side in sides)
    (l1, u1), (l2, u2) = (interval_over_seeds(side if of_settings else [side.mean()], clips) for side in sides)
    pooled, difference = (first + second) / 2, second - first
    of_clips = 2 * pooled * (1 - pooled) / clips
    of_seeds = [float(side.var(ddof=1)) / len(side) for side in sides] if of_settings else [0.0, 0.0]
    variance = of_clips + sum(of_seeds)
    if variance == 0:
        p_value = float(difference == 0)
    else:
        over_seeds = sum(each**2 / max(len(side) - 1, 1) for each, side in zip(of_seeds, sides, strict=True))
        freedom = variance**2 / (over_seeds + of_clips**2 / (2 * clips)) if of_settings else math.inf
        p_value = float(2 * t.sf(abs(difference) / math.sqrt(variance), freedom))
    low, high = math.hypot(second - l2, u1 - first), math.hypot(u2 - second, first - l1)
    return UnpairedComparison(difference, difference - low, difference + high, p_value)


def _interactions(sides: Sequence[np.ndarray], clusters: Clusters) -> np.ndarray:
    """Mean square of the interaction of runs and clips of each side `[clips, runs]`; one of one run has the mean of the others'."""
    found = []
    for side in sides:
        clips, runs = side.shape
        if runs < 2 or len(clusters.sizes) < 2:
            found.append(np.nan)
            continue
        rest = side - side.mean(axis=0) - side.mean(axis=1, keepdims=True) + side.mean()
        found.append(float(np.trace(clusters.covariance(rest.T))) * clips / (runs - 1))
    values = np.array(found)
    known = values[~np.isnan(values)]
    return np.where(np.isnan(values), known.mean() if len(known) else 0.0, values)


def _largest(sides: Sequence[np.ndarray], of_seeds: np.ndarray, clusters: Clusters, baselines: int) -> np.ndarray:
    """Draws of the largest standardised difference between any setting and any baseline, all equally good.

    Args:
        sides: correct `[clips, runs]`: the selected baseline, the settings, the other baselines.
        of_seeds: of each side, variance of its mean over seeds and not over clips.
        clusters: of the clips.
        baselines: how many of the sides are baselines.
    """
    means = np.stack([side.mean(axis=1) for side in sides])
    covariance = clusters.covariance(means) * clusters.factor + np.diag(of_seeds) + np.eye(len(sides)) * 1e-18
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    draws = np.random.default_rng(0).standard_normal((DRAWS, len(covariance))) @ root.T
    spread = np.diag(covariance)
    settings = slice(1, len(sides) - baselines + 1)
    largest = np.zeros(DRAWS)
    for place in (0, *range(settings.stop, len(sides))):
        errors = np.sqrt(np.maximum(spread[place] + spread[settings] - 2 * covariance[place, settings], 1e-18))
        statistics = np.abs(draws[:, settings] - draws[:, [place]]) / errors
        largest = np.maximum(largest, statistics.max(axis=1))
    return largest


def _judged(difference: float, error: float, freedom: float, largest: np.ndarray | None, pairs: int) -> dict[str, float]:
    """A difference against its standard error, corrected for the number of pairs.

    `largest` are draws of the largest normal number of all pairs; without them the correction is Bonferroni's.
    """
    if largest is None:
        quantiles = t.isf(np.array([1 - LEVEL, 2 * (1 - LEVEL)]) / 2 / pairs, freedom)
        p_value = min(1.0, float(2 * t.sf(abs(difference) / error, freedom)) * pairs)
    else:
        drawn = largest / np.sqrt(np.random.default_rng(1).chisquare(freedom, len(largest)) / freedom)
        reached = (drawn >= abs(difference) / error).sum()
        quantiles, p_value = np.quantile(drawn, [LEVEL, 2 * LEVEL - 1]), float((reached + 1) / (len(drawn) + 1))
    quantile, of_equivalence = map(float, quantiles)
    return {
        "difference": difference,
        "standard_error": error,
        "low": difference - quantile * error,
        "high": difference + quantile * error,
        "p_value": p_value,
        "equivalence_low": difference - of_equivalence * error,
        "equivalence_high": difference + of_equivalence * error,
    }
