"""Checks of a comparison that reviewers ask for: macro accuracy, probability of being better, several data sets, equal budgets."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import norm, t

from analysis.stats.claims import PLANNED, Look
from analysis.stats.clusters import clusters_of
from analysis.stats.comparisons import compare_settings
from analysis.stats.intervals import LEVEL, aligned
from analysis.stats.power import MIN_SEEDS

MIN_RUNS = 4  # of each side, for an interval of the probability of being better


@dataclass(frozen=True)
class Difference:
    """A difference to the baseline, share, with its 95 % interval and two-sided p-value."""

    value: float
    low: float
    high: float
    p_value: float


def macro_difference(
    baseline: pd.DataFrame,
    candidates: Sequence[pd.DataFrame],
    picked: int,
    labels: pd.Series,
    rivals: Sequence[pd.DataFrame] = (),
) -> Difference:
    """Difference in macro accuracy, the mean of the class-wise accuracies.

    With n_c clips of class c, C classes and N clips, macro accuracy is the mean over clips of w x, where x says whether the clip
    was right and w = N / (C n_c). So it is compared as accuracy is: with three seeds a side over seeds and clips
    (`compare_settings`, corrected for the selection), else over clips alone.

    Args:
        baseline: correct (bool) by test clip (index) and run (columns).
        candidates: the same of all settings among which validation selected.
        picked: place of the one that it selected.
        labels: class by clip, with the index of `baseline`.
        rivals: the same of each other baseline among which validation selected this one.
    """
    weights = 1 / labels.map(labels.value_counts()).astype(float)
    weights *= len(weights) / weights.sum()
    first, *others = (side.mul(weights.reindex(side.index), axis=0) for side in (baseline, *candidates, *rivals))
    sides, rest = others[: len(candidates)], others[len(candidates) :]
    if min(baseline.shape[1], sides[picked].shape[1]) >= MIN_SEEDS:
        found = compare_settings(first, sides, rest)[picked]
        return Difference(found.difference, found.low, found.high, found.p_value)
    clusters = clusters_of(first.index)
    deltas = aligned(first, sides[picked]).mean(axis=1) - first.mean(axis=1).to_numpy()
    error = math.sqrt(max(float(clusters.covariance(deltas[None])[0, 0]), clusters.least_variance))
    freedom = max(1.0, min(clusters.freedom, len(deltas) - 1))
    half, value = float(t.ppf((1 + LEVEL) / 2, freedom)) * error, float(deltas.mean())
    if len(deltas) < 2:  # nothing is known of other clips
        return Difference(value, -1.0, 1.0, 1.0)
    return Difference(value, value - half, value + half, float(2 * t.sf(abs(value) / error, freedom)))


def probability_of_better(baseline: Sequence[float], other: Sequence[float]) -> tuple[float, float, float]:
    """Probability that a run of the setting is better than one of the baseline, with its 95 % interval; NaN with one run a side.

    It is the share θ of pairs of runs in which the setting's is better, ties by half (Mann-Whitney; "probability of outperforming":
    Bouthillier et al., MLSys 2021). The interval has the bounds at which (θ̂ − θ)² = z² V(θ) with

        V(θ) = θ(1 − θ)/(mn) (1 + N'(1 − θ)/(2 − θ) + N' θ/(1 + θ)),    N' = (m + n)/2 − 1,

    method 5 of Newcombe, Statistics in Medicine 25 (2006) 559. It is about other seeds on these clips. With three runs a side all
    of one side are the better ones in a tenth of all cases by chance, so that there is an interval from `MIN_RUNS` runs on. It is
    not corrected for the selection of this setting: the selected one of 9 equal settings misses 50 % in 9 % of studies.

    >>> [round(value, 2) for value in probability_of_better([0.70, 0.72, 0.71, 0.715], [0.73, 0.74, 0.718, 0.72])]
    [0.91, 0.48, 0.99]
    """
    first, second = np.asarray(baseline, float), np.asarray(other, float)
    m, n = len(first), len(second)
    if min(m, n) < 2 or not np.isfinite([*first, *second]).all():
        return math.nan, math.nan, math.nan
    difference = np.round(second[:, None] - first[None], 12)
    share = float((np.sign(difference) + 1).mean() / 2)
    mean_runs = (m + n) / 2 - 1

    def excess(theta: float) -> float:
        spread = 1 + mean_runs * (1 - theta) / (2 - theta) + mean_runs * theta / (1 + theta)
        return float((share - theta) ** 2 - norm.ppf((1 + LEVEL) / 2) ** 2 * theta * (1 - theta) / (m * n) * spread)

    if min(m, n) < MIN_RUNS:
        return share, math.nan, math.nan
    inside = min(max(share, 1e-9), 1 - 1e-9)
    low = 0.0 if share == 0 else float(brentq(excess, 0.0, inside))
    high = 1.0 if share == 1 else float(brentq(excess, inside, 1.0))
    return share, low, high


def data_sets_with_gain(differences: Sequence[float], p_values: Sequence[float], look: Look = PLANNED) -> int:
    """On how many data sets at least the setting is better, at half the level of `look` for all of them together.

    Half, as each verdict is two-sided: so no more data sets are counted than have a verdict of their own.

    Of n one-sided p-values in ascending order, "better on at least u data sets" has the p-value max_v≤u (n − v + 1) p_(v), which
    needs no independence: the subsets share their test clips (Bonferroni's partial conjunction, Dror et al., TACL 5 (2017) 471).

    Args:
        differences: of each data set.
        p_values: two-sided, corrected for the selection.
        look: at whose level it is said.

    >>> data_sets_with_gain([0.03, 0.02, 0.01, -0.01], [0.001, 0.01, 0.4, 0.6])
    2
    """
    one_sided = sorted(p / 2 if d > 0 else 1 - p / 2 for d, p in zip(differences, p_values, strict=True))
    number = len(one_sided)
    together = np.maximum.accumulate([(number - place) * p for place, p in enumerate(one_sided)])
    return int((together < look.level / 2).sum())


def expected_best(gains: Sequence[float], accuracies: Sequence[float], tried: int) -> float:
    """Expected test accuracy of the setting that validation selects if only `tried` of these settings are tried; exact.

    With the settings in descending order on validation, the i-th is selected with the probability C(k − i, m − 1)/C(k, m) (Dodge
    et al., EMNLP 2019).

    Args:
        gains: of each setting on validation.
        accuracies: of each setting on test.
        tried: m, at most all k of them.

    >>> expected_best([0.7, 0.6, 0.5], [0.8, 0.6, 0.1], 1), expected_best([0.7, 0.6, 0.5], [0.8, 0.6, 0.1], 3)
    (0.5, 0.8)
    """
    number = len(gains)
    order = np.argsort(-np.asarray(gains, float), kind="stable")
    chances = np.array([math.comb(number - place - 1, tried - 1) for place in range(number)]) / math.comb(number, tried)
    return float((chances * np.asarray(accuracies, float)[order]).sum())
