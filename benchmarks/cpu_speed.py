"""What the CPU does, against the straightforward way, side by side in one run: make bench

    PYTHONPATH=. python benchmarks/cpu_speed.py [SECTION ...]

One thread, but where cores are compared. Both ways are called in turn; times are medians, ratios how many times faster ours is.
"""

import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from measuring import print_sections, side_by_side
from paper_store import write_store
from plain_reference import PlainStep, PlainViews, knn_clip_by_clip, loader, plain_log_mel, probe_through_encoder

from acl.config import SELF_SUPERVISED, SUPERVISED, Mode, ViewsConfig, build_config
from acl.data.audio import read_mono
from acl.data.clips import Clip
from acl.data.synthetic.corpus import write_synthetic_corpus
from acl.front_ends import FRONT_ENDS
from acl.models import BaselineCnn, ProjectionHead, ResNet18
from acl.store.feature_store import FeatureStore
from acl.store.pieces import log_mel
from acl.store.prepare import prepare
from acl.system.memory import keep_freed_memory
from acl.system.processes import available_cores, each_result
from acl.training.pretraining import PretrainingStage
from acl.training.self_supervised import SelfSupervisedSetup
from acl.training.supervised import SupervisedStage
from acl.views import ViewMaker

CPU = torch.device("cpu")
SHARE = 0.02  # of the real corpus' clips in the store
BATCH = 128
SECONDS_OF_A_CLIP = 9
CLIPS = 8


def ratio(taken: dict[str, float]) -> dict[str, float]:
    """Seconds of our way and of the other one, and the other one's over ours."""
    ours, other = taken.values()
    return {**taken, "ratio": other / ours}


def _noise(folder: Path) -> list[Clip]:
    clips = []
    for number in range(CLIPS):
        path = folder / f"{number}.wav"
        noise = np.random.default_rng(number).normal(0, 0.1, SECONDS_OF_A_CLIP * 44_100)
        soundfile.write(path, noise, 44_100, subtype="PCM_16")
        clips.append(Clip(path.name, "train", "noise", path, True, False))
    return clips


def extraction(folder: Path) -> Iterator[dict[str, Any]]:
    """Seconds of audio that a second of one core extracts, reading wav files included."""
    clips = _noise(folder)
    for front_end in FRONT_ENDS:
        front = log_mel(front_end)
        taken = side_by_side(
            {
                "ours": partial(lambda front: [front(*read_mono(clip.path)) for clip in clips], front),
                "librosa": partial(lambda front: [plain_log_mel(clip.path, front) for clip in clips], front),
            },
            15,
        )
        audio = SECONDS_OF_A_CLIP * CLIPS
        difference = np.abs(front(*read_mono(clips[0].path)).numpy() - plain_log_mel(clips[0].path, front))[5:-5, :90].max()
        rates = {f"{name} audio s/s": audio / seconds for name, seconds in taken.items()}
        yield {"front end": front_end, **rates, "ratio": ratio(taken)["ratio"], "largest difference": float(difference)}


def _extracting(task: tuple[list[Clip], Mode, float]) -> float:
    """Clips a second of this process, once it and those beside it are warm; for a worker."""
    clips, front_end, begin = task
    if not clips:
        return 0.0
    torch.set_num_threads(1)
    front, done = log_mel(front_end), 0
    front(*read_mono(clips[0].path))
    time.sleep(max(0.0, begin - time.time()))
    started = time.perf_counter()
    while time.perf_counter() - started < 8:
        for clip in clips:
            front(*read_mono(clip.path))
        done += len(clips)
    return done / (time.perf_counter() - started)


def cores(folder: Path) -> Iterator[dict[str, Any]]:
    """How much more all cores extract than one: 1 is as many times as there are cores."""
    clips, count = _noise(folder), available_cores()
    for front_end in FRONT_ENDS:
        together, alone = (
            # Two workers at least: a single one would be this process.
            np.median([sum(rates) for rates in _rates(clips, front_end, workers, max(2, workers))])
            for workers in (count, 1)
        )
        efficiency = float(together / alone / count)
        yield {"front end": front_end, "cores": count, "scaling": efficiency}


def _rates(clips: list[Clip], front_end: Mode, busy: int, workers: int) -> Iterator[list[float]]:
    """Clips a second of each busy worker, three times."""
    for _ in range(3):
        begin = time.time() + 12
        tasks = [(clips if number < busy else [], front_end, begin) for number in range(workers)]
        yield list(each_result(_extracting, tasks, workers))


def views(folder: Path) -> Iterator[dict[str, Any]]:
    """Augmented views a second, and the share that a batch of them has in a step of one thread."""
    store = FeatureStore.open(folder, SELF_SUPERVISED)
    clips = store.select("noisy")
    maker, plain = ViewMaker(store, clips, ViewsConfig(), CPU), PlainViews(store, clips, -1.4, 1.4)

    def ours() -> None:
        for _ in maker.pairs(torch.randperm(len(clips)), BATCH, torch.Generator(), torch.Generator()):
            pass

    def per_sample() -> None:
        for _ in loader(plain, BATCH, 0):
            pass

    taken = side_by_side({"ours": ours, "per sample": per_sample}, 10)
    rates = {f"{name} views/s": 2 * len(clips) / seconds for name, seconds in taken.items()}
    stage, batch = _pretraining(folder), torch.randn(2, BATCH, 101, 96)
    step = side_by_side({"step": lambda: stage.step(stage._losses, *batch)}, 20)["step"]
    share = taken["ours"] / len(clips) * BATCH / (taken["ours"] / len(clips) * BATCH + step)
    yield {**rates, "ratio": ratio(taken)["ratio"], "share of a step": share}


