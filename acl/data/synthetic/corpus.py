"""A synthetic corpus in FSDnoisy18k layout, for trying everything out without a download.

Its classes carry FSDnoisy18k's names, its label noise FSDnoisy18k's structure; the sounds are computed, and results on them
say nothing about the real ones.
"""

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from acl.data.clips import CLASSES
from acl.data.fsdnoisy18k import DESCRIPTION_FILE, SPLITS, Split, audio_folder, table_path
from acl.data.synthetic.acoustics import record
from acl.data.synthetic.sounds import FOREIGN_SOUNDS, SOUNDS
from acl.data.synthetic.waveforms import SAMPLE_RATE, Generator, log_uniform, samples
from acl.system.errors import CorpusError
from acl.system.processes import each_result
from acl.system.text import close_to

GENERATOR_VERSION = 2  # counts changes of the sounds: the same name then means other files
SHORTEST_SECONDS = 0.3
RIGHT_SHARE = 0.4  # of the noisy clips
OTHER_CLASS_SHARE = 0.18  # of the noisy clips: labelled as one class, sounding like another
CLIPS_PER_TASK = 8


@dataclass(frozen=True)
class CorpusSize:
    """Clips per class, and the longest clip in s; durations are log-uniform from 0.3 s."""

    clean: int
    noisy: int
    test: int
    longest_seconds: float


SIZES = {
    "tiny": CorpusSize(clean=2, noisy=8, test=3, longest_seconds=3),
    "small": CorpusSize(clean=10, noisy=48, test=10, longest_seconds=3),
    "medium": CorpusSize(clean=15, noisy=135, test=25, longest_seconds=10),
}


@dataclass(frozen=True)
class PlannedClip:
    """A clip before it sounds. `true_sound` names what is heard, `noise_kind` what is wrong with the label."""

    split: Split
    label: str
    true_sound: str
    noise_kind: str
    seconds: float
    manually_verified: bool


