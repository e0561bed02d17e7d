"""Fabricated trials with known numbers, as frames."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.settings import comparable_settings
from study import names

NONE: Mapping[str, Any] = {}
CLASSES = ("Engine", "Fire", "Glass", "Rain")
TEST_CLIPS = 100
VAL_CLIPS = 40
HELD_OUT = 6  # validation clips of fine-tuning on clean clips


def accuracies(prefix: str, val: float, right: np.ndarray) -> dict[str, float]:
    """Metrics of an evaluation."""
    test = {"accuracy": right.mean(), "patch_weighted_accuracy": np.average(right, weights=patches_of_clips())}
    return {f"val.{prefix}accuracy": val} | {f"test.{prefix}{name}": share for name, share in test.items()}


def patches_of_clips() -> np.ndarray:
    return 1 + np.arange(TEST_CLIPS) % 3


def predictions_frame(right: np.ndarray, classes: Sequence[str] = CLASSES, others: Mapping[str, np.ndarray] = NONE) -> pd.DataFrame:
    """Content of a predictions file: validation clips, all right, and the test clips; a wrong answer is the next class.

    Between the rows of the headline stand those of kNN, right where the headline is wrong, which would change every result.
    """
    label = np.concatenate([np.zeros(VAL_CLIPS, int), np.arange(TEST_CLIPS) % len(classes)])
    is_right = np.concatenate([np.ones(VAL_CLIPS, bool), right])
    clips = pd.DataFrame({"split": ["val"] * VAL_CLIPS + ["test"] * TEST_CLIPS})
    clips["clip"] = [*(f"{clip}.wav" for clip in range(VAL_CLIPS)), *(f"{1000 + clip}.wav" for clip in range(TEST_CLIPS))]
    parts = []
    given = {name: np.concatenate([np.ones(VAL_CLIPS, bool), answers]) for name, answers in others.items()}
    for evaluation, answers in ({names.EVALUATION_KNN: ~is_right} | given | {names.EVALUATION_CLASSIFIER: is_right}).items():
        predicted = np.where(answers, label, (label + 1) % len(classes))
        part = clips.assign(label=np.take(classes, label), predicted=np.take(classes, predicted))
        part["patches"] = np.concatenate([np.full(VAL_CLIPS, 2), patches_of_clips()])
        for number, name in enumerate(classes):
            part[f"{names.PREDICTION_PROBABILITY_PREFIX}{name}"] = np.where(predicted == number, 0.7, 0.1)
        part.insert(0, names.PREDICTION_EVALUATION, evaluation)
        parts.append(part.iloc[VAL_CLIPS - HELD_OUT :] if evaluation == names.EVALUATION_FINETUNE_CLEAN else part)
    return pd.concat(parts).sort_index(kind="stable")


class FakeTrials:
    """The same trials as frames, without a store: `trials` and `predictions` as `analysis.records.runs` returns them."""

    def __init__(self) -> None:
        self._trials: list[dict[str, Any]] = []
        self._predictions: list[pd.DataFrame] = []

    def add(self, alpha: float, val: float, correct: int | Sequence[bool], mode: str = "supervised", **settings: Any) -> None:
        ssl = mode == "self-supervised"
        right = np.arange(TEST_CLIPS) < correct if isinstance(correct, int) else np.asarray(correct)
        run_id = f"run{len(self._trials):03d}"
        row = {
            "run_id": run_id,
            "study": "mine",
            "corpus": "FSDnoisy18k",
            "sweep": "grid",
            "trial_id": run_id,
            "outcome": names.FINISHED,
            "confirms": "",
            "changed_settings": False,
            "gpu_share": 0.0,
            "objective": names.VAL_ACCURACY,
            "start_time": len(self._trials),
            "mode": mode,
            "seed": 0,
            "data.subset": "noisy" if ssl else "all",
            "loss.alpha": alpha,
            "loss.margin": 0.5,
            "loss.temperature": 0.2 if ssl else np.nan,
            "optim.epochs": 3,
            **accuracies("", val, right),
            names.TEST_UNIFORMITY: -alpha if ssl else np.nan,
            names.TEST_TOLERANCE: 0.9 if ssl else np.nan,
        }
        self._trials.append(row | {name.replace("__", "."): value for name, value in settings.items()})
        headline = predictions_frame(right).query(f"evaluation == '{names.EVALUATION_CLASSIFIER}'")
        self._predictions.append(headline[["split", "clip", "label", "predicted", "patches"]].assign(run_id=run_id))

    @property
    def trials(self) -> pd.DataFrame:
        return pd.DataFrame(self._trials)

    @property
    def predictions(self) -> pd.DataFrame:
        return pd.concat(self._predictions, ignore_index=True)

    def settings(self) -> pd.DataFrame:
        settings, notes = comparable_settings(self.trials, self.predictions)
        assert not notes
        return settings
