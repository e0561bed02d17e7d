"""Times of the parts of a run: steps of each stage, validation, final figures, and what is written to disk.

Nothing here trains by other code than a run: steps are those of the stages. Passes without gradients that would take too long are
made over a part of the patches and scaled; the kNN vote, which grows with the square of the patches, is timed on random embeddings.
"""

import itertools
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch

from acl import optim
from acl.config import Config, build_config
from acl.features import testing_patch_starts
from acl.metric_names import EVALUATION_CLASSIFIER, EVALUATION_KNN
from acl.patches.table import PatchTable, tabulate_patches
from acl.system.errors import CostError
from acl.system.memory import keep_freed_memory
from acl.system.processes import follow_parent
from acl.training.checkpoint import Checkpoints, copied
from acl.training.checkpoint_files import stage_file
from acl.training.classifier import ClassifierStage
from acl.training.cost import PROBE, RunCost, StageCost
from acl.training.loop import Course, FinishedStage
from acl.training.memory import PeakMemory, gpu_bytes
from acl.training.pretraining import PretrainingStage
from acl.training.scores import score
from acl.training.stage import Stage
from acl.training.supervised import SupervisedStage

_BESIDE = 3  # how much longer those measure that run beside


WARM_UP_STEPS = 2  # more on a GPU, which captures a step meanwhile
FEWEST_STEPS = 2  # that are timed, however long they take
FIRST_PART = 64  # patches of a pass that tells how large a part can be timed
KNN_PATCHES = 8192  # the vote among more patches is scaled
SAVING_SECONDS = 0.3  # for writing states


def time_run(config: Config, seconds: float, folder: Path) -> RunCost:
    """Cost of a run in this process; `folder` is where states are written."""
    stages: list[StageCost] = []
    rows = 0
    with PeakMemory() as memory:
        started = time.perf_counter()
        course = Course(config)
        checkpoints = Checkpoints(folder, config, course.store.metadata["content_sha256"])
        for stage in course.untrained_stages():
            if not stages:
                if isinstance(stage, PretrainingStage):
                    _ = stage.setup.standardise  # what the first step would wait for
                setup_seconds = _now(stage) - started
                splits = stage.splits
            limit = seconds / len(course.stage_names)
            stages += _time_stage(stage, limit, checkpoints)
            rows += _keep(stage, checkpoints)
    allocated, reserved = gpu_bytes()
    kept = sum(path.stat().st_size for path in folder.glob("stage-*"))
    return RunCost(
        stages=tuple(stages),
        start_seconds=0.0,  # whoever started the process knows
        setup_seconds=setup_seconds,
        memory_bytes=memory.peak_bytes,
        gpu_allocated_bytes=allocated,
        gpu_reserved_bytes=reserved,
        checkpoint_bytes=max(path.stat().st_size for path in folder.glob("checkpoint*")),
        kept_bytes=kept,
        prediction_rows=rows,
        classes=len(course.store.classes),
        val_clips=len(splits.val),
        test_clips=len(splits.test),
        test_recordings=len(set(course.store.group[splits.test].tolist())),
    )


def _time_stage(stage: Stage, limit: float, checkpoints: Checkpoints) -> list[StageCost]:
    step_seconds = _step_seconds(stage, limit / 2)
    if isinstance(stage, SupervisedStage):
        validation, final = _supervised_evaluations(stage, limit / 4)
    elif isinstance(stage, ClassifierStage):
        validation, final = _classifier_evaluations(stage, limit / 4)
    else:
        assert isinstance(stage, PretrainingStage)
        validation, final = _pretraining_evaluations(stage, limit / 6)
    validation += _saving_seconds(stage, checkpoints, stage.steps * step_seconds + validation)
    costs = [StageCost(stage.name, stage.epochs, stage.steps, step_seconds, validation, final)]
    if isinstance(stage, PretrainingStage) and stage.config.probe.protocol == "cached":
        costs.append(_probe(stage, limit / 6))
    return costs


def _step_seconds(stage: Stage, limit: float) -> float:
    """Mean time of a step of the optimiser, over whole passes if they are short."""
    steps = itertools.chain.from_iterable(stage.train_steps() for _ in itertools.count())
    for _ in range(WARM_UP_STEPS + (optim.WARM_UP_STEPS if stage.device.type == "cuda" else 0)):
        next(steps)
    started, taken = _now(stage), 0
    while taken < FEWEST_STEPS or _now(stage) - started < limit:
        next(steps)
        taken += 1
    return (_now(stage) - started) / taken


def _scaled_seconds(stage: Stage, run: Callable[[int], object], total: int, limit: float) -> float:
    """Time of `run(total)`, which handles its first `total` items; of fewer, and scaled, where all take longer than `limit`."""
    first = min(FIRST_PART, total)
    for _ in range(2):  # the first call is slower
        started = _now(stage)
        run(first)
        seconds = _now(stage) - started
    count = min(total, max(first, int(first * limit / seconds)))
    return _median_seconds(stage, lambda: run(count), limit) * total / count


def _median_seconds(stage: Stage, run: Callable[[], object], limit: float) -> float:
    """Of calls until `limit` is over, at least one; a median, since short calls suffer most from what else the machine does."""
    durations: list[float] = []
    while not durations or sum(durations) + min(durations) < limit:
        started = _now(stage)
        run()
        durations.append(_now(stage) - started)
    return statistics.median(durations)


