"""What a run costs on this machine: a few real steps of every stage, timed in a process of its own and extrapolated."""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from acl.config import Config, build_config, flatten
from acl.data.parallel import follow_parent
from acl.heap import keep_freed_memory

# Last parts of the names of settings that change what is learnt, but not what it costs.
_COSTLESS = {
    *("test_fold", "rate", "kind"),  # folds are about equally large
    *("seed", "alpha", "margin", "temperature", "angular_scale", "mix_back_max", "crop_area_min", "dropout"),
    *("lr", "momentum", "weight_decay", "milestones", "decay", "plateau_factor", "plateau_patience"),
}

_BESIDE = 3  # how much longer those measure that run beside


class CostError(RuntimeError):
    """A run cannot be measured here; the message is one line with the remedy."""


@dataclass(frozen=True)
class StageCost:
    """A stage of a run; the cached linear evaluation, which is no stage to `fit`, is one here, "probe".

    Attributes:
        name: of the stage.
        epochs: that it has.
        steps: of the optimiser in an epoch.
        step_seconds: mean of the measured steps; of "probe" its share of a whole epoch.
        validation_seconds: of an epoch: validation, and what it waits for the state to be kept.
        final_seconds: once: final figures of the selected weights.
    """

    name: str
    epochs: int
    steps: int
    step_seconds: float
    validation_seconds: float = 0.0
    final_seconds: float = 0.0

    @property
    def epoch_seconds(self) -> float:
        """Training and validation."""
        return self.steps * self.step_seconds + self.validation_seconds

    @property
    def seconds(self) -> float:
        """All epochs and the final figures."""
        return self.epochs * self.epoch_seconds + self.final_seconds


@dataclass(frozen=True)
class RunCost:
    """A run on its own cores or its GPU, beside as many others as it was measured with.

    Attributes:
        stages: in their order.
        start_seconds: of the process, until it has imported everything: what a worker takes before its first run.
        setup_seconds: before the first epoch: opening the features, their moments, models.
        memory_bytes: most that the process had of its own; pages of the feature store, which processes share, are not counted.
        gpu_allocated_bytes: most that tensors took on the GPU; 0 on a CPU.
        gpu_reserved_bytes: most that torch had taken from the GPU, which is what other processes cannot have.
        checkpoint_bytes: the state that is replaced after each epoch, of the stage where it is largest.
        kept_bytes: what a finished run leaves: selected weights and predictions of each stage, and the last record.
        prediction_rows: of the run's predictions, one per evaluation and clip.
        classes: of the corpus.
        val_clips: that select.
        test_clips: of the final figures.
    """

    stages: tuple[StageCost, ...]
    start_seconds: float
    setup_seconds: float
    memory_bytes: int
    gpu_allocated_bytes: int
    gpu_reserved_bytes: int
    checkpoint_bytes: int
    kept_bytes: int
    prediction_rows: int
    classes: int
    val_clips: int
    test_clips: int

    @property
    def seconds(self) -> float:
        """The whole run."""
        return self.setup_seconds + sum(stage.seconds for stage in self.stages)

    def seconds_stopped_after(self, epochs: int) -> float:
        """A run that is stopped after `epochs` of its first stage."""
        return self.setup_seconds + epochs * self.stages[0].epoch_seconds


def settings_that_cost(config: Config) -> dict[str, Any]:
    """The settings, by dotted name, that two runs must share to cost the same."""
    return {name: value for name, value in flatten(config).items() if name.rpartition(".")[2] not in _COSTLESS}


def measure_run(
    settings: Mapping[str, Any],
    *,
    cores: float,
    sees_gpu: bool,
    beside: int = 0,
    seconds: float = 8.0,
    folder: Path | None = None,
) -> RunCost:
    """Cost of a run, measured in a fresh process with real data in about `seconds`, and at least two steps of each stage.

    Args:
        settings: of the run, by dotted name.
        cores: CPUs of the run; torch takes as many threads as in a trial with so many.
        sees_gpu: whether the run may use a GPU.
        beside: further processes that do the same meanwhile: runs on cores of their own share caches and the memory's bandwidth.
        seconds: for all measurements; building models and the features' moments come on top.
        folder: on the disk where runs keep their state, for checkpoints that are written and removed.

    Raises:
        CostError: the run needs more memory than there is.
        StoreError, SplitError, DeviceError: as `fit`.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    _, nobody = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory(prefix=".measured-", dir=folder) as written:
        processes = []
        for number in range(1 + beside):
            place = Path(written, str(number))
            place.mkdir()
            # The others go on until the first has its answer.
            answer_to, limit = (sender, seconds) if number == 0 else (nobody, _BESIDE * seconds)
            arguments = (answer_to, dict(settings), cores, sees_gpu, limit, place, time.time())
            processes.append(context.Process(target=_send_cost, args=arguments))
            processes[-1].start()
        sender.close()  # the child has its own: if that ends without an answer, so does the pipe
        try:
            answer = receiver.recv()
        except EOFError:
            raise CostError(
                "measuring was ended from outside, most often for want of memory; use a smaller batch or a larger machine"
            ) from None
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.join()
    if isinstance(answer, RunCost):
        return answer
    raise answer


def _send_cost(
    sender: Connection, settings: dict[str, Any], cores: float, sees_gpu: bool, seconds: float, written: Path, begun: float
) -> None:
    """Runs in the process of its own, before anything asks for a GPU."""
    from acl.training.timing import time_run

    follow_parent()
    keep_freed_memory()  # as a trial does
    if not sees_gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if "OMP_NUM_THREADS" not in os.environ:  # as Ray does for a trial
        torch.set_num_threads(max(1, int(cores)))
    torch.optim.SGD([torch.zeros(1)])  # the first optimiser of a process imports for seconds
    start_seconds = time.time() - begun
    try:
        config = build_config(settings)
        sender.send(replace(time_run(config, seconds, written), start_seconds=start_seconds))
    except torch.OutOfMemoryError:
        remedy = "lower optim.batch_size or model.width, or set compute.precision to bf16"
        sender.send(CostError(f"a run with batches of {config.optim.batch_size} does not fit the memory of this GPU; {remedy}"))
    except Exception as error:
        sender.send(error)
