"""The course of a run: its stages one after the other, as one sequence of epochs."""

import time
from dataclasses import asdict
from typing import Any

from acl.config import Config, SupervisedConfig
from acl.store import FeatureStore
from acl.training.classifier import ClassifierStage
from acl.training.epoch_result import ClipPrediction, EpochResult
from acl.training.pretraining import PretrainingStage
from acl.training.self_supervised import SelfSupervisedSetup
from acl.training.stage import Stage, Weights
from acl.training.supervised import SupervisedStage


class Course:
    """A run in progress.

    A supervised run has one stage. A self-supervised one pre-trains; what is then trained on top of the selected encoder, patch by
    patch through it, are stages of their own: linear evaluation by the published protocol, and each fine-tuning.

    Attributes:
        store: features of the corpus.
        epochs: epochs of all stages.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.epochs = config.total_epochs
        self.epoch = 0
        self.weights: dict[str, Weights] = {}  # stage -> selected weights, of finished stages
        self._selected: dict[str, float] = {}  # validation figures of finished stages, repeated in each record
        self._figures: dict[str, float] = {}  # final figures of finished stages, for the last record
        self._predictions: list[ClipPrediction] = []
        self._setup: SelfSupervisedSetup | None = None
        if isinstance(config, SupervisedConfig):
            self._names = ["supervised"]
        else:
            self._setup = SelfSupervisedSetup(config)
            published = ["linear"] if config.probe.protocol == "published" else []
            self._names = ["pretraining", *published, *(f"finetune_{part}" for part in config.finetune.on)]
        self._stage: Stage | None = self._next_stage()
        self.store: FeatureStore = self._stage.store

    def run_epoch(self) -> EpochResult:
        """The next epoch's record; with a stage's last epoch its selected weights are tested, the last record holds all figures."""
        assert self._stage is not None, "the run is over"
        started = time.perf_counter()
        metrics = {**self._selected, **self._stage.run_epoch()}
        self.epoch += 1
        if self._stage.epoch == self._stage.epochs:
            figures, predictions = self._stage.finish()
            self.weights[self._names[len(self.weights)]] = self._stage.best_weights
            self._selected |= self._stage.best_metrics
            self._figures |= figures
            self._predictions += predictions
            self._stage = None if self.epoch == self.epochs else self._next_stage()
        if self.epoch < self.epochs:
            metrics["train.epoch_seconds"] = time.perf_counter() - started
            return EpochResult(self.epoch, self.epochs, metrics)
        metrics |= self._figures
        metrics["train.epoch_seconds"] = time.perf_counter() - started
        return EpochResult(self.epoch, self.epochs, metrics, self._predictions, self.store.classes)

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs; of a finished run, the weights that it selected."""
        state = {"epoch": self.epoch, "weights": self.weights}
        if self._stage is not None:
            state |= {
                "stage": self._stage.state(),
                "selected": self._selected,
                "figures": self._figures,
                "predictions": [asdict(row) for row in self._predictions],
            }
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from `state()` of an unfinished run."""
        self.epoch = state["epoch"]
        self._selected, self._figures = state["selected"], state["figures"]
        self._predictions = [ClipPrediction(**row) for row in state["predictions"]]
        if state["weights"]:
            self.weights = state["weights"]
            self._stage = self._next_stage()
        assert self._stage is not None
        self._stage.load_state(state["stage"])

    def _next_stage(self) -> Stage:
        name = self._names[len(self.weights)]
        if isinstance(self.config, SupervisedConfig):
            return SupervisedStage(self.config)
        assert self._setup is not None
        if name == "pretraining":
            return PretrainingStage(self._setup)
        return ClassifierStage(self._setup, name, self.weights["pretraining"])
