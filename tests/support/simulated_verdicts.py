"""Studies simulated by what a verdict is made of: accuracies of runs, and the part of the clips that all runs share."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t

from analysis.stats.claims import INTERIM
from analysis.stats.power import critical_values, standard_errors

NOISE, CLIP_VARIANCE = 0.1, 0.03  # two runs of one setting differ on 20 % of the clips; settings with many seeds a little


class Cell(NamedTuple):
    """One design.

    Attributes:
        settings: that are compared with the baseline.
        runs: seeds of the baseline and of each setting.
        seed_sd: standard deviation over seeds, share.
        wide: which side scatters three times as much: "", "baseline", or "setting" (the first one).
        law: of the seeds: "normal", "t3", or "collapse" (one seed in ten loses ten standard deviations).
        clips: of the test.
    """

    settings: int
    runs: tuple[int, int]
    seed_sd: float
    wide: str = ""
    law: str = "normal"
    clips: int = 947


def found(cell: Cell, studies: int, gain: float = 0.0, seed: int = 0) -> np.ndarray:
    """Whether each setting is called different, `[studies, settings]`; the first one is `gain` better."""
    random, number, clips = np.random.default_rng(seed), cell.settings, cell.clips
    sides = np.array([cell.runs[0], *[cell.runs[1]] * number])
    accuracies = []
    for place, runs in enumerate(sides):
        wide = cell.wide == ("baseline", "setting")[min(place, 1)] and place < 2
        luck = _luck(random, (studies, runs), cell.law) * cell.seed_sd * (3 if wide else 1)
        accuracies.append(luck + random.standard_normal((studies, runs)) * np.sqrt(NOISE / clips) + gain * (place == 1))
    of_clips = random.standard_normal((studies, number + 1)) * np.sqrt(CLIP_VARIANCE / 2 / clips)
    means = np.stack([each.mean(axis=1) for each in accuracies], axis=1) + of_clips
    over_seeds = np.stack([each.var(axis=1, ddof=1) for each in accuracies], axis=1)
    both = np.full(number, NOISE / clips * (1 / cell.runs[0] + 1 / cell.runs[1]))
    judged = standard_errors(over_seeds, sides, CLIP_VARIANCE / clips + both, both)
    statistics = np.abs(means[:, 1:] - means[:, :1]) / judged.errors
    return np.asarray(statistics > critical_values(number, judged.freedom))


def found_at_any_look(cell: Cell, looks: Sequence[int], planned: int, studies: int) -> tuple[float, float]:
    """Share of studies of equal settings that call one different at any of several looks: each at 5 %, and by the rule of `Look`.

    Args:
        cell: the design, of equal numbers of seeds; `runs` is replaced.
        looks: seeds of each side at each look.
        planned: place of the one look at 5 %.
        studies: that are simulated.
    """
    random, number, clips, most = np.random.default_rng(0), cell.settings, cell.clips, max(looks)
    accuracies = random.standard_normal((studies, number + 1, most)) * np.sqrt(cell.seed_sd**2 + NOISE / clips)
    of_clips = random.standard_normal((studies, number + 1)) * np.sqrt(CLIP_VARIANCE / 2 / clips)
    each_at_5, by_rule = np.zeros(studies, bool), np.zeros(studies, bool)
    for place, seeds in enumerate(looks):
        own, both = accuracies[:, :, :seeds], np.full(number, 2 * NOISE / clips / seeds)
        means, sides = own.mean(axis=2) + of_clips, np.full(number + 1, seeds)
        judged = standard_errors(own.var(axis=2, ddof=1), sides, CLIP_VARIANCE / clips + both, both)
        statistics = np.abs(means[:, 1:] - means[:, :1]) / judged.errors
        at_5 = (statistics > critical_values(number, judged.freedom)).any(axis=1)
        strict = (statistics > t.isf(INTERIM.level / 2 / number, judged.freedom)).any(axis=1)
        each_at_5 |= at_5
        by_rule |= at_5 if place == planned else strict
    return float(each_at_5.mean()), float(by_rule.mean())


def _luck(random: np.random.Generator, shape: tuple[int, int], law: str) -> np.ndarray:
    if law == "t3":
        return random.standard_t(3, shape) / np.sqrt(3)
    luck = random.standard_normal(shape)
    return luck if law == "normal" else luck / 2 - 10 * (random.random(shape) < 0.1)
