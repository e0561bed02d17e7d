"""Speed of trials at the paper's size: several on one device, their start in a worker, and whole epochs of a run.

    python benchmarks/paper_store.py FOLDER && PYTHONPATH=. python benchmarks/trial_speed.py FOLDER [packing] [start] [run]

On a CPU models are small: what counts there is the start.
"""

import multiprocessing
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from measuring import SECONDS, endless, now, print_sections
from training_speed import VARIANTS, settings, stage_of

from acl.config import build_config
from acl.provenance import append_provenance, describe_run
from acl.training import fit
from acl.training.checkpoint import Checkpoints
from acl.training.loop import Course
from acl.training.memory import own_bytes


def _packed(root: Path, share: float, ready: Any, go: Any, answers: Any) -> None:
    if torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(share)
    torch.set_num_threads(1)
    stage = stage_of(root, **VARIANTS["bf16, channels_last"])
    steps = endless(stage.train_steps)
    for _ in range(8):
        next(steps)
    now()
    ready.release()
    go.wait()
    taken, started = 0, now()
    while now() - started < 2 * SECONDS:
        for _ in range(20):
            next(steps)
        taken += 20
    answers.put((taken / (now() - started) / stage.steps, torch.cuda.max_memory_reserved() if torch.cuda.is_available() else 0))


def packing(root: Path) -> Iterator[dict[str, Any]]:
    """Epochs a second of all of several trials that share the device."""
    context = multiprocessing.get_context("spawn")
    for count in (1, 2, 4, 8) if torch.cuda.is_available() else (1, 2):
        ready, go, answers = context.Semaphore(0), context.Event(), context.Queue()
        trials = [context.Process(target=_packed, args=(root, 1 / count, ready, go, answers)) for _ in range(count)]
        for trial in trials:
            trial.start()
        for _ in trials:
            ready.acquire()
        go.set()
        rates, memory = zip(*(answers.get() for _ in trials), strict=True)
        for trial in trials:
            trial.join()
        yield {"trials": count, "epochs/s of all": sum(rates), "GiB each": max(memory) / 2**30}


def run(root: Path) -> Iterator[dict[str, Any]]:
    """Whole epochs of `fit`: training, validation, checkpoint."""
    config = build_config(settings(root, **VARIANTS["bf16, channels_last"], **{"optim.epochs": 16}))
    with tempfile.TemporaryDirectory() as folder:
        started = now()
        results = fit(config, Path(folder))
        durations, inside = [], []
        for result in results:
            durations.append(now() - started)
            inside.append(result.metrics["train.epoch_seconds"])
            started = now()
    seconds = statistics.median(durations[3:-1])
    yield {
        "variant": "fit",
        "epoch s": seconds,
        "of it training and validation": statistics.median(inside[3:-1]),
        "500 epochs s": 500 * seconds + durations[0] + durations[-1],
    }


def start(root: Path) -> Iterator[dict[str, Any]]:
    """From a trial's settings to the end of its first step: the first and further trials of a worker."""
    for trial in ("first", "second", "third"):
        before, started = own_bytes(), now()
        course = Course(build_config(settings(root, seed=len(trial))))
        with tempfile.TemporaryDirectory() as folder:
            files = Checkpoints(Path(folder), course.config, course.store.metadata["content_sha256"])
            with files.held():
                append_provenance(files.folder, describe_run(course.config, course.store, course.device))
                next(next(course.untrained_stages()).train_steps())
                yield {"trial": trial, "to first step s": now() - started, "memory it took GB": (own_bytes() - before) / 1e9}


SECTIONS = {each.__name__: each for each in (packing, start, run)}

if __name__ == "__main__":
    print_sections(SECTIONS, Path(sys.argv[1]), sys.argv[2:])
