"""A stage of a run: epochs of training one model, of which validation selects one, whose weights are finally tested."""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from acl import metric_names as names
from acl.optim import TrainingStep, load_optimiser
from acl.store.feature_store import FeatureStore
from acl.system.errors import DivergedError
from acl.training.scores import Evaluation
from acl.training.splits import Splits

Weights = dict[str, Tensor]


def weights_of(weights: Weights, prefix: str) -> Weights:
    """Weights of one part of a model, under the names that they have within the part."""
    return {name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)}


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


class Stage(ABC):
    """A stage in progress. Subclasses set the attributes and say how a step trains, an epoch is validated and the end is tested.

    Attributes:
        name: of the stage; the first one's figures have no prefix.
        losses: names of the training figures, in the order in which `train_steps` yields them; the first is the whole loss.
        steps: optimiser steps of an epoch.
        prefix: between "train." and the name of a training figure.
        rate_setting: the setting to lower if the loss diverges.
        store: features of the corpus.
        splits: its training, validation and test clips.
        device: where it trains.
        model: everything that is trained, and what it needs to be used.
        step: a step of the optimiser.
        epochs: epochs that the stage has.
        train_clips: number of training clips, for the throughput.
    """

    name: str
    losses: tuple[str, ...] = ("loss",)
    prefix = ""
    rate_setting = "optim.lr"
    store: FeatureStore
    splits: Splits
    device: torch.device
    model: nn.Module
    optimiser: torch.optim.Optimizer
    step: TrainingStep
    scheduler: LRScheduler
    epochs: int
    steps: int
    train_clips: int

    def __init__(self) -> None:
        self.epoch = 0
        self.best_epoch = 0
        self.best_score = -math.inf
        self.best_metrics: dict[str, float] = {}
        self.best_weights: Weights = {}

    @abstractmethod
    def train_steps(self) -> Iterator[tuple[int, Tensor]]:
        """One pass over the training clips, a step of the optimiser at a time: the weight of the batch and its `losses` `[n]`."""

    @abstractmethod
    def validate_epoch(self) -> Validation:
        """Score the present weights, and step the learning-rate scheduler."""

    @abstractmethod
    def test(self) -> Evaluation:
        """Final figures and predictions of the present weights."""

    def run_epoch(self) -> dict[str, float]:
        """Train and validate one epoch.

        Raises:
            DivergedError: the loss became infinite or NaN.
        """
        self.epoch += 1
        started = time.perf_counter()
        learning_rate = self.optimiser.param_groups[0]["lr"]
        metrics = self._train_epoch()
        metrics[names.of_training(self.prefix, "learning_rate")] = learning_rate
        metrics[names.of_training(self.prefix, "clips_per_second")] = self.train_clips / (time.perf_counter() - started)
        loss = names.of_training(self.prefix, "loss")
        if not math.isfinite(metrics[loss]):
            raise DivergedError(f"{loss} is {metrics[loss]} in epoch {self.epoch}; lower {self.rate_setting}")
        validation = self.validate_epoch()
        if validation.score > self.best_score:
            self.best_epoch, self.best_score, self.best_metrics = self.epoch, validation.score, validation.selected_metrics
            self.best_weights = self.copy_of_weights()
        return metrics | validation.metrics | self.best_metrics

    def finish(self) -> Evaluation:
        """Load the selected epoch's weights and test them.

        Raises:
            DivergedError: no epoch could be scored.
        """
        if not self.best_weights:
            raise DivergedError(f"no epoch has a finite validation score; lower {self.rate_setting}")
        self.model.load_state_dict(self.best_weights)
        metrics, predictions = self.test()
        best_epoch = f"{names.BEST_EPOCH}.{self.name}" if self.prefix else names.BEST_EPOCH
        return Evaluation({best_epoch: float(self.best_epoch), **metrics}, predictions)

    def state(self) -> dict[str, Any]:
        """All that a resumed stage needs; random streams follow from the seed and the epoch."""
        return {
            "epoch": self.epoch,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "best_epoch": self.best_epoch,
            "best_score": self.best_score,
            "best_metrics": self.best_metrics,
            "best_weights": self.best_weights,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from `state()`."""
        self.epoch = state["epoch"]
        self.model.load_state_dict(state["model"])
        load_optimiser(self.optimiser, state["optimiser"])
        self.step.forget()
        self.scheduler.load_state_dict(state["scheduler"])
        self.best_epoch = state["best_epoch"]
        self.best_score = state["best_score"]
        self.best_metrics = state["best_metrics"]
        self.best_weights = state["best_weights"]

    def _train_epoch(self) -> dict[str, float]:
        """One pass over the training clips; mean losses."""
        sums, seen = torch.zeros(len(self.losses), device=self.device), 0
        for weight, losses in self.train_steps():
            sums += weight * losses
            seen += weight
        return {names.of_training(self.prefix, name): mean for name, mean in zip(self.losses, (sums / seen).tolist(), strict=True)}

    def copy_of_weights(self) -> Weights:
        """The present weights, as they are when training goes on."""
        return {name: weight.detach().clone() for name, weight in self.model.state_dict().items()}
