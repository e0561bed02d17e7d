"""Studies simulated by what a verdict is made of: accuracies of runs, and the part of the clips that all runs share."""

from typing import NamedTuple

import numpy as np

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


def _luck(random: np.random.Generator, shape: tuple[int, int], law: str) -> np.ndarray:
    if law == "t3":
        return random.standard_t(3, shape) / np.sqrt(3)
    luck = random.standard_normal(shape)
    return luck if law == "normal" else luck / 2 - 10 * (random.random(shape) < 0.1)
