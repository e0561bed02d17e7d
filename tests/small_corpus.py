"""A corpus of a few short clips, which takes milliseconds to prepare."""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile

NAMES = {"train": ("1.wav", "2.wav", "3.wav", "4.wav"), "test": ("5.wav", "6.wav")}
LABELS = ("Rain", "Wind")


def write_small_corpus(root: Path, names: Mapping[str, tuple[str, ...]] = NAMES, seconds: float = 0.3) -> Path:
    """Clips of noise, all of them clean, whose labels take turns."""
    rng = np.random.default_rng(0)
    (root / "FSDnoisy18k.meta").mkdir(parents=True)
    for split, files in names.items():
        folder = root / f"FSDnoisy18k.audio_{split}"
        folder.mkdir()
        with (root / "FSDnoisy18k.meta" / f"{split}.csv").open("w", newline="", encoding="utf-8") as table:
            writer = csv.writer(table)
            writer.writerow(["fname", "label", "manually_verified", "noisy_small"])
            for number, name in enumerate(files):
                writer.writerow([name, LABELS[number % 2], 1, 0])
                wave = rng.uniform(-0.5, 0.5, round(seconds * 44_100))
                soundfile.write(folder / name, wave, 44_100, format="WAV", subtype="PCM_16")
    return root


def train_file(root: Path, name: str) -> Path:
    """A training clip's file."""
    return root / "FSDnoisy18k.audio_train" / name
