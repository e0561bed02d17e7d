"""Several settings against one baseline on the same test clips, corrected for their number."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm, t

from analysis.stats.intervals import LEVEL, aligned, finding, interval_over_seeds
from analysis.stats.power import POWER

DRAWS = 20_000  # of the largest statistic
FLIPS = 5000  # of signs


@dataclass(frozen=True)
class SettingsComparison:
    """A setting against the baseline; positive differences mean better than the baseline.

    Attributes:
        clips: test clips.
        seeds: of the side that has fewer.
        candidates: settings that were compared with the baseline at the same time.
        baselines: baselines that validation selected this one from, itself among them.
        difference: of the mean accuracies, share.
        standard_error: of the difference, over other seeds and other clips.
        low: lower bound of its 95 % interval; of several candidates all intervals hold at once.
        high: upper bound.
        p_value: two-sided; of several candidates corrected for their number.
        resolvable: true difference that this study would have found with a power of 80 %, share.
        equivalence_low: lower bound of the 90 % interval, which decides on equivalence; of several candidates all hold at once.
        equivalence_high: upper bound.
    """

    clips: int
    seeds: int
    candidates: int
    baselines: int
    difference: float
    standard_error: float
    low: float
    high: float
    p_value: float
    resolvable: float
    equivalence_low: float
    equivalence_high: float

    @property
    def finding(self) -> str:
        """In a word or two."""
        return finding(self.difference, self.p_value)

    def is_equivalent(self, within: float) -> bool:
        """Whether the two settings differ by less than `within` (share), by two one-sided tests at 5 % (Schuirmann 1987)."""
        return -within < self.equivalence_low and self.equivalence_high < within


def compare_settings(
    baseline: pd.DataFrame, others: Sequence[pd.DataFrame], rivals: Sequence[pd.DataFrame] = ()
) -> list[SettingsComparison]:
    """Compare several settings with one baseline, on other seeds and other clips, corrected for their number.

    Of setting j, d_j is the difference of its mean accuracy over its seeds and clips and the baseline's. Its variance

        V_j = s²_j / n_j + s²_0 / n_0 + v_j / N

    has the variances s² of the n runs' accuracies on each side (runs of one seed are not taken as pairs: they share no more than
    where they start) and the variance v_j over the N clips of the clips' mean differences. Chance of a run and a clip together
    is in all three, which can only widen the interval. A few seeds often lie close together by luck, and of many settings the
    largest gain is likely one of those: s² is a side's own variance, or that pooled over all sides where that is larger.
    T_j = d_j / √V_j has Student's t with Satterthwaite's degrees of freedom, n − 1 of an own variance, Σ(n − 1) of the pooled one.
    The settings share baseline and clips, so their T_j are correlated; the largest of k is compared with that of multivariate t
    with these correlations (many-to-one comparisons: Dunnett, JASA 50 (1955) 1096; Hothorn, Bretz and Westfall, Biometrical
    Journal 50 (2008) 346), drawn `DRAWS` times with a fixed seed. Intervals are d_j ± q √V_j with its 95 % quantile q. Where the
    baseline was selected among several, the largest of the differences of all settings to all baselines takes their place: a
    baseline that was lucky on validation is lucky on test, too.

    Args:
        baseline: correct (bool) by test clip (index) and run (columns), at least two runs.
        others: the same of each setting.
        rivals: the same of each other baseline among which validation selected this one.

    Raises:
        ValueError: a side has one run only, or other clips.
    """
    if min(side.shape[1] for side in (baseline, *others, *rivals)) < 2:
        raise ValueError("a claim about settings needs two seeds of each side; compare the models with compare_paired")
    sides = [aligned(baseline, other) for other in others]
    first = baseline.to_numpy(float)
    clips, runs = first.shape
    deltas = np.stack([side.mean(axis=1) - first.mean(axis=1) for side in sides])  # (settings, clips)
    of_clips = np.atleast_2d(np.cov(deltas)) / clips
    others_baselines = [aligned(baseline, rival) for rival in rivals]
    of_seeds, satterthwaite = _variances_over_seeds([first, *sides, *others_baselines])
    of_seeds, of_rivals = of_seeds[: len(sides) + 1], of_seeds[len(sides) + 1 :]
    satterthwaite = satterthwaite[: len(sides)]
    covariance = of_clips + of_seeds[0] + np.diag(of_seeds[1:])
    variances = np.diag(covariance)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = variances**2 / (satterthwaite + np.diag(of_clips) ** 2 / (clips - 1))
    largest: np.ndarray | None
    if rivals:
        largest = _largest_of_all([first, *others_baselines], sides, np.array([of_seeds[0], *of_rivals]), of_seeds[1:])
    else:
        largest = _largest_normals(covariance) if len(sides) > 1 else None
    judged = [
        _judged(float(delta.mean()), math.sqrt(variance), float(each), largest)
        for delta, variance, each in zip(deltas, variances, freedom, strict=True)
    ]
    seeds = [min(runs, side.shape[1]) for side in sides]
    number, of = len(sides), 1 + len(rivals)
    return [SettingsComparison(clips, each, number, of, **values) for each, values in zip(seeds, judged, strict=True)]


def largest_gain(baseline: pd.DataFrame, others: Sequence[pd.DataFrame]) -> list[float]:
    """P-values of "this model differs from the baseline" when all of `others` are looked at on test, corrected for their number.

    Max-T permutation (Westfall and Young 1993): where model and baseline are equally good, a clip speaks for either side as often,
    so that the signs of all models' differences at a clip, δ_jc, can be flipped together. With T_j = |Σ_c δ_jc| / √Σ_c δ²_jc, the
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
    run on a side the claim is about trained models: the score test of two shares, and Newcombe's hybrid interval. With several on
    both it is about settings: with the variances s² of the n runs' accuracies and the pooled share p on N clips,

        V = s²_0 / n_0 + s²_1 / n_1 + 2 p(1 − p) / N,

    d / √V has Student's t with Satterthwaite's degrees of freedom, and the interval combines `interval_over_seeds` of both sides in
    Newcombe's way (method 10 of Statistics in Medicine 17 (1998) 873).

    Args:
        baseline: accuracy of each run, share.
        other: the same of the setting.
        clips: test clips.
    """
    of_settings = min(len(baseline), len(other)) > 1
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


def _variances_over_seeds(sides: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Variance over seeds of each side's mean accuracy, and of every side but the first the sum of V² / freedom with the first's.

    Sides are correct `[clips, runs]`, the baseline first. Where both have the pooled variance, theirs is one estimate, not two.
    """
    freedom = np.array([side.shape[1] - 1 for side in sides])
    own = np.array([side.mean(axis=0).var(ddof=1) for side in sides])
    pooled = float((own * freedom).sum() / freedom.sum())
    of_means = np.maximum(own, pooled) / (freedom + 1)
    has_own = own > pooled * (1 + 1e-9)  # not by rounding
    with_own, with_pooled = np.where(has_own, of_means, 0.0), np.where(has_own, 0.0, of_means)
    by_own = with_own**2 / freedom
    return of_means, by_own[0] + by_own[1:] + (with_pooled[0] + with_pooled[1:]) ** 2 / freedom.sum()


