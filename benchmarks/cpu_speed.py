"""What the CPU does, against the straightforward way, side by side in one run: make bench

    PYTHONPATH=. python benchmarks/cpu_speed.py [SECTION ...]

One thread, but where cores are compared. Times are medians; ratios are how many times faster than the straightforward way.
"""

import itertools
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import soundfile
import torch
from measuring import endless, seconds_a_step
from paper_store import write_store
from plain_reference import PlainStep, PlainViews, knn_clip_by_clip, loader

from acl.config import SELF_SUPERVISED, ViewsConfig, build_config
from acl.data.audio import read_samples
from acl.data.clips import Clip
from acl.data.parallel import available_cores
from acl.data.pieces import FRONT_ENDS, log_mel
from acl.features import LogMel
from acl.losses import MarginCrossEntropy
from acl.models import BaselineCnn, ProjectionHead, ResNet18
from acl.provenance import describe_hardware, describe_versions
from acl.store import FeatureStore
from acl.training.pretraining import PretrainingStage
from acl.training.self_supervised import SelfSupervisedSetup
from acl.views import ViewMaker

CPU = torch.device("cpu")
SHARE = 0.02  # of the real corpus' clips in the store
BATCH = 128


def repeated(call: Callable[[], object]) -> Iterator[object]:
    """One call a step."""
    return (call() for _ in itertools.count())


def plain_log_mel(path: Path, front: LogMel) -> np.ndarray:
    """Log-mels by librosa."""
    samples, rate = soundfile.read(path)
    if rate != front.sample_rate:
        samples = librosa.resample(samples, orig_sr=rate, target_sr=front.sample_rate, res_type="kaiser_best")
    samples = samples - samples.mean()
    samples = samples / (np.abs(samples).max() + 0.005)
    power = librosa.feature.melspectrogram(
        y=samples + front.offset,
        sr=front.sample_rate,
        n_fft=front.n_fft,
        hop_length=front.hop_samples,
        win_length=front.window_samples,
        window="hamming",
        pad_mode=front.edge_padding,
        n_mels=front.bands,
        fmin=front.min_hz,
        fmax=front.max_hz,
        norm=None,
    )
    return np.asarray(np.log10(power + front.offset).T)


def extraction(folder: Path) -> Iterator[dict[str, Any]]:
    """Seconds of audio that a second of one core extracts, reading wav files included."""
    paths = [folder / f"{number}.wav" for number in range(8)]
    for number, path in enumerate(paths):
        noise = np.random.default_rng(number).normal(0, 0.1, 9 * 44_100)
        soundfile.write(path, noise, 44_100, subtype="PCM_16")
    for front_end in FRONT_ENDS:
        front = log_mel(front_end)
        ways: dict[str, Callable[[], object]] = {
            "ours": lambda front=front: [front(*read_mono(path)) for path in paths],  # type: ignore[misc]
            "librosa": lambda front=front: [plain_log_mel(path, front) for path in paths],  # type: ignore[misc]
        }
        rates = {name: 9 * len(paths) / seconds_a_step(repeated(way), 6, warm_up=1, at_once=1) for name, way in ways.items()}
        difference = np.abs(front(*read_mono(paths[0])).numpy() - plain_log_mel(paths[0], front))[5:-5, :90].max()
        yield {"front end": front_end, **rates, "ratio": rates["ours"] / rates["librosa"], "largest difference": float(difference)}


