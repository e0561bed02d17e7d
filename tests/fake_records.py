"""Fabricated MLflow records with known numbers, written in the schema of `study.names`."""

import os

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when mlflow is imported

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from empty_store import with_store
from fake_trials import CLASSES, NONE, TEST_CLIPS, accuracies, predictions_frame
from study import names

START = 1_750_000_000_000  # ms
SSL_PARAMS: Mapping[str, Any] = {"loss.temperature": 0.2, "probe.protocol": "cached"}


class FakeRecords:
    """Writes launches and trials into a real store: a new SQLite file in `folder`, or where `server` keeps them."""

    def __init__(self, folder: Path, server: str | None = None) -> None:
        artifacts = None if server else (folder / "artifacts").as_uri()
        self.uri = server or f"sqlite:///{with_store(folder)}/mlflow.db"
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