def _pretraining(folder: Path, **settings: Any) -> PretrainingStage:
    config = build_config({"mode": SELF_SUPERVISED, "data.root": str(folder), "knn.k": 20, **settings})
    return PretrainingStage(SelfSupervisedSetup(config))  # type: ignore[arg-type]


def step(folder: Path) -> Iterator[dict[str, Any]]:
    """Seconds of a pre-training step at the recipe's size, all cores: in processes of their own, then taking turns in one.

    By itself, the plain one handles memory as a script does; in one process, both keep what they free, as a trial does.
    """
    taken: dict[str, list[float]] = {name: [] for name in _STEPS}
    for _ in range(3):
        for name, initializer in (("ours", keep_freed_memory), ("plain PyTorch", None)):
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer) as process:
                taken[name].append(process.submit(_stepping, folder, name).result()[name])
    yield {"processes": "of their own", **ratio({name: float(np.median(each)) for name, each in taken.items()})}
    yield {"processes": "the same", **ratio(_stepping(folder, *_STEPS))}


def _stepping(folder: Path, *names: str) -> dict[str, float]:
    torch.set_num_threads(available_cores())
    batch = torch.randn(2, BATCH, 101, 96)
    taken = side_by_side({name: partial(_STEPS[name](folder), batch) for name in names}, 20 * len(names))
    torch.set_num_threads(1)
    return taken


def _our_step(folder: Path) -> Callable[[torch.Tensor], object]:
    stage = _pretraining(folder)
    return lambda batch: stage.step(stage._losses, *batch)


def _plain_step(folder: Path) -> Callable[[torch.Tensor], object]:
    plain = PlainStep(ResNet18(64, generator=torch.Generator()), ProjectionHead(512, generator=torch.Generator()), CPU)
    return lambda batch: plain(*batch.unsqueeze(2))


_STEPS = {"ours": _our_step, "plain PyTorch": _plain_step}


def evaluation(folder: Path) -> Iterator[dict[str, Any]]:
    """Seconds of evaluating some clips: kNN (the other way forwards each clip twice), and accuracy of a classifier."""
    stage, plain = _pretraining(folder), _pretraining(folder, **{"compute.channels_last": False})
    clips, table = stage.splits.val[:24], stage.setup.patches_of(stage.splits.val[:24])
    plain.model.eval()

    def embed(patches: torch.Tensor) -> torch.Tensor:
        return plain.head(plain.encoder(plain.setup.standardise(patches)))  # type: ignore[no-any-return]

    ways = {
        "ours": lambda: stage.knn_votes(stage.embed(table), clips, table),
        "clip by clip": lambda: knn_clip_by_clip(stage.store, clips, table, embed, CPU, 20),
    }
    yield {"of": "kNN", "patches": len(table), **ratio(side_by_side(ways, 40))}
    write_store(folder, SUPERVISED, SHARE)
    supervised = SupervisedStage(build_config({"mode": SUPERVISED, "data.root": str(folder)}))  # type: ignore[arg-type]
    clips, table = supervised.splits.val, supervised.val
    other = BaselineCnn(20, 0.5, generator=torch.Generator()).eval()
    frames = [
        np.stack([supervised.store.frames[start : start + 100] for start in table.first_frame[table.clip == at]])
        for at in range(table.clips)
    ]

    @torch.no_grad()
    def clip_by_clip() -> list[int]:
        return [int(other(supervised.standardise(torch.from_numpy(own)))[0].softmax(1).mean(0).argmax()) for own in frames]

    ways = {"ours": lambda: supervised.evaluate(table, clips), "clip by clip": clip_by_clip}
    yield {"of": "accuracy", "patches": len(table), **ratio(side_by_side(ways, 20))}


def linear(folder: Path) -> Iterator[dict[str, Any]]:
    """Linear evaluation on a synthetic corpus: from embeddings computed once, and through the frozen encoder in every epoch."""
    write_synthetic_corpus(folder / "corpus", "tiny", 0)
    prepare(folder / "corpus")
    stage = _pretraining(folder / "corpus", **{"model.width": 16, "knn.k": 5})
    for _ in range(25):  # after few, the probe's training is chaotic: embeddings are large, and rounding decides
        stage.run_epoch()
    epoch = side_by_side({"epoch": lambda: list(stage.train_steps())}, 5)["epoch"]
    stage.best_weights = stage.copy_of_weights()
    answers = {}
    ways = {
        "ours": lambda: answers.update(ours=stage._linear_evaluation()[1].metrics["test.accuracy"]),
        "through the encoder": lambda: answers.update(other=probe_through_encoder(stage)),
    }
    taken = side_by_side(ways, 1)
    accuracy = {"accuracy %": 100 * answers["ours"], "through the encoder %": 100 * answers["other"]}
    yield {"epochs": 200, **ratio(taken), "share of 500 epochs": taken["ours"] / (500 * epoch), **accuracy}


SECTIONS = {each.__name__: each for each in (extraction, cores, views, step, evaluation, linear)}


def main(names: list[str]) -> None:
    keep_freed_memory()  # as workers and trials do
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        write_store(Path(folder), SELF_SUPERVISED, SHARE)
        print_sections(SECTIONS, Path(folder), names, librosa=version("librosa"))


if __name__ == "__main__":
    main(sys.argv[1:])
