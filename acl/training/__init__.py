"""Training: `fit(config)` yields one complete record per epoch."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from acl.config import Config
from acl.training.checkpoint import load_checkpoint, save_checkpoint
from acl.training.course import Course
from acl.training.epoch_result import ClipPrediction, EpochResult
from acl.training.stage import DivergedError

__all__ = ["ClipPrediction", "DivergedError", "EpochResult", "fit"]


def fit(config: Config, checkpoints: Path | None = None) -> Iterator[EpochResult]:
    """Train as configured; yield a complete record after each epoch.

    With a folder for `checkpoints`, the state is saved there before each record is yielded, and a run that finds a checkpoint
    yields that record again, in case it was not received, and goes on behind it: the records are those that an uninterrupted run
    would give (bit for bit on the CPU with the same threads).

    Args:
        config: from `acl.config.build_config`.
        checkpoints: folder of this run's checkpoint; None keeps nothing.

    Raises:
        StoreError: the corpus has no complete feature store.
        SplitError: the corpus is too small for the split.
        CheckpointError: the checkpoint is damaged or belongs to other settings or another corpus.
        DeviceError: the configured device is missing.
        DivergedError: the loss became infinite or NaN.
    """
    course = Course(config)
    corpus = course.store.metadata["content_sha256"]
    state = load_checkpoint(checkpoints, config, corpus)
    if state is not None:
        yield EpochResult.from_dict(state["result"])
        if state["epoch"] == course.epochs:
            return
        course.load_state(state)
    while course.epoch < course.epochs:
        result = course.run_epoch()
        if checkpoints is not None:
            save_checkpoint(checkpoints, config, corpus, {**course.state(), "result": asdict(result)})
        yield result
