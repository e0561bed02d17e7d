"""What runs of both modes have in common: the course of an epoch, the selected epoch, the state of a checkpoint."""

import math
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from acl.store import FeatureStore
from acl.training.epoch_result import ClipPrediction, EpochResult


@dataclass(frozen=True)
class Validation:
    """What validation says about an epoch.

    Attributes:
        metrics: of this epoch.
        score: the epoch with the highest score is selected, the first among equals.
        selected_metrics: those that the record repeats as long as this epoch is the selected one.
    """

    metrics: dict[str, float]
    score: float
    selected_metrics: dict[str, float] = field(default_factory=dict)


class TrainingRun(ABC):
    """A run in progress. Subclasses set the attributes and say how an epoch trains, validates and is finally tested.

    Attributes:
        store: features of the corpus.
        model: everything that is trained.
        epochs: epochs that the run has.
        train_clips: number of training clips, for the throughput.
    """

    store: FeatureStore
    model: nn.Module
    optimiser: torch.optim.Optimizer
    scheduler: LRScheduler
    epochs: int
    train_clips: int

    def __init__(self) -> None:
        self.epoch = 0
        self.best_epoch = 0
        self.best_score = -math.inf
        self.best_metrics: dict[str, float] = {}
        self.best_weights: dict[str, Tensor] = {}

    @abstractmethod
    def train_epoch(self) -> dict[str, float]:
        """One pass over the training clips; mean losses."""

    @abstractmethod
    def validate_epoch(self) -> Validation:
        """Score the present weights, and step the learning-rate scheduler."""

    @abstractmethod
    def test(self) -> tuple[dict[str, float], list[ClipPrediction]]:
        """Final figures and predictions of the present weights."""

    def run_epoch(self) -> EpochResult:
        """Train and validate one epoch; the last one also tests the selected epoch's weights."""
        self.epoch += 1
        started = time.perf_counter()
        learning_rate = self.optimiser.param_groups[0]["lr"]
        metrics = self.train_epoch()
        train_seconds = time.perf_counter() - started
        validation = self.validate_epoch()
        if validation.score > self.best_score:
            self.best_epoch, self.best_score, self.best_metrics = self.epoch, validation.score, validation.selected_metrics
            self.best_weights = self._copy_of_weights()
        metrics |= validation.metrics | self.best_metrics
        predictions: list[ClipPrediction] = []
        if self.epoch == self.epochs and self.best_weights:  # a run that diverged at once has selected nothing
            last_weights = self._copy_of_weights()
            self.model.load_state_dict(self.best_weights)
            final_metrics, predictions = self.test()
            self.model.load_state_dict(last_weights)
            metrics |= {"best_epoch": float(self.best_epoch), **final_metrics}
        metrics["train.learning_rate"] = learning_rate
        metrics["train.clips_per_second"] = self.train_clips / train_seconds
        metrics["train.epoch_seconds"] = time.perf_counter() - started
        return EpochResult(self.epoch, self.epochs, metrics, predictions)

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs (random streams follow from the seed and the epoch); of a finished run, what it selected."""
        selected = {"epoch": self.epoch, "best_epoch": self.best_epoch, "best_weights": self.best_weights}
        if self.epoch == self.epochs:
            return selected
        return {
            **selected,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "best_score": self.best_score,
            "best_metrics": self.best_metrics,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from `state()`."""
        self.epoch = state["epoch"]
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.best_epoch = state["best_epoch"]
        self.best_score = state["best_score"]
        self.best_metrics = state["best_metrics"]
        self.best_weights = state["best_weights"]

    def _copy_of_weights(self) -> dict[str, Tensor]:
        return {name: weight.detach().clone() for name, weight in self.model.state_dict().items()}