def views(folder: Path) -> Iterator[dict[str, Any]]:
    """Augmented views a second."""
    store = FeatureStore.open(folder, SELF_SUPERVISED)
    clips = store.select("noisy")
    maker, plain = ViewMaker(store, clips, ViewsConfig(), CPU), PlainViews(store, clips, -1.4, 1.4)
    ours = endless(lambda: maker.pairs(torch.randperm(len(clips)), BATCH, torch.Generator(), torch.Generator()))
    count = len(clips) / -(-len(clips) // BATCH)  # clips of an average batch
    rate = 2 * count / seconds_a_step(ours, 4, warm_up=2)
    reference = 2 * BATCH / seconds_a_step(endless(lambda: iter(loader(plain, BATCH, 0))), 4, warm_up=1, at_once=1)
    yield {"ours": rate, "per sample": reference, "ratio": rate / reference}


def step(folder: Path) -> Iterator[dict[str, Any]]:
    """Seconds of a pre-training step at the recipe's size, all cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(available_cores())
    config = build_config({"mode": SELF_SUPERVISED, "data.root": str(folder), "knn.k": 20})
    stage = PretrainingStage(SelfSupervisedSetup(config))  # type: ignore[arg-type]
    batch = torch.randn(2, BATCH, 101, 96)
    ours = seconds_a_step(repeated(lambda: stage.step(stage._losses, *batch)), 20, warm_up=1, at_once=1)
    plain = PlainStep(ResNet18(64, generator=torch.Generator()), ProjectionHead(512, generator=torch.Generator()), CPU)
    reference = seconds_a_step(repeated(lambda: plain(*batch.unsqueeze(2))), 20, warm_up=1, at_once=1)
    torch.set_num_threads(threads)
    yield {"ours": ours, "plain PyTorch": reference, "ratio": reference / ours}


def evaluation(folder: Path) -> Iterator[dict[str, Any]]:
    """Seconds of the kNN evaluation of some validation clips at the recipe's size; the other way forwards each clip twice."""
    config = build_config({"mode": SELF_SUPERVISED, "data.root": str(folder), "knn.k": 20})
    stage = PretrainingStage(SelfSupervisedSetup(config))  # type: ignore[arg-type]
    other = build_config({"mode": SELF_SUPERVISED, "data.root": str(folder), "knn.k": 20, "compute.channels_last": False})
    plain = PretrainingStage(SelfSupervisedSetup(other))  # type: ignore[arg-type]
    clips, table = stage.splits.val[:24], stage.setup.patches_of(stage.splits.val[:24])
    plain.model.eval()

    def embed(patches: torch.Tensor) -> torch.Tensor:
        return plain.head(plain.encoder(plain.setup.standardise(patches)))  # type: ignore[no-any-return]

    ours = seconds_a_step(repeated(lambda: stage.knn_votes(stage.embed(table), clips, table)), 6, warm_up=1, at_once=1)
    reference = seconds_a_step(
        repeated(lambda: knn_clip_by_clip(stage.store, clips, table, embed, CPU, 20)), 6, warm_up=0, at_once=1
    )
    yield {"patches": len(table), "ours": ours, "clip by clip": reference, "ratio": reference / ours}


def margin(folder: Path) -> Iterator[dict[str, Any]]:
    """Share of the loss, most of which is the margin term, in a supervised step."""
    yield from map(_share_of_loss, (64, 256))


def _share_of_loss(size: int) -> dict[str, Any]:
    loss = MarginCrossEntropy(0.5, 0.5, 1.28)
    model = BaselineCnn(20, 0.5, generator=torch.Generator()).to(memory_format=torch.channels_last)
    patches, labels = torch.randn(size, 1, 100, 96), torch.randint(20, (size,))
    logits, embeddings = (each.detach().requires_grad_() for each in model(patches))
    whole = seconds_a_step(_passes(lambda: loss(*model(patches), labels)), 5, warm_up=1, at_once=1)
    alone = seconds_a_step(_passes(lambda: loss(logits, embeddings, labels)), 2)
    return {"batch": size, "forward and backward s": whole, "of it the loss": alone, "share": alone / whole}


def _passes(loss: Callable[[], torch.Tensor]) -> Iterator[object]:
    """Forward and backward passes."""
    return repeated(lambda: loss().backward())  # type: ignore[no-untyped-call]


SECTIONS = {each.__name__: each for each in (extraction, views, step, evaluation, margin)}


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    print(json.dumps({"hardware": describe_hardware(), "versions": describe_versions() | {"librosa": librosa.__version__}}))
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_store(folder, SELF_SUPERVISED, SHARE)
        for name in names or list(SECTIONS):
            for row in SECTIONS[name](folder):
                shown = {key: f"{value:.3g}" if isinstance(value, float) else value for key, value in row.items()}
                print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in shown.items()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
