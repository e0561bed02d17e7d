"""A run: `fit` yields one complete record per epoch, of its stages one after the other."""

import time
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from acl import metric_names as names
from acl.config import Config, SupervisedConfig
from acl.provenance import describe_run
from acl.store.feature_store import FeatureStore
from acl.training.checkpoint import Checkpoints
from acl.training.checkpoint_files import CHECKPOINT_FILE, fitting, stage_file
from acl.training.classifier import ClassifierStage
from acl.training.epoch_result import ClipPrediction, EpochResult
from acl.training.memory import gpu_bytes, own_bytes
from acl.training.pretraining import PretrainingStage
from acl.training.self_supervised import SelfSupervisedSetup
from acl.training.stage import Stage, Weights
from acl.training.supervised import SupervisedStage


@dataclass(frozen=True)
class Population:
    """A run's part in population-based training.

    Attributes:
        copy_each: the checkpoint is kept after every so many epochs, for others to go on from.
        may_differ: settings that change within a run.
        source: copy of another run's checkpoint that this run goes on from, if it has not done so already.
    """

    copy_each: int
    may_differ: Collection[str]
    source: Path | None = None


@dataclass(frozen=True)
class FinishedStage:
    """What a stage leaves: its selected weights, and everything that was measured with them."""

    weights: Weights
    selected: dict[str, float]  # validation figures, repeated in all later records
    figures: dict[str, float]  # final figures
    predictions: list[ClipPrediction]

    def to_dict(self) -> dict[str, Any]:
        """Tensors, numbers and text only."""
        rows = [asdict(row) for row in self.predictions]
        return {"weights": self.weights, "selected": self.selected, "figures": self.figures, "predictions": rows}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "FinishedStage":
        """Inverse of `to_dict`."""
        rows = [ClipPrediction(**row) for row in content["predictions"]]
        return cls(content["weights"], content["selected"], content["figures"], rows)


class Course:
    """A run in progress.

    A supervised run has one stage. A self-supervised one pre-trains; what is then trained on top of the selected encoder, patch by
    patch through it, are stages of their own: linear evaluation by the published protocol, and each fine-tuning.

    Attributes:
        store: features of the corpus.
        device: where the run trains.
        stage_names: of all stages, in their order.
        epochs: epochs of all stages.
        epoch: the last one that has run.
        finished: stages that are over, by name.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.epochs = config.total_epochs
        self.epoch = 0
        self.finished: dict[str, FinishedStage] = {}
        self._setup: SelfSupervisedSetup | None = None
        if isinstance(config, SupervisedConfig):
            self.stage_names = ["supervised"]
        else:
            self._setup = SelfSupervisedSetup(config)
            published = ["linear"] if config.probe.protocol == "published" else []
            self.stage_names = ["pretraining", *published, *(f"finetune_{part}" for part in config.finetune.on)]
        self._stage: Stage | None = self._next_stage()
        self.store: FeatureStore = self._stage.store
        self.device: torch.device = self._stage.device

    def run_epoch(self) -> EpochResult:
        """The next epoch's record.

        With a stage's last epoch its selected weights are tested: that record has the final figures and the predictions of all
        stages so far, so that the last one has all.
        """
        assert self._stage is not None, "the run is over"
        started = time.perf_counter()
        result = self._run_epoch()
        # Not sampled by a thread, which would hang in its start where there is no memory for it.
        result.metrics[names.MEMORY_GB] = own_bytes() / 1e9
        if self.device.type == "cuda":
            result.metrics[names.GPU_MEMORY_GB] = gpu_bytes()[1] / 1e9
        result.metrics[names.EPOCH_SECONDS] = time.perf_counter() - started
        return result

    def _run_epoch(self) -> EpochResult:
        assert self._stage is not None
        name = self._stage.name
        metrics = self._stage.run_epoch()
        for done in self.finished.values():
            metrics |= done.selected
        self.epoch += 1
        predictions: list[ClipPrediction] = []
        if self._stage.epoch == self._stage.epochs:
            figures, rows = self._stage.finish()
            stage = FinishedStage(self._stage.best_weights, self._stage.best_metrics, figures, rows)
            self.finished[self._stage.name] = stage
            self._stage = None if self.epoch == self.epochs else self._next_stage()
            for done in self.finished.values():
                metrics |= done.figures
                predictions += done.predictions
        classes = self.store.classes if predictions else ()
        return EpochResult(self.epoch, self.epochs, metrics, predictions, name, classes)

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs besides its finished stages."""
        running = {} if self._stage is None else {"stage": self._stage.state()}
        return {"epoch": self.epoch, "finished": list(self.finished), **running}

    def load_state(self, state: dict[str, Any], finished_stage: Callable[[str], FinishedStage]) -> None:
        """Continue from `state()` of an unfinished run; `finished_stage` gives what a stage of that name has left."""
        self.epoch = state["epoch"]
        self.finished = {name: finished_stage(name) for name in state["finished"]}
        if self.finished:
            self._stage = self._next_stage()
        assert self._stage is not None
        self._stage.load_state(state["stage"])

    def untrained_stages(self) -> Iterator[Stage]:
        """Each stage before its first epoch, the later ones on an encoder as it is initialised: what a step costs is the same."""
        assert self._stage is not None
        yield self._stage
        pretrained = self._stage.copy_of_weights()
        for name in self.stage_names[1:]:
            yield self._build_stage(name, pretrained)

    def _next_stage(self) -> Stage:
        pretrained = self.finished["pretraining"].weights if self.finished else {}
        return self._build_stage(self.stage_names[len(self.finished)], pretrained)

    def _build_stage(self, name: str, pretrained: Weights) -> Stage:
        if isinstance(self.config, SupervisedConfig):
            return SupervisedStage(self.config)
        assert self._setup is not None
        if name == "pretraining":
            return PretrainingStage(self._setup)
        return ClassifierStage(self._setup, name, pretrained)