def write_synthetic_corpus(
    root: str | Path,
    size: str,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
    workers: int | None = None,
) -> None:
    """Write a corpus; the same size and seed give the same bytes, whatever the number of workers.

    Besides the tables of FSDnoisy18k there is `truth.csv`, which tells what each clip really is; nothing reads it in training.
    If the folder holds this corpus already, nothing happens.

    Args:
        root: new or empty folder; appears complete or not at all.
        size: tiny (260 clips), small (1360) or medium (3500).
        seed: of everything random.
        progress: called with (clips done, clips in total).
        workers: processes; None takes all available cores.

    Raises:
        CorpusError: the size is unknown or the folder holds something else.
    """
    root = Path(root).resolve()
    if size not in SIZES:
        raise CorpusError(f"size must be one of {', '.join(SIZES)}, got {size!r}{close_to(size, SIZES, '; ')}")
    description = {"name": f"synthetic corpus, {size}, seed {seed}", "synthetic": True, "generator_version": GENERATOR_VERSION}
    if _is_there(root, description):
        return
    partial = root.with_name(f".partial-{root.name}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _write(partial, SIZES[size], seed, progress or (lambda done, total: None), workers)
        (partial / DESCRIPTION_FILE).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
        partial.rename(root)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _is_there(root: Path, description: dict[str, object]) -> bool:
    """Whether the folder holds the corpus already; refuses one that holds anything else."""
    path = root / DESCRIPTION_FILE
    if path.exists() and path.read_text(encoding="utf-8") == json.dumps(description, indent=2) + "\n":
        return True
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise CorpusError(f"{root} is not an empty folder; name a new one for the {description['name']}")
    return False


def _write(folder: Path, size: CorpusSize, seed: int, progress: Callable[[int, int], None], workers: int | None) -> None:
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    clips = plan(rng, size)
    small = noisy_small(rng, clips)
    numbers = np.sort(rng.choice(np.arange(1000, 420_000), len(clips), replace=False))[rng.permutation(len(clips))]
    names = [f"{number}.wav" for number in numbers]
    for split in SPLITS:
        audio_folder(folder, split).mkdir(parents=True)
    tasks = [
        [(audio_folder(folder, clips[i].split) / names[i], clips[i], np.random.SeedSequence(seed, spawn_key=(i,))) for i in part]
        for part in np.array_split(np.arange(len(clips)), -(-len(clips) // CLIPS_PER_TASK))
    ]
    done = 0
    progress(done, len(clips))
    for written in each_result(_write_clips, tasks, workers):
        done += written
        progress(done, len(clips))
    _write_tables(folder, clips, names, small)


def plan(rng: Generator, size: CorpusSize) -> list[PlannedClip]:
    """All clips of a corpus, class by class: clean, noisy, test."""
    clips = []
    right, other_class = round(RIGHT_SHARE * size.noisy), max(1, round(OTHER_CLASS_SHARE * size.noisy))
    for label in CLASSES:
        others = [name for name in CLASSES if name != label]
        truths = [(label, "none")] * (size.clean + right)
        truths += [(str(rng.choice(others)), "in-vocabulary") for _ in range(other_class)]
        truths += [(str(rng.choice(list(FOREIGN_SOUNDS))), "out-of-vocabulary") for _ in range(size.noisy - right - other_class)]
        truths += [(label, "none")] * size.test
        for position, (true_sound, noise_kind) in enumerate(truths):
            split: Split = "train" if position < size.clean + size.noisy else "test"
            seconds = log_uniform(rng, SHORTEST_SECONDS, size.longest_seconds)
            verified = position < size.clean or split == "test"
            clips.append(PlannedClip(split, label, true_sound, noise_kind, seconds, verified))
    return clips


def noisy_small(rng: Generator, clips: Sequence[PlannedClip]) -> set[int]:
    """Indices of noisy clips that together last as long as the clean ones, class by class, at least one of each.

    What a class misses or exceeds is made up for by the next one.
    """
    chosen: set[int] = set()
    owed = 0.0
    for label in CLASSES:
        train = [i for i, clip in enumerate(clips) if clip.label == label and clip.split == "train"]
        owed += sum(clips[i].seconds for i in train if clips[i].manually_verified)
        candidates = rng.permutation([i for i in train if not clips[i].manually_verified]).tolist()
        closest = min(candidates, key=lambda i: abs(clips[i].seconds - owed))
        taken = []
        for i in candidates:
            if clips[i].seconds <= owed:
                taken.append(i)
                owed -= clips[i].seconds
        if not taken:
            taken.append(closest)
            owed -= clips[closest].seconds
        chosen.update(taken)
    return chosen


def _write_clips(clips: Sequence[tuple[Path, PlannedClip, np.random.SeedSequence]]) -> int:
    for path, clip, seed in clips:
        rng = np.random.default_rng(seed)
        wave = record(rng, SOUNDS[clip.true_sound](rng, samples(clip.seconds)))
        soundfile.write(path, wave, SAMPLE_RATE, subtype="PCM_16")
    return len(clips)


def _write_tables(folder: Path, clips: Sequence[PlannedClip], names: Sequence[str], small: set[int]) -> None:
    order = sorted(range(len(clips)), key=lambda i: int(names[i].removesuffix(".wav")))
    train = [i for i in order if clips[i].split == "train"]
    test = [i for i in order if clips[i].split == "test"]
    tables: dict[str, list[Sequence[object]]] = {
        "train": [("fname", "label", "aso_id", "manually_verified", "noisy_small")],
        "test": [("fname", "label")],
        "truth": [("fname", "split", "true_sound", "noise_kind")],
    }
    for i in train:
        tables["train"].append((names[i], clips[i].label, "", int(clips[i].manually_verified), int(i in small)))
    for i in test:
        tables["test"].append((names[i], clips[i].label))
    for i in (*train, *test):
        tables["truth"].append((names[i], clips[i].split, clips[i].true_sound, clips[i].noise_kind))
    table_path(folder, "train").parent.mkdir()
    for name, rows in tables.items():
        with table_path(folder, name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
