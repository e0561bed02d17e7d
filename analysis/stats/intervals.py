"""Intervals of accuracies, and paired comparisons of trained models that were tested on the same clips.

`wilson_interval` and `compare_paired` are about the choice of test clips: another test set of the same size, the same models. How
much models trained with other seeds differ is a second source of variation; `interval_over_seeds` and `analysis.stats.comparisons`
have both.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm, t
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from analysis.stats.clusters import Clusters, clusters_of
from analysis.stats.power import smallest_difference

LEVEL = 0.95
_Z = float(norm.ppf((1 + LEVEL) / 2))


def wilson_interval(share: float, trials: float) -> tuple[float, float]:
    """Wilson score interval (95 %) of a share, e.g. of an accuracy.

    With z the normal quantile and n the trials,

        (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n),

    formula 4 of Newcombe, Statistics in Medicine 17 (1998) 857.

    Args:
        share: 0..1.
        trials: clips, or their effective number if they are weighted.

    >>> [round(bound, 3) for bound in wilson_interval(0.736, 947)]
    [0.707, 0.763]
    """
    low, high = wilson_intervals(np.array([share]), np.array([trials]))
    return float(low[0]), float(high[0])


def wilson_intervals(shares: np.ndarray, trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`wilson_interval` of each share; NaN where the share is NaN or there are no trials."""
    number = np.where(trials > 0, trials, np.nan).astype(float)
    shrunk = shares + _Z**2 / (2 * number)
    # Rounding can push p(1 − p) of a share that is 1 up to the last digit below 0.
    half = _Z * np.sqrt(np.maximum(shares * (1 - shares), 0) / number + _Z**2 / (4 * number**2))
    return (shrunk - half) / (1 + _Z**2 / number), (shrunk + half) / (1 + _Z**2 / number)


def interval_over_seeds(shares: Iterable[float], trials: float) -> tuple[float, float]:
    """95 % interval of an accuracy over other seeds and other clips; of one run, Wilson's, which is about clips only.

    The mean p of n runs on N clips has two sources of variation, each with its own quantile: with the variance s² of the runs'
    accuracies and Student's t of n − 1 degrees of freedom, the half width is h² = t² s²/n + z² p(1 − p)/N. It is Wilson's interval
    with as many clips as would give that width, N' = z² p(1 − p)/h² (as Korn and Graubard, Survey Methodology 24 (1998) 193, do for
    clustered samples). One t for both, with Satterthwaite's degrees of freedom, covers 88 to 91 % with two seeds. The runs share
    their clips, so more runs never make it narrower than one run's.

    Args:
        shares: accuracy of each run, 0..1.
        trials: clips, or their effective number if they are weighted.

    >>> [round(bound, 3) for bound in interval_over_seeds([0.72, 0.75, 0.738], 947)]
    [0.687, 0.78]
    """
    values = np.asarray([*shares], float)
    variance = values.var(ddof=1) if len(values) > 1 else np.nan
    low, high = intervals_over_seeds(*(np.array([value]) for value in (values.mean(), variance, len(values), trials)))
    return float(low[0]), float(high[0])


