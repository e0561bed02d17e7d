"""Intervals and paired comparisons of classifiers that were tested on the same clips.

All intervals here are about the choice of test clips: another test set of the same size, the same trained models. How much
models trained with other seeds differ is a second source of variation, which these intervals do not contain; verdicts say so.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

LEVEL = 0.95


def wilson_interval(share: float, trials: float) -> tuple[float, float]:
    """Wilson score interval (95 %) of a share, e.g. of an accuracy.

    For a mean over several runs, `trials` stays the number of clips: more runs do not make more clips, and the interval is
    then somewhat too wide rather than too narrow.

    Args:
        share: 0..1.
        trials: clips, or their effective number if they are weighted.

    >>> [round(float(bound), 3) for bound in wilson_interval(0.736, 947)]
    [0.707, 0.763]
    """
    if math.isnan(share) or not trials > 0:
        return math.nan, math.nan
    low, high = proportion_confint(share * trials, trials, alpha=1 - LEVEL, method="wilson")
    return float(low), float(high)


def effective_clips(patches: pd.Series) -> float:
    """Kish's effective number of clips, (Σw)² / Σw², when each clip is weighted by its number of patches.

    >>> effective_clips(pd.Series([1, 1, 1, 1])), round(effective_clips(pd.Series([1, 1, 1, 9])), 2)
    (4.0, 1.71)
    """
    weights = patches.to_numpy(float)
    return float(weights.sum() ** 2 / (weights**2).sum())


@dataclass(frozen=True)
class PairedComparison:
    """A setting against the baseline on the same test clips; positive differences mean better than the baseline.

    Attributes:
        clips: test clips.
        difference: accuracy minus the baseline's, share.
        low: lower bound of its 95 % interval.
        high: upper bound.
        p_value: exact McNemar test, two-sided; NaN where either side is a mean over several seeds.
        seeds: seeds of the side that has fewer.
        candidates: settings among which validation picked this one.
    """

    clips: int
    difference: float
    low: float
    high: float
    p_value: float
    seeds: int
    candidates: int

    @property
    def distinguishable(self) -> bool:
        """Whether the interval excludes 0 and, where there is a test, it rejects at 5 %."""
        excludes_zero = self.low > 0 or self.high < 0
        return excludes_zero and not self.p_value >= 1 - LEVEL

    @property
    def verdict(self) -> str:
        """One plain line: the finding, how the setting was picked, what the interval leaves out."""
        if self.distinguishable:
            direction = "better" if self.difference > 0 else "worse"
            finding = f"{direction} than the baseline by {abs(self.difference) * 100:.1f} points on {self.clips} test clips"
        else:
            finding = f"not distinguishable from the baseline on {self.clips} test clips"
        picked = "the only candidate" if self.candidates == 1 else f"best of {self.candidates} on validation"
        if self.seeds == 1:
            return f"{finding}; {picked}; one seed, so seed noise is not covered"
        return f"{finding}; {picked}; means over seeds (at least {self.seeds}), the interval covers the test clips only"


def compare_paired(baseline: pd.DataFrame, other: pd.DataFrame, candidates: int) -> PairedComparison:
    """Difference in accuracy on the same clips, with Newcombe's paired score interval and McNemar's exact test.

    With Wilson intervals (l₁, u₁), (l₂, u₂) of the two accuracies p₁, p₂ and the correlation φ of the two sides over clips,

        low  = d − √((p₂−l₂)² − 2φ(p₂−l₂)(u₁−p₁) + (u₁−p₁)²),   d = p₂ − p₁,
        high = d + √((u₂−p₂)² − 2φ(u₂−p₂)(p₁−l₁) + (p₁−l₁)²),

    method 10 of Newcombe, Statistics in Medicine 17 (1998) 2635: a positive covariance is reduced by 1/(2·clips), at most to 0.

    Args:
        baseline: correct (bool) of one or several runs, clips as index, a column per run.
        other: the same for the setting that is compared with it.
        candidates: settings among which validation picked `other`.

    Raises:
        ValueError: the two sides were not tested on the same clips.
    """
    if baseline.isna().any(axis=None) or other.isna().any(axis=None) or set(baseline.index) != set(other.index):
        raise ValueError("the compared runs were tested on different clips; compare runs of one corpus")
    other = other.reindex(baseline.index)
    first, second = baseline.mean(axis=1).to_numpy(float), other.mean(axis=1).to_numpy(float)
    clips = len(first)
    low, high = _newcombe_interval(first, second)
    single = baseline.shape[1] == other.shape[1] == 1
    return PairedComparison(
        clips=clips,
        difference=float(second.mean() - first.mean()),
        low=low,
        high=high,
        p_value=_mcnemar_p(first > 0.5, second > 0.5) if single else math.nan,
        seeds=min(baseline.shape[1], other.shape[1]),
        candidates=candidates,
    )


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
