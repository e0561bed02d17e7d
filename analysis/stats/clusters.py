"""Test clips that are no independent sample: clips of one recording, and the folds of a cross-validation.

Clips that were cut from one recording tend to be right or wrong together, and all clips of a fold are predicted by models that
trained on the same clips. A variance that counts each clip for itself is too small there. Here the variance of a mean over clips is
that of leaving out one cluster at a time; with one clip a cluster it is the usual s² / N.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm, t

from analysis.formats import counted
from analysis.stats.power import fold_factor

FOLD, RECORDING, CLIP = "fold", "recording", "clip"  # levels of the index of correct clips; the first two where there are such
_Z = float(norm.ppf(0.975))


@dataclass(frozen=True)
class Clusters:
    """The clips of a test set by recording or by fold.

    Attributes:
        of_clip: `[N]` number of each clip's cluster, from 0; None where each clip is one of its own.
        clips: N.
        kind: `FOLD`, `RECORDING` or `CLIP`.
    """

    of_clip: np.ndarray | None
    clips: int
    kind: str = CLIP

    @property
    def sizes(self) -> np.ndarray:
        """`[G]` clips of each cluster."""
        return np.ones(self.clips) if self.of_clip is None else np.bincount(self.of_clip)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of a variance over clusters: Kish's effective number of clusters, (Σn)² / Σn², minus 1.

        Infinite where each clip is its own: there are many.
        """
        return math.inf if self.of_clip is None else max(1.0, float(self.clips**2 / (self.sizes**2).sum()) - 1)

    @property
    def factor(self) -> float:
        """By how much the variance is multiplied: `analysis.stats.power.fold_factor` for folds, 1 for recordings and clips."""
        return fold_factor(len(self.sizes)) if self.kind == FOLD and len(self.sizes) > 1 else 1.0

    @property
    def words(self) -> str:
        """The test set in words.

        >>> Clusters(np.array([0, 0, 1]), 3, RECORDING).words, Clusters(None, 3).words, Clusters(np.array([0, 0, 1]), 3, FOLD).words
        ('3 test clips of 2 recordings', '3 test clips', '3 test clips in 2 folds')
        """
        text = f"{counted(self.clips, 'test clip')}"
        if self.of_clip is None:
            return text
        return f"{text} {'in' if self.kind == FOLD else 'of'} {counted(len(self.sizes), self.kind)}"

    @property
    def least_variance(self) -> float:
        """Variance of a mean difference that is one clip, or one recording, lest identical predictions seem to leave no doubt."""
        return (len(self.sizes) if self.kind == RECORDING else self.clips) ** -2.0

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sums `[k, G]` over the clips of each cluster of `[k, N]` values."""
        if self.of_clip is None:
            return values
        return np.stack([np.bincount(self.of_clip, row, len(self.sizes)) for row in values])

    def covariance(self, values: np.ndarray) -> np.ndarray:
        """Covariance `[k, k]` of the means over clips of `[k, N]` values, by leaving out one cluster at a time (jackknife).

        With the sum S_g of the deviations from the mean over the n_g clips of a cluster, the mean moves by S_g / (N − n_g) when
        the cluster is left out, and the covariance is (G − 1)/G Σ_g S_g S'_g / (N − n_g)² (MacKinnon, Nielsen and Webb, Journal of
        Applied Econometrics 38 (2023) 671). A single cluster says nothing about others: the variances are 1.
        """
        sizes = self.sizes
        if len(sizes) < 2:
            return np.eye(len(values))
        if self.of_clip is None:
            return np.atleast_2d(np.cov(values)) / self.clips
        moved = self.sums(values - values.mean(axis=1, keepdims=True)) / (self.clips - sizes)
        return np.asarray(moved @ moved.T * (len(sizes) - 1) / len(sizes))


def clusters_of(index: pd.Index, *, by_fold: bool = False) -> Clusters:
    """Clusters of the clips that an index names.

    Args:
        index: of clips, with the levels `FOLD` and `RECORDING` where there are such.
        by_fold: whether other training sets are asked about, too; else folds are no clusters, as the models are fixed.
    """
    kind = next((name for name in (FOLD,) * by_fold + (RECORDING,) if name in index.names), CLIP)
    if kind == CLIP:
        return Clusters(None, len(index))
    codes, found = pd.factorize(index.get_level_values(kind))
    return Clusters(None, len(index)) if len(found) == len(index) else Clusters(codes, len(index), kind)


def independent_clips(correct: np.ndarray, clusters: Clusters, weights: np.ndarray | None = None) -> float:
    """How many independent clips would tell the accuracy as well as these do; their number where each is its own cluster.

    The variance V of the accuracy p over clusters is that of p(1 − p)/V independent clips; few clusters have a quantile of t
    instead of z, so that the number is p(1 − p)/V (z/t)² (Korn and Graubard, Survey Methodology 24 (1998) 193), at most that of the
    clips. Where all clips are right, or all wrong, it is the number of recordings.

    Args:
        correct: `[N]`, 0..1.
        clusters: of these clips.
        weights: `[N]` of the clips, e.g. their numbers of patches; of clips for themselves, the number is then Kish's (Σw)² / Σw².
    """
    weights = np.ones(len(correct)) if weights is None else weights
    kish = float(weights.sum() ** 2 / (weights**2).sum())
    if clusters.of_clip is None:
        return kish
    share = float(np.average(correct, weights=weights))
    weighted = (weights * (correct - share) / weights.mean())[None]
    of_clips = float(np.mean(weighted**2)) / len(correct)
    if of_clips <= 0 or len(clusters.sizes) < 2:  # nothing tells how alike they are
        return kish if clusters.kind == FOLD else float(min(kish, len(clusters.sizes)))
    of_clusters = float(clusters.covariance(weighted)[0, 0]) * clusters.factor
    smaller = (_Z / float(t.ppf(0.975, clusters.freedom))) ** 2
    return kish * smaller / max(of_clusters / of_clips, smaller)
