"""Training: `fit(config)` yields one complete record per epoch."""

from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from acl.config import Config
from acl.provenance import describe_run
from acl.training.checkpoint import Checkpoints
from acl.training.checkpoint_files import CHECKPOINT_FILE, fitting, stage_file
from acl.training.course import Course, FinishedStage
from acl.training.epoch_result import ClipPrediction, EpochResult
from acl.training.stage import DivergedError

__all__ = ["ClipPrediction", "DivergedError", "EpochResult", "Population", "fit"]


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
