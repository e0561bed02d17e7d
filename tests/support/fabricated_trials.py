"""Fabricated trials with known numbers: as frames, and as MLflow records in the schema of `study.names`."""

import os

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when mlflow is imported

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from analysis.settings import comparable_settings
from study import names
from support.mlflow_records import with_empty_store

NONE: Mapping[str, Any] = {}
CLASSES = ("Engine", "Fire", "Glass", "Rain")
TEST_CLIPS = 100
VAL_CLIPS = 40
HELD_OUT = 6  # validation clips of fine-tuning on clean clips
START = 1_750_000_000_000  # ms
SSL_PARAMS: Mapping[str, Any] = {"loss.temperature": 0.2, "probe.protocol": "cached"}

# On the page of the fabricated quickstart, in their order
FIGURES = [
    "forest",
    "fig2",
    "fig3",
    "alpha",
    "plane",
    "confusion",
    "published",
    "search",
    "parallel",
    "importance",
    "curves",
    "stopped",
]


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


class FakeRecords:
    """Writes launches and trials into a real store: a new SQLite file in `folder`, or where `server` keeps them."""

    def __init__(self, folder: Path, server: str | None = None) -> None:
        artifacts = None if server else (folder / "artifacts").as_uri()
        self.uri = server or f"sqlite:///{with_empty_store(folder)}/mlflow.db"
        self.client = MlflowClient(self.uri)
        self.experiment = self.client.create_experiment(names.EXPERIMENT, artifact_location=artifacts)
        self.runs = 0
        self.studies: dict[str, str] = {}  # run of a study → its name

    def study(
        self,
        name: str,
        corpus: str = "FSDnoisy18k",
        synthetic: bool = False,
        departures: str = "supervised: optim.epochs 3 (recipe: 99)",
        question: str = "Does it help?",
        subsets: str = "all, noisy, noisy_small, clean",
    ) -> str:
        tags = {
            names.KIND: names.KIND_STUDY,
            names.STUDY: name,
            names.QUESTION: question,
            names.PAPER_FOUND: "Yes.",
            names.CORPUS: corpus,
            names.CORPUS_IS_SYNTHETIC: "true" if synthetic else "false",
            names.CORPUS_SUBSETS: subsets,
            names.PROFILE: "mini" if departures else "recipe",
            names.DEPARTURES: departures,
        }
        run_id = self._run(tags)
        self.studies[run_id] = name
        return run_id

    def trial(
        self,
        parent: str,
        *,
        alpha: float,
        val: float = 0.5,
        correct: int | Sequence[bool] = 50,
        mode: str = "supervised",
        outcome: str = names.FINISHED,
        seed: int = 0,
        sweep: str = "grid",
        classes: Sequence[str] = CLASSES,
        epochs: int = 3,
        others: Mapping[str, int] = NONE,
        **settings: Any,
    ) -> str:
        """One trial. `correct`, and by evaluation `others`: right test clips, or how many of the first; clip i: class i mod 4."""
        ssl = mode == "self-supervised"
        tags = {
            names.KIND: names.KIND_TRIAL,
            names.STUDY: self.studies[parent],
            names.STUDY_RUN: parent,
            names.SWEEP: sweep,
            names.TRIAL_ID: f"trial{self.runs:04d}",
            names.OBJECTIVE: names.VAL_KNN_ACCURACY if ssl else names.VAL_ACCURACY,
            names.OUTCOME: outcome,
        }
        params = {
            "mode": mode,
            "seed": seed,
            "data.root": "/corpus",
            "data.subset": "noisy" if ssl else "all",
            "loss.alpha": alpha,
            "loss.margin": 0.5,
            "optim.epochs": epochs,
            "optim.milestones": "[0.65, 0.85]",
            "compute.channels_last": False,
        }
        params |= dict(SSL_PARAMS if ssl else NONE) | {name.replace("__", "."): value for name, value in settings.items()}
        run_id = self._run(tags)
        right = np.arange(TEST_CLIPS) < correct if isinstance(correct, int) else np.asarray(correct)
        metrics = self._curves(ssl, val, epochs)
        if outcome == names.FINISHED:
            answers = {name: np.arange(TEST_CLIPS) < number for name, number in others.items()}
            metrics += self._final(ssl, val, right, answers, epochs)
            self.client.log_text(run_id, predictions_frame(right, classes, answers).to_csv(index=False), names.PREDICTIONS_FILE)
            self.client.log_text(run_id, json.dumps(params), names.CONFIG_FILE)
        self.client.log_batch(run_id, metrics=metrics, params=[Param(name, str(value)) for name, value in params.items()])
        self.client.set_terminated(run_id, "FINISHED")
        return run_id

    def _run(self, tags: dict[str, str]) -> str:
        self.runs += 1
        return str(self.client.create_run(self.experiment, start_time=START + 1000 * self.runs, tags=tags).info.run_id)

    @staticmethod
    def _curves(ssl: bool, val: float, epochs: int) -> list[Metric]:
        accuracies = (names.VAL_KNN_ACCURACY, names.VAL_EPOCH_KNN_ACCURACY) if ssl else (names.VAL_EPOCH_ACCURACY,)
        share = [(epoch, epoch / epochs) for epoch in range(1, epochs + 1)]
        losses = [Metric(names.TRAIN_LOSS, 2 - done, START, epoch) for epoch, done in share]
        return losses + [Metric(accuracy, val * done, START, epoch) for epoch, done in share for accuracy in accuracies]

    @staticmethod
    def _final(ssl: bool, val: float, right: np.ndarray, others: Mapping[str, np.ndarray], epochs: int) -> list[Metric]:
        values = {names.BEST_EPOCH: epochs, **accuracies("", val, right), names.TEST_MACRO_ACCURACY: right.mean()}
        for evaluation, answers in others.items():
            values |= accuracies(f"{evaluation}_", 1.0, answers)
        values |= {names.TEST_UNIFORMITY: -0.3, names.TEST_TOLERANCE: 0.9} if ssl else {}
        return [Metric(name, float(value), START, epochs) for name, value in values.items()]
