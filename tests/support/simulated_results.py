"""Test results of simulated classifiers whose seeds, clips and settings vary as those of real ones do."""

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
    """Test results of a baseline and of `settings` others, by clip and seed, and which of them validation picks.

    A clip is right where difficulty, the run's luck (`seed_sd`; 0.15 are about 2 points of accuracy) and chance stay below a bound,
    which is `gain` higher for all settings but the baseline. The run's luck is the same on validation and test clips.
    """
    difficulty = CLIP_SD * generator.normal(size=(1, 1, clips + val_clips))
    luck = seed_sd * generator.normal(size=(settings + 1, seeds, 1))
    bound = BOUND + gain * (np.arange(settings + 1) > 0)[:, None, None]
    right = difficulty + luck + generator.normal(size=(settings + 1, seeds, clips + val_clips)) < bound
    picked = int(right[1:, :, clips:].mean(axis=(1, 2)).argmax())
    tables = [
        pd.DataFrame(each.T, index=[f"{clip}.wav" for clip in range(clips)], columns=range(seeds)) for each in right[:, :, :clips]
    ]
    return tables[0], tables[1:], picked


def expected_accuracy(gain: float, seed_sd: float = 0.15) -> float:
    """Expected accuracy of a setting."""
    return float(norm.cdf((BOUND + gain) / np.sqrt(1 + CLIP_SD**2 + seed_sd**2)))
