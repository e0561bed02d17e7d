"""Test results of simulated classifiers whose seeds, clips and settings vary as those of real ones do."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

CLIP_SD = 2.0  # how much clips differ in difficulty, against a run's own chance of 1: about 18 % of clips tell two runs apart
BOUND = 1.2  # of difficulty: about 70 % of the clips are right


def simulate_results(
    generator: np.random.Generator,
    settings: int,
    seeds: int,
    *,
    clips: int = 947,
    val_clips: int = 150,
    seed_sd: float = 0.15,
    gain: float = 0.0,
) -> tuple[pd.DataFrame, list[pd.DataFrame], int]:
    """Test results of a baseline and of `settings` others, by clip and seed, and which of them validation selects.

    A clip is right where difficulty, the run's luck (`seed_sd`; 0.15 are about 2 points of accuracy) and chance stay below a bound,
    which is `gain` higher for all settings but the baseline. The run's luck is the same on validation and test clips.
    """
    sides = Sides(1, settings, seeds)
    (baseline,), _, others, picked = simulate_selection(
        generator, sides, clips=clips, val_clips=val_clips, seed_sd=seed_sd, gain=gain
    )
    return baseline, others, picked


class Sides(NamedTuple):
    """How many baselines and other settings there are, and with how many seeds each."""

    baselines: int
    settings: int
    seeds: int


def simulate_selection(
    generator: np.random.Generator,
    sides: Sides,
    *,
    clips: int = 947,
    val_clips: int = 150,
    seed_sd: float = 0.15,
    gain: float = 0.0,
) -> tuple[list[pd.DataFrame], int, list[pd.DataFrame], int]:
    """The same with several baselines: baselines, which of them validation selects, others, which of them it picks."""
    number = sides.baselines + sides.settings
    difficulty = CLIP_SD * generator.normal(size=(1, 1, clips + val_clips))
    luck = seed_sd * generator.normal(size=(number, sides.seeds, 1))
    bound = BOUND + gain * (np.arange(number) >= sides.baselines)[:, None, None]
    right = difficulty + luck + generator.normal(size=(number, sides.seeds, clips + val_clips)) < bound
    validated = right[:, :, clips:].mean(axis=(1, 2))
    first, other = validated[: sides.baselines], validated[sides.baselines :]
    tables = [
        pd.DataFrame(each.T, index=[f"{clip}.wav" for clip in range(clips)], columns=range(sides.seeds))
        for each in right[:, :, :clips]
    ]
    return tables[: sides.baselines], int(first.argmax()), tables[sides.baselines :], int(other.argmax())


def expected_accuracy(gain: float, seed_sd: float = 0.15) -> float:
    """Expected accuracy of a setting."""
    return float(norm.cdf((BOUND + gain) / np.sqrt(1 + CLIP_SD**2 + seed_sd**2)))


class ClusteredTest(NamedTuple):
    """A test set whose clips come in clusters.

    Attributes:
        sizes: clips of each recording or fold.
        level: of the index, "recording" or "fold".
        correlation: intra-class correlation of the latent values of one recording's clips.
        training_effect: standard deviation (share) of what a setting gains or loses on the training clips of a fold.
        shared_effect: correlation of that between folds, whose training sets overlap.
    """

    sizes: tuple[int, ...]
    level: str = "recording"
    correlation: float = 0.5
    training_effect: float = 0.0
    shared_effect: float = 0.0


_DENSITY = 0.35  # of a standard normal number near the bound: that many points of accuracy for each unit


def simulate_clusters(
    generator: np.random.Generator, test: ClusteredTest, settings: int, seeds: int, seed_sd: float = 0.01
) -> list[pd.DataFrame]:
    """Test results of a baseline and some settings, all equally good (70 %), on clips that come in clusters.

    A latent value of variance 1 is made of the difficulty of a clip (0.6), what a setting has to do with it (0.15) and the chance
    of a run at it (0.25). Each of the three is shared by the clips of one recording to `correlation`.
    """
    cluster = np.repeat(np.arange(len(test.sizes)), test.sizes)
    of_recording = test.correlation if test.level == "recording" else 0.0

    def field(rows: int, variance: float) -> np.ndarray:
        shared = generator.standard_normal((rows, len(test.sizes)))[:, cluster]
        return np.sqrt(variance) * (
            np.sqrt(of_recording) * shared + np.sqrt(1 - of_recording) * generator.standard_normal((rows, len(cluster)))
        )

    difficulty = field(1, 0.6)
    index = pd.MultiIndex.from_arrays([cluster, np.arange(len(cluster))], names=[test.level, "clip"])
    sides = []
    for _ in range(settings + 1):
        effects = np.sqrt(1 - test.shared_effect) * generator.standard_normal(len(test.sizes))
        effects = (effects + np.sqrt(test.shared_effect) * generator.standard_normal()) * test.training_effect / _DENSITY
        luck = generator.standard_normal((seeds, 1)) * seed_sd / _DENSITY
        latent = difficulty + field(1, 0.15) + field(seeds, 0.25) + effects[cluster] + luck
        sides.append(pd.DataFrame((latent < norm.ppf(0.7)).T, index=index))
    return sides