def _supervised_evaluations(stage: SupervisedStage, limit: float) -> tuple[float, float]:
    test = tabulate_patches(stage.store, stage.splits.test, testing_patch_starts, "supervised")
    validation = _scaled_seconds(
        stage, lambda count: stage.evaluate(_first(stage.val, count), stage.splits.val), len(stage.val), limit
    )
    final = _scaled_seconds(stage, lambda count: stage.evaluate(_first(test, count), stage.splits.test), len(test), limit)
    return validation, validation + final


def _classifier_evaluations(stage: ClassifierStage, limit: float) -> tuple[float, float]:
    table, forward = stage.val_patches, stage.setup.forward
    validation = _scaled_seconds(stage, lambda count: forward(stage.model, _first(table, count)), len(table), limit)
    return validation, validation * (1 + len(stage.setup.test_patches) / len(table))


def _pretraining_evaluations(stage: PretrainingStage, limit: float) -> tuple[float, float]:
    setup, val, test = stage.setup, stage.setup.val_patches, stage.setup.test_patches
    per_patch = _scaled_seconds(stage, lambda count: stage.embed(_first(val, count)), len(val), limit) / len(val)
    val_vote, test_vote = (
        _vote_seconds(stage, clips, table, limit / 4) for clips, table in ((stage.splits.val, val), (stage.splits.test, test))
    )
    quality = 0.0
    for clips in (stage.splits.val, stage.splits.test):
        quality += _scaled_seconds(stage, partial(_quality, stage, clips), len(clips), limit / 2)
    patches = len(val) + len(test)
    final = per_patch * patches + val_vote + test_vote + quality
    if stage.config.probe.protocol == "cached":
        final += per_patch * (patches + len(setup.patches_of(stage.splits.train)))
    return per_patch * len(val) + val_vote, final


def _quality(stage: PretrainingStage, clips: np.ndarray, count: int) -> dict[str, float]:
    return stage.embedding_quality("val", clips[:count])


def _vote_seconds(stage: PretrainingStage, clips: np.ndarray, table: PatchTable, limit: float) -> float:
    """kNN among random embeddings; all patches are compared with all."""
    count = min(len(table), max(KNN_PATCHES, 2 * stage.config.knn.k))
    part = _first(table, count)
    z = torch.randn(count, stage.embed(_first(table, 2)).shape[1], device=stage.device)
    stage.knn_votes(z, clips, part)
    return _median_seconds(stage, lambda: stage.knn_votes(z, clips, part), limit) * (len(table) / count) ** 2


def _probe(stage: PretrainingStage, limit: float) -> StageCost:
    """The cached linear evaluation, on random embeddings of the real number; validation is part of its epochs."""
    config, train = stage.config.probe, stage.setup.patches_of(stage.splits.train)
    dimension = 8 * stage.config.model.width
    h_train, h_val = (torch.randn(len(table), dimension, device=stage.device) for table in (train, stage.setup.val_patches))

    def run(epochs: int) -> float:
        started = time.perf_counter()
        stage.train_probe(h_train, train, h_val, config.model_copy(update={"epochs": epochs}))
        return (time.perf_counter() - started) / epochs

    first = run(1)
    seconds = run(min(config.epochs, max(2, int(limit / first))))
    steps = -(-len(stage.splits.train) // config.batch_size)
    return StageCost(PROBE, config.epochs, steps, seconds / steps)


def _saving_seconds(stage: Stage, checkpoints: Checkpoints, epoch_seconds: float) -> float:
    """What an epoch waits for: a copy of the state is made, and written while the next epoch trains, which may end before it.

    The written file stays until the run is measured.
    """
    stage.best_weights = stage.copy_of_weights()
    file = f"checkpoint-{stage.name}.pt"
    copying = _median_seconds(stage, lambda: copied({"stage": stage.state()}), SAVING_SECONDS / 2)
    writing = _median_seconds(stage, lambda: checkpoints.save({"stage": stage.state()}, file), SAVING_SECONDS)
    return copying + max(0.0, writing - epoch_seconds)


def _keep(stage: Stage, checkpoints: Checkpoints) -> int:
    """Write what the finished stage would leave; number of its predictions."""
    if isinstance(stage, PretrainingStage):
        evaluations = [EVALUATION_KNN, *([EVALUATION_CLASSIFIER] if stage.config.probe.protocol == "cached" else [])]
        tables = (stage.setup.val_patches, stage.setup.test_patches)
    elif isinstance(stage, ClassifierStage):
        evaluations, tables = [stage.evaluation], (stage.val_patches, stage.setup.test_patches)
    else:
        assert isinstance(stage, SupervisedStage)
        test = tabulate_patches(stage.store, stage.splits.test, testing_patch_starts, "supervised")
        evaluations, tables = [EVALUATION_CLASSIFIER], (stage.val, test)
    rows = []
    for split, clips, table in zip(("val", "test"), (stage.splits.val, stage.splits.test), tables, strict=True):
        probabilities = torch.rand(len(clips), len(stage.store.classes), dtype=torch.float64)
        for evaluation in evaluations:
            rows += score(split, evaluation, stage.store, clips, probabilities, table).predictions
    checkpoints.save(FinishedStage(stage.copy_of_weights(), {}, {}, rows).to_dict(), stage_file(stage.name))
    return len(rows)


def _first(table: PatchTable, count: int) -> PatchTable:
    return PatchTable(table.first_frame[:count], table.clip[:count], table.clips)


def _now(stage: Stage) -> float:
    """The clock, once the device has done all that it was given."""
    if stage.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


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
