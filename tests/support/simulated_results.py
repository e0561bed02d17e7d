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
