"""Speed of pre-training at the paper's size, against the plain way and against the device's limits, side by side in one run.

    python benchmarks/paper_store.py FOLDER && PYTHONPATH=. python benchmarks/training_speed.py FOLDER [SECTION ...]

Sections: limits, epoch, reference, validation, probe, supervised; by default all. Made for a GPU; on a CPU give a small store, for
example SHARE 0.02. Whole trials: trial_speed.py.
"""

import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from measuring import SECONDS, endless, now, print_sections, seconds_a_step
from plain_reference import PlainStep, PlainViews, knn_clip_by_clip, loader

from acl.config import build_config
from acl.models import ProjectionHead, ResNet18
from acl.optim import TrainingStep
from acl.patches.reader import PatchReader
from acl.training.pretraining import PretrainingStage
from acl.training.self_supervised import SelfSupervisedSetup
from acl.training.supervised import SupervisedStage

FLOP_PER_EPOCH = 70e12  # convolutions of pre-training on 15 813 clips: two views, forward and backward
SMALL = {"optim.batch_size": 32, "model.width": 8, "knn.k": 20}  # on a CPU
VARIANTS: dict[str, dict[str, Any]] = {
    "float32": {"compute.precision": "fp32", "compute.channels_last": False},
    "float32, channels_last": {"compute.precision": "fp32", "compute.channels_last": True},
    "bf16, channels_last": {"compute.precision": "bf16", "compute.channels_last": True},
}
KNN_CLIPS = 200  # validation clips of the clip-by-clip way, whose time is scaled


def settings(root: Path, **more: Any) -> dict[str, Any]:
    """Of the paper's pre-training, or of a small one on a CPU."""
    small = {} if torch.cuda.is_available() else SMALL
    return {"mode": "self-supervised", "data.root": str(root), **small, **more}


def stage_of(root: Path, capture: bool = True, **more: Any) -> PretrainingStage:
    """Pre-training, ready for its first step."""
    stage = PretrainingStage(SelfSupervisedSetup(build_config(settings(root, **more))))  # type: ignore[arg-type]
    stage.step = TrainingStep(stage.optimiser, stage.device, capture)
    return stage


def limits(root: Path) -> Iterator[dict[str, Any]]:
    """What the device does at best: copies, and products of bf16 matrices."""
    if not torch.cuda.is_available():
        return
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    seconds = seconds_a_step((a @ b for _ in itertools.count()), 1.0)
    source = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    copying = seconds_a_step((source.clone() for _ in itertools.count()), 1.0)
    yield {"bf16 TFLOP/s": 2 * 8192**3 / seconds / 1e12, "copy TB/s": 2 * source.numel() / copying / 1e12}


def epoch(root: Path) -> Iterator[dict[str, Any]]:
    """Training part of an epoch, by precision, memory format and capture."""
    variants = [(name, compute, False) for name, compute in VARIANTS.items()]
    if torch.cuda.is_available():
        variants += [(f"{name}, captured", compute, True) for name, compute in VARIANTS.items()]
        _ = stage_of(root).setup.standardise  # a worker's first trial waits for it
    for name, compute, capture in variants:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        started = now()
        stage = stage_of(root, capture, **compute)
        steps = endless(stage.train_steps)
        next(steps)
        first = now() - started
        seconds = seconds_a_step(steps) * stage.steps
        yield {
            "variant": name,
            "to first step s": first,
            "epoch s": seconds,
            "TFLOP/s": FLOP_PER_EPOCH * stage.train_clips / 15_813 / seconds / 1e12,
            "GiB": torch.cuda.max_memory_reserved() / 2**30 if torch.cuda.is_available() else 0.0,
        }
    yield from _parts(stage)


def _parts(stage: PretrainingStage) -> Iterator[dict[str, Any]]:
    """Views alone, and the same epoch with streamed features."""
    config = stage.config

    def pairs() -> Iterator[object]:
        order = torch.randperm(stage.train_clips)
        return stage.views.pairs(order, config.optim.batch_size, torch.Generator(), torch.Generator(stage.device))

    views = seconds_a_step(endless(pairs), 2.0)
    yield {"variant": "views alone", "epoch s": views * stage.steps, "views/s": 2 * config.optim.batch_size / views}
    if stage.device.type == "cuda":
        stage.views._reader = PatchReader(stage.store, 101, stage.device, resident=False)
        yield {
            "variant": "the last variant, streamed",
            "epoch s": seconds_a_step(endless(stage.train_steps)) * stage.steps,
        }