def _largest_normals(covariance: np.ndarray) -> np.ndarray:
    """Draws of the largest of several correlated standard normal numbers."""
    spread = np.sqrt(np.maximum(np.diag(covariance), 1e-18))
    correlation = covariance / np.outer(spread, spread)
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    normals = np.random.default_rng(0).standard_normal((DRAWS, len(covariance)))
    return np.asarray(np.abs(normals @ root.T).max(axis=1))


def _largest_of_all(
    baselines: Sequence[np.ndarray], others: Sequence[np.ndarray], of_baselines: np.ndarray, of_others: np.ndarray
) -> np.ndarray:
    """Draws of the largest standardised difference between any of the settings and any of the baselines, all equally good.

    Args:
        baselines: correct `[clips, runs]` of each.
        others: the same of the settings.
        of_baselines: variance over seeds of each baseline's mean accuracy.
        of_others: the same of the settings.
    """
    means = np.stack([side.mean(axis=1) for side in (*baselines, *others)])
    of_clips = np.atleast_2d(np.cov(means)) / means.shape[1]
    covariance = of_clips + np.diag([*of_baselines, *of_others])
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    draws = np.random.default_rng(0).standard_normal((DRAWS, len(covariance))) @ root.T
    number, largest = len(baselines), np.zeros(DRAWS)
    spread = np.diag(covariance)
    for place in range(number):
        errors = np.sqrt(np.maximum(spread[place] + spread[number:] - 2 * covariance[place, number:], 1e-18))
        statistics = np.abs(draws[:, number:] - draws[:, [place]]) / errors
        largest = np.maximum(largest, statistics.max(axis=1))
    return largest


def _judged(difference: float, error: float, freedom: float, largest: np.ndarray | None) -> dict[str, float]:
    """A difference against its standard error; `largest` are draws of the largest normal number, None for a single setting."""
    if error == 0:  # the same predictions in every run
        quantiles, p_value = norm.ppf([(1 + LEVEL) / 2, LEVEL]), float(difference == 0)
    elif largest is None:
        quantiles, p_value = t.ppf([(1 + LEVEL) / 2, LEVEL], freedom), float(2 * t.sf(abs(difference) / error, freedom))
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
        "resolvable": (quantile + float(norm.ppf(POWER))) * error,
        "equivalence_low": difference - of_equivalence * error,
        "equivalence_high": difference + of_equivalence * error,
    }
