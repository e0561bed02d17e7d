"""Statistical power: which differences a comparison of settings finds, before and after it runs.

`standard_errors` is the rule by which `analysis.stats.comparisons` judges; `detectable_difference` simulates that very rule.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.integrate import quad
from scipy.stats import chi2, norm, t

POWER = 0.8
LEVEL = 0.05  # two-sided
MIN_SEEDS = 3  # of each side of a claim about settings; with two no test holds its level where sides scatter unequally
# Share of test clips on which exactly one of two models is right. Independent errors would give 2a(1 - a), 0.33 to 0.42 at
# accuracies of 0.70 to 0.79; models of one architecture trained on the same clips mostly fail on the same ones.
DISCORDANCE = (0.10, 0.25)
# Share of these clips on which two runs of one setting differ, too: about 20 % of the clips where two settings differ on 25 %.
OF_RUNS = 0.8
# Standard deviation of a test accuracy over seeds: LOG.md has 0.01 to 0.06 for 12 epochs of self-supervised training, 0.04 for
# supervised training on clean clips, 0.065 for null-alpha on noisy_small.
SEED_SD = (0.01, 0.04)
MANY_CLUSTERS = 30  # recordings or folds; fewer tell little about how settings are correlated
_STUDIES = 4000  # that are simulated
_MOST_SIDES = 100  # whose variances are drawn; more settings change the critical value only
_KEPT_EQUAL, _KEPT_UNEQUAL = 0.95, 0.7  # of the degrees of freedom above 1, see standard_errors


class StandardErrors(NamedTuple):
    """Of the differences between each setting and the baseline; the last axis has the settings.

    Attributes:
        errors: √V.
        freedom: degrees of freedom of t.
        of_seeds: of each side, the baseline first, the variance of its mean over seeds.
        pooled: variance over seeds of a run, pooled over all sides.
    """

    errors: np.ndarray
    freedom: np.ndarray
    of_seeds: np.ndarray
    pooled: float | np.ndarray


def standard_errors(
    over_seeds: np.ndarray, runs: np.ndarray, of_clips: np.ndarray, both: np.ndarray, clip_freedom: float = math.inf
) -> StandardErrors:
    """Standard errors and degrees of freedom of settings against a baseline.

    A few seeds often lie close together by luck, and of many settings the largest gain is likely one of those. So s² of a side is
    its own variance, or that pooled over all sides where that is larger. The degrees of freedom are Satterthwaite's, n₀ − 1 of the
    baseline's variance even where it is pooled (all settings are compared with it), n − 1 of a setting's own, Σ(n − 1) over all
    other sides of a pooled one. They are a little too many where few seeds scatter unequally: 95 % of those above 1 are used, with
    unequal numbers of seeds 70 %. So calibrated, the test errs in at most 5 % over a wide grid of designs (LOG.md).

    Args:
        over_seeds: `[…, 1 + settings (+ other baselines)]`, variance of the runs' accuracies of each side; NaN: one run.
        runs: `[sides]`, number of runs.
        of_clips: `[settings]`, variance over clips of the mean difference, v / N.
        both: `[settings]`, what is in both of the others, (w_j / n_j + w_0 / n_0) / N.
        clip_freedom: degrees of freedom of `of_clips`: few where clips come from few recordings or folds.
    """
    free = np.maximum(runs - 1, 0)
    known = np.where(np.isnan(over_seeds), 0.0, over_seeds)
    pooled = (known * free).sum(axis=-1) / free.sum()
    wide = np.expand_dims(pooled, -1)
    of_seeds = np.maximum(known, wide) / runs
    has_own = known > wide * (1 + 1e-9)  # not by rounding
    number = of_clips.shape[-1]
    first, rest = of_seeds[..., :1], of_seeds[..., 1 : number + 1]
    own_free = np.where(has_own[..., 1 : number + 1], np.maximum(free[1 : number + 1], 1), free[1:].sum() or free[0])
    seeds = first + rest
    variances = np.maximum(seeds + of_clips - both, np.maximum(seeds, of_clips))
    satterthwaite = first**2 / free[0] + rest**2 / own_free + of_clips**2 / clip_freedom
    # A variance of few clusters that is small by chance must not raise the degrees of freedom: at most those of the clips.
    freedom = np.minimum(variances**2 / np.maximum(satterthwaite, 1e-30), clip_freedom)
    kept = np.where(runs[1 : number + 1] == runs[0], _KEPT_EQUAL, _KEPT_UNEQUAL)
    return StandardErrors(np.sqrt(variances), np.minimum(1 + kept * np.maximum(freedom - 1, 0), 1e6), of_seeds, pooled)


@dataclass(frozen=True)
class Design:
    """A comparison of one of several settings with a baseline.

    Attributes:
        clips: test clips.
        runs: seeds of the baseline and of the setting.
        candidates: settings among which validation selects.
        seed_variance: of the accuracies of a setting's runs, without the chance of single clips.
        noise: variance of a run at a clip.
        clip_variance: over clips, of the difference between two settings with many seeds; of clips of one recording, or of folds,
            as many times larger as they tell less than as many independent clips.
        baselines: baselines among which it selects, too.
        clip_freedom: degrees of freedom of the variance over clips.
    """

    clips: int
    runs: tuple[int, int]
    candidates: int
    seed_variance: float
    noise: float
    clip_variance: float
    baselines: int = 1
    clip_freedom: float = math.inf


def assumed_design(clips: int, seeds: int, candidates: int, seed_sd: float, discordance: float) -> Design:
    """The design of a study that has not run: `OF_RUNS` of the discordance of two models is between runs of one setting, too."""
    noise = OF_RUNS * discordance / 2
    return Design(clips, (seeds, seeds), candidates, seed_sd**2, noise, (1 - OF_RUNS) * discordance)


def over_folds(design: Design, folds: int) -> Design:
    """The design of pooled folds, with the variance of Nadeau and Bengio, see `analysis.stats.clusters.Clusters.factor`."""
    larger = fold_factor(folds)
    of_runs = design.noise * (1 / design.runs[0] + 1 / design.runs[1])
    return replace(design, clip_variance=larger * design.clip_variance + (larger - 1) * of_runs, clip_freedom=folds - 1)


def fold_factor(folds: int) -> float:
    """By how much the variance over K folds is multiplied as their training sets overlap: 1 + K / (K − 1).

    The training sets share most of their clips, so that the folds' differences are correlated by about 1 / K. The variance of their
    mean is (1 / K + n_test / n_train) s² (Nadeau and Bengio, Machine Learning 52 (2003) 239).
    """
    return 1 + folds / (folds - 1)


@lru_cache(maxsize=4096)
def detectable_difference(design: Design) -> float:
    """True difference that the comparison finds with a power of 80 %, share.

    `_STUDIES` studies are simulated by what the test is made of: accuracies of runs, whose variances are estimated from so few
    seeds, and the clips' part. With d and V of a study in which all settings are equal, and its critical value q, a true difference
    δ is found where d + δ > q √V. So the answer is the 80 % quantile of q √V − d.

    Raises:
        ValueError: fewer than `MIN_SEEDS` seeds of a side, with which nothing is claimed.
    """
    if min(design.runs) < MIN_SEEDS:
        raise ValueError(f"a claim about settings takes {MIN_SEEDS} seeds of each side, got {design.runs}")
    random, clips = np.random.default_rng(0), design.clips
    number = min(design.candidates, _MOST_SIDES)
    spread = math.sqrt(design.seed_variance + design.noise / clips)
    runs = np.array([design.runs[0], *[design.runs[1]] * number])
    means = random.standard_normal((_STUDIES, number + 1)) * spread / np.sqrt(runs)
    over_seeds = random.chisquare(np.broadcast_to(runs - 1, means.shape)) / (runs - 1) * spread**2
    means += random.standard_normal(means.shape) * math.sqrt(design.clip_variance / 2 / clips)
    both = np.full(number, design.noise / clips * (1 / design.runs[0] + 1 / design.runs[1]))
    of_clips = np.maximum(design.clip_variance / clips + both, 1 / clips**2)
    if math.isfinite(design.clip_freedom):  # few recordings or folds, whose variance is not well known
        of_clips = of_clips * random.chisquare(design.clip_freedom, (_STUDIES, 1)) / design.clip_freedom
    found = standard_errors(over_seeds, runs, of_clips, both, design.clip_freedom)
    pairs = design.candidates * design.baselines
    critical = critical_values(pairs, found.freedom[:, 0], independent=design.clip_freedom < MANY_CLUSTERS)
    return float(np.quantile(critical * found.errors[:, 0] - (means[:, 1] - means[:, 0]), POWER))


_FREEDOM = np.array([1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 15, 20, 30, 60, 200, 1e6])


def critical_values(number: int, freedom: np.ndarray, *, independent: bool = False) -> np.ndarray:
    """95 % quantile of the largest of several |t| that share a baseline, by degrees of freedom, interpolated over 1 / freedom.

    With `independent`, Bonferroni's bound, which needs no correlations.
    """
    if number == 1 or independent:
        return np.asarray(t.ppf(1 - LEVEL / 2 / number, freedom))
    return np.exp(np.interp(1 / np.maximum(freedom, 1), 1 / _FREEDOM[::-1], np.log(_quantiles(number))[::-1]))


@lru_cache(maxsize=256)
def _quantiles(number: int) -> np.ndarray:
    random = np.random.default_rng(1)
    baseline, largest = random.standard_normal(20_000), np.zeros(20_000)
    for _ in range(number):  # one at a time, as there can be thousands
        largest = np.maximum(largest, np.abs(random.standard_normal(20_000) - baseline))
    largest /= math.sqrt(2)
    place = random.random(len(largest))
    return np.array([np.quantile(largest / np.sqrt(chi2.ppf(place, each) / each), 1 - LEVEL) for each in _FREEDOM])


def smallest_difference(clips: float, discordance: float) -> float:
    """Difference of two trained models on the same clips that McNemar's test at 5 % finds with a power of 80 %; shares, 0..1.

    The smallest δ with n = (z₀.₉₇₅ √p + z₀.₈ √(p − δ²))² / δ² for n clips and discordance p (Connor, Biometrics 43 (1987) 207;
    Miettinen, Biometrics 24 (1968) 339).

    Args:
        clips: n; of clips of one recording, how many independent ones tell as much.
        discordance: p, share of clips on which exactly one side is right.

    Raises:
        ValueError: no clips, or a share outside 0..1.

    >>> round(smallest_difference(947, 0.15), 3)
    0.035
    """
    if clips < 1 or not 0 < discordance <= 1:
        raise ValueError(f"{clips} clips, discordance {discordance}: nothing to compare")
    z_level, z_power = norm.ppf(1 - LEVEL / 2), norm.ppf(POWER)
    variance = discordance / clips
    # The equation is (δ − a)² = b² (v − δ²/n) with a = z₀.₉₇₅ √v and b = z₀.₈, a quadratic in δ.
    shrink = 1 + z_power**2 / clips
    root = variance * shrink - z_level**2 * variance / clips
    return float((z_level * math.sqrt(variance) + z_power * math.sqrt(max(0.0, root))) / shrink)


def expected_maximum(count: int) -> float:
    """Expected largest of `count` independent standard normal numbers, E = ∫₀^∞ 1 − Φᵏ(x) dx − ∫₋∞⁰ Φᵏ(x) dx.

    >>> round(expected_maximum(2), 4), round(expected_maximum(10), 4)
    (0.5642, 1.5388)
    """
    above = quad(lambda x: 1 - norm.cdf(x) ** count, 0, math.inf)[0]
    below = quad(lambda x: norm.cdf(x) ** count, -math.inf, 0)[0]
    return float(above - below)


def luck_of_the_best(candidates: int, clips: int, discordance: float, seeds: int = 1, seed_sd: float = 0.0) -> float:
    """How far the best of equal candidates lies above their mean on the clips that selected it, by chance alone; a share.

    The noise of one candidate against the others is √((p_r / s + p_c) / (2n) + σ²/s) for n clips, s seeds that scatter by σ, and
    the discordance p, of which p_r = `OF_RUNS` p is between runs of one setting and p_c the rest.
    """
    of_runs = OF_RUNS * discordance
    noise = math.sqrt((of_runs / seeds + discordance - of_runs) / (2 * clips) + seed_sd**2 / seeds)
    return expected_maximum(candidates) * noise


@dataclass(frozen=True)
class Power:
    """What a sweep can find out.

    Attributes:
        test_clips: of the final figures.
        val_clips: that select the setting.
        seeds: of each setting.
        candidates: settings of which one is selected.
        recordings: that the test clips were cut from; 0 where each is of its own. How alike clips of one are is not known before:
            at the better end of the assumptions all clips count, at the worse end only the recordings.
        folds: over which the test clips are pooled; 1 without folds.
        seed_sd: range of the standard deviation over seeds.
    """

    test_clips: int
    val_clips: int
    seeds: int
    candidates: int
    recordings: int = 0
    folds: int = 1
    seed_sd: tuple[float, float] = SEED_SD

    @property
    def has_recordings(self) -> bool:
        """Whether several test clips are of one recording."""
        return 0 < self.recordings < self.test_clips

    @property
    def models(self) -> list[float] | None:
        """Least and largest difference between two trained models that could be detected, over `DISCORDANCE`.

        A difference is no larger than the discordance. None where no difference could be detected on so few clips.
        """
        ends = zip(self._clips, DISCORDANCE, strict=True)
        found = [(smallest_difference(clips, share), share) for clips, share in ends]
        possible = [least for least, share in found if least < share]
        return [min(possible), max(possible)] if possible else None

    @property
    def settings(self) -> list[float] | None:
        """Differences between settings that could be detected, at either end of the assumptions; None with too few seeds or clips.

        One of the candidates is the baseline.
        """
        if self.seeds < MIN_SEEDS:
            return None
        ends = zip(self._clips, DISCORDANCE, self.seed_sd, strict=True)
        others = max(1, self.candidates - 1)
        designs = [assumed_design(clips, self.seeds, others, sd, share) for clips, share, sd in ends]
        if self.folds > 1:
            designs = [over_folds(design, self.folds) for design in designs]
        elif self.has_recordings:
            designs = [replace(design, clip_freedom=max(1, self.recordings - 1)) for design in designs]
        found = [detectable_difference(design) for design in designs]
        return found if max(found) < 1 else None

    @property
    def _clips(self) -> tuple[int, int]:
        return self.test_clips, self.recordings if self.has_recordings else self.test_clips

    @property
    def sentences(self) -> list[str]:
        """In plain words, under the stated assumptions."""
        seeds = "1 seed" if self.seeds == 1 else f"{self.seeds} seeds"
        models, settings = self.models, self.settings
        clips = f"{self.test_clips} test clips" + (f" of {self.recordings} recordings" if self.has_recordings else "")
        clips += f" in {self.folds} folds" if self.folds > 1 else ""
        if models is None:
            lines = [f"{clips}, {seeds}: too few clips to tell two trained models apart."]
        else:
            lines = [
                f"{clips}, {seeds}: two trained models that differ on {_percent(DISCORDANCE)} % of the clips "
                f"can be told apart from a difference of {_points(models)} points on (power 80 %)."
            ]
        if self.seeds < MIN_SEEDS:
            lines.append(
                f"With {seeds} nothing can be said about settings. A claim about settings takes {MIN_SEEDS} seeds or more."
            )
        elif settings is None:
            few = "folds" if self.folds > 1 else "clips"
            lines.append(f"With so few {few} no difference between settings could be detected.")
        else:
            number = f", corrected for {self.candidates - 1} settings" if self.candidates > 2 else ""
            lines.append(
                f"Settings can be told apart from a true difference of {_points(settings)} points on{number}, if seeds of one "
                f"setting scatter by {_percent(self.seed_sd)} points (SD)."
            )
        if self.has_recordings:
            lines.append("These ranges reach from clips that are all independent to clips of one recording that are all alike.")
        if self.candidates > 1:
            luck = [
                luck_of_the_best(self.candidates, self.val_clips, share, self.seeds, sd)
                for share, sd in zip(DISCORDANCE, self.seed_sd, strict=True)
            ]
            lines.append(
                f"The best of {self.candidates} settings that do not differ lies {_points(luck)} points above their mean on the "
                f"{self.val_clips} validation clips, by chance alone."
            )
        return lines


def _points(ends: list[float]) -> str:
    low, high = (f"{100 * end:.1f}" for end in ends)
    return low if low == high else f"{low} to {high}"


def _percent(ends: tuple[float, float]) -> str:
    low, high = (f"{100 * end:g}" for end in ends)
    return low if low == high else f"{low} to {high}"