def fit(
    config: Config,
    checkpoints: Path | None = None,
    population: Population | None = None,
    kept: Callable[[Path], None] = lambda file: None,
) -> Generator[EpochResult, None, None]:
    """Train as configured; yield a complete record after each epoch.

    With a folder for `checkpoints`, the state after each epoch is saved there while the next one trains. A run that finds a
    checkpoint yields its record again, in case it was not received, and goes on behind it: the records are those that an
    uninterrupted run would give (bit for bit on the CPU with the same threads), of which those of the last two epochs may come a
    second time. The folder also says what trained the run, launch by launch.

    Args:
        config: from `acl.config.build_config`.
        checkpoints: folder of this run; None keeps nothing.
        population: makes the run, which then needs that folder, one of a population.
        kept: is called with each file of the run's state when it is whole, in the thread that wrote it; the run waits for it before
            it writes the next one.

    Raises:
        StoreError: the corpus has no complete feature store.
        SplitError: the corpus is too small for the split.
        CheckpointError: a checkpoint is damaged or belongs to other settings or another corpus, or another process trains the run.
        DeviceError: the configured device is missing.
        DivergedError: the loss became infinite or NaN.
    """
    course = Course(config)
    if checkpoints is None:
        while course.epoch < course.epochs:
            yield course.run_epoch()
        return
    files = Checkpoints(checkpoints, config, course.store.metadata["content_sha256"], kept)
    with files.held():
        if population is not None and population.source is not None:
            files.take_over(population.source, population.may_differ)
        for result in _continued(course, files):
            if population is not None and result.epoch % population.copy_each == 0:
                files.keep_copy(result.epoch)
            yield result


def _continued(course: Course, files: Checkpoints) -> Iterator[EpochResult]:
    """The records of a run that keeps its state, from the last one that it has."""
    if files.exists():
        state = files.load()
        with fitting(files.folder / CHECKPOINT_FILE):
            last, is_over = EpochResult.from_dict(state["result"]), state["epoch"] == course.epochs
            if not is_over:
                course.load_state(state, lambda name: FinishedStage.from_dict(files.load(stage_file(name))))
        yield last
        if is_over:
            return
    begins = {"from_epoch": course.epoch + 1, **describe_run(course.config, course.store, course.device)}
    files.keep_provenance(begins)
    while course.epoch < course.epochs:
        finished = len(course.finished)
        result = course.run_epoch()
        for name, stage in list(course.finished.items())[finished:]:
            files.save(stage.to_dict(), stage_file(name))
        files.save_meanwhile({**course.state(), "result": asdict(result)})
        if result.is_last:
            files.wait()
        yield result