def reference(root: Path) -> Iterator[dict[str, Any]]:
    """The same epoch with per-sample views in a DataLoader and plain steps."""
    stage = stage_of(root, False, **VARIANTS["float32"])
    standardise = stage.setup.standardise
    views = PlainViews(stage.store, stage.setup.pretraining_clips, float(standardise.mean), float(standardise.std))
    width, drawn = stage.config.model.width, torch.Generator()
    step = PlainStep(ResNet18(width, generator=drawn), ProjectionHead(8 * width, generator=drawn), stage.device)
    workers = min(16, os.cpu_count() or 1)
    batches = loader(views, stage.config.optim.batch_size, workers)
    steps = (step(*batch) for batch in itertools.chain.from_iterable(batches for _ in itertools.count()))
    seconds = seconds_a_step(steps, 2 * SECONDS, warm_up=20)
    yield {"variant": f"DataLoader, {workers} workers, float32", "epoch s": seconds * stage.steps}


def validation(root: Path) -> Iterator[dict[str, Any]]:
    """Embedding and kNN of the validation clips, and clip by clip (a part, scaled; the bank is whole)."""
    for name, compute in VARIANTS.items():
        stage = stage_of(root, **compute)
        _ = stage.setup.standardise
        table = stage.setup.val_patches
        embedding = seconds_a_step((stage.embed(table) for _ in itertools.count()), 1.0, warm_up=2)
        z = stage.embed(table)
        vote = seconds_a_step((stage.knn_votes(z, stage.splits.val, table) for _ in itertools.count()), 1.0, warm_up=2)
        yield {"variant": name, "patches": len(table), "embedding s": embedding, "kNN s": vote}
    stage = stage_of(root, **VARIANTS["float32"])
    stage.model.eval()
    clips = stage.splits.val[:KNN_CLIPS]
    table = stage.setup.patches_of(clips)
    k = min(stage.config.knn.k, len(table) - int(table.patches_per_clip.max()))

    def embed(patches: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(stage.head(stage.encoder(stage.setup.standardise(patches))))

    knn_clip_by_clip(stage.store, clips[:20], stage.setup.patches_of(clips[:20]), embed, stage.device, 5)
    started = now()
    answers = knn_clip_by_clip(stage.store, clips, table, embed, stage.device, k)
    seconds = (now() - started) * len(stage.splits.val) / len(clips)
    ours = stage.knn_votes(stage.embed(table), clips, table).argmax(1).tolist() if k == stage.config.knn.k else answers
    same = sum(a == b for a, b in zip(answers, ours, strict=True)) / len(ours)
    yield {"variant": "clip by clip, forwarded twice", "embedding and kNN s": seconds, "same answers": same}


def probe(root: Path) -> Iterator[dict[str, Any]]:
    """Linear evaluation on cached embeddings: 200 epochs."""
    stage = stage_of(root, **VARIANTS["bf16, channels_last"])
    _ = stage.setup.standardise
    started = now()
    stage.best_weights = stage.copy_of_weights()
    stage._linear_evaluation()
    yield {"variant": f"linear evaluation, {stage.config.probe.epochs} epochs", "s": now() - started}


def supervised(root: Path) -> Iterator[dict[str, Any]]:
    """Training and validation of the supervised recipe on all training clips."""
    for (name, compute), capture in itertools.product(VARIANTS.items(), (False, True)):
        config = build_config({"mode": "supervised", "data.root": str(root), **compute})
        stage = SupervisedStage(config)  # type: ignore[arg-type]
        stage.step = TrainingStep(stage.optimiser, stage.device, capture)
        step = seconds_a_step(endless(stage.train_steps), 2.0)
        started = now()
        stage.evaluate(stage.val, stage.splits.val)
        evaluation = now() - started
        yield {
            "variant": name + (", captured" if capture else ""),
            "step ms": 1000 * step,
            "epoch s": step * stage.steps,
            "validation s": evaluation,
        }


SECTIONS = {each.__name__: each for each in (limits, epoch, reference, validation, probe, supervised)}

if __name__ == "__main__":
    print_sections(SECTIONS, Path(sys.argv[1]), sys.argv[2:])