def intervals_over_seeds(
    means: np.ndarray, variances: np.ndarray, runs: np.ndarray, trials: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`interval_over_seeds` of each mean of `runs` accuracies with the given variances (of one run: any)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        of_clips = means * (1 - means) / np.where(trials > 0, trials, np.nan)
        half = t.ppf((1 + LEVEL) / 2, runs - 1) ** 2 * variances / runs + _Z**2 * of_clips
        number = means * (1 - means) * _Z**2 / half
    return wilson_intervals(means, np.where((runs > 1) & (of_clips > 0), number, trials))


def intervals_of_means(means: pd.Series, variances: pd.Series, numbers: pd.Series) -> tuple[pd.Series, pd.Series]:
    """95 % intervals of the means of normal values with these variances and numbers: Student's; NaN where there is one value."""
    with np.errstate(divide="ignore", invalid="ignore"):
        half = t.ppf((1 + LEVEL) / 2, numbers - 1) * np.sqrt(variances / numbers)
    return means - half, means + half


def holm(p_values: Iterable[float]) -> list[float]:
    """P-values corrected for their number by Holm's method, Scandinavian Journal of Statistics 6 (1979) 65.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    return [float(value) for value in multipletests([*p_values], method="holm")[1]]


BETTER, WORSE, NOT_DISTINGUISHABLE = "better", "worse", "not distinguishable"


def finding(difference: float, p_value: float, level: float = 1 - LEVEL) -> str:
    """A difference in a word or two, at 5 % or another level.

    >>> finding(0.03, 0.01), finding(-0.03, 0.01), finding(0.03, 0.2)
    ('better', 'worse', 'not distinguishable')
    """
    if not p_value < level:
        return NOT_DISTINGUISHABLE
    return BETTER if difference > 0 else WORSE


@dataclass(frozen=True)
class PairedComparison:
    """Trained models against the baseline's on the same test clips; positive differences mean better than the baseline.

    Attributes:
        clusters: test clips, by recording.
        difference: accuracy minus the baseline's, share.
        low: lower bound of its 95 % interval.
        high: upper bound.
        p_value: two-sided; McNemar's exact test, and of means over several seeds the paired z-test over clips. Of clips of one
            recording, the t-test over recordings.
        seeds: seeds of the side that has fewer.
        discordance: share of clips on which exactly one of the two sides is right.
        independent: how many independent clips would tell the difference as well.
    """

    clusters: Clusters
    difference: float
    low: float
    high: float
    p_value: float
    seeds: int
    discordance: float
    independent: float

    @property
    def clips(self) -> int:
        """Test clips."""
        return self.clusters.clips

    @property
    def finding(self) -> str:
        """In a word or two: the interval excludes 0, and the test rejects at 5 %."""
        return finding(self.difference, self.p_value) if self.low > 0 or self.high < 0 else NOT_DISTINGUISHABLE

    @property
    def resolvable(self) -> float:
        """True difference of two such models that would be found on so many clips with a power of 80 %, share."""
        return smallest_difference(self.independent, max(self.discordance, 1 / self.independent))


def compare_paired(baseline: pd.DataFrame, other: pd.DataFrame) -> PairedComparison:
    """Difference in accuracy on the same clips, with Newcombe's paired score interval and McNemar's exact test.

    With Wilson intervals (l₁, u₁), (l₂, u₂) of the two accuracies p₁, p₂ and the correlation φ of the two sides over clips,

        low  = d − √((p₂−l₂)² − 2φ(p₂−l₂)(u₁−p₁) + (u₁−p₁)²),   d = p₂ − p₁,
        high = d + √((u₂−p₂)² − 2φ(u₂−p₂)(p₁−l₁) + (p₁−l₁)²),

    method 10 of Newcombe, Statistics in Medicine 17 (1998) 2635: a positive covariance is reduced by 1/(2·clips), at most to 0.
    Where several clips are of one recording, interval and p-value are those of d / √V with the variance V over recordings and
    Student's t, see `analysis.stats.clusters`.

    Args:
        baseline: correct (bool) of one or several runs, clips as index, a column per run.
        other: the same for the setting that is compared with it.

    Raises:
        ValueError: the two sides were not tested on the same clips.
    """
    first, second = baseline.mean(axis=1).to_numpy(float), aligned(baseline, other).mean(axis=1)
    clusters, difference = clusters_of(baseline.index), float(second.mean() - first.mean())
    independent = float(len(first))
    if clusters.of_clip is None:
        single = baseline.shape[1] == other.shape[1] == 1
        low, high = _newcombe_interval(first, second)
        p_value = _mcnemar_p(first > 0.5, second > 0.5) if single else _paired_p(second - first)
    else:
        deltas = second - first
        variance = max(float(clusters.covariance(deltas[None])[0, 0]), clusters.least_variance)
        half, error = float(t.ppf((1 + LEVEL) / 2, clusters.freedom)), math.sqrt(variance)
        low, high = difference - half * error, difference + half * error
        p_value = float(2 * t.sf(abs(difference) / error, clusters.freedom))
        of_clips = max(float(deltas.var()), 1 / len(first)) / variance
        independent = min(independent, of_clips * (_Z / half) ** 2)
    return PairedComparison(
        clusters=clusters,
        difference=difference,
        low=low,
        high=high,
        p_value=p_value,
        seeds=min(baseline.shape[1], other.shape[1]),
        discordance=float(np.mean(first * (1 - second) + second * (1 - first))),
        independent=max(1.0, independent),
    )


def aligned(baseline: pd.DataFrame, other: pd.DataFrame) -> np.ndarray:
    """Values of `other` with its clips in the order of the baseline's.

    Raises:
        ValueError: the two sides were not tested on the same clips.
    """
    same_order = baseline.index.equals(other.index)  # as a rule; to look up each clip would take most of a large report's time
    known = same_order or set(baseline.index) == set(other.index)
    if not known or baseline.isna().any(axis=None) or other.isna().any(axis=None):
        raise ValueError("the compared runs were tested on different clips; compare runs of one corpus")
    return (other if same_order else other.reindex(baseline.index)).to_numpy(float)


def _newcombe_interval(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    clips = len(first)
    p1, p2 = float(first.mean()), float(second.mean())
    l1, u1 = wilson_interval(p1, clips)
    l2, u2 = wilson_interval(p2, clips)
    covariance = float(np.mean(first * second)) - p1 * p2
    if covariance > 0:
        covariance = max(0.0, covariance - 1 / (2 * clips))
    # Over p(1-p), also for means over runs, whose variance over clips is smaller: this can only widen the interval.
    spread = math.sqrt(p1 * (1 - p1) * p2 * (1 - p2))
    phi = covariance / spread if spread > 0 else 0.0
    difference = p2 - p1
    below = (p2 - l2) ** 2 - 2 * phi * (p2 - l2) * (u1 - p1) + (u1 - p1) ** 2
    above = (u2 - p2) ** 2 - 2 * phi * (u2 - p2) * (p1 - l1) + (p1 - l1) ** 2
    return difference - math.sqrt(max(0.0, below)), difference + math.sqrt(max(0.0, above))


def _mcnemar_p(first: np.ndarray, second: np.ndarray) -> float:
    both, only_first = int((first & second).sum()), int((first & ~second).sum())
    only_second, neither = int((~first & second).sum()), int((~first & ~second).sum())
    return float(mcnemar([[both, only_first], [only_second, neither]], exact=True).pvalue)


def _paired_p(differences: np.ndarray) -> float:
    """Two-sided z-test of a mean difference of 0 over clips."""
    error = differences.std(ddof=1) / math.sqrt(len(differences))
    return float(2 * norm.sf(abs(differences.mean()) / error)) if error > 0 else float(differences.mean() == 0)
