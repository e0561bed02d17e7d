"""Small corpora in the layouts of FSDnoisy18k, ESC-50 and UrbanSound8K."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

NAMES = {"train": ("1.wav", "2.wav", "3.wav", "4.wav"), "test": ("5.wav", "6.wav")}
LABELS = ("Rain", "Wind")
CHANNELS = 2
ESC50_CLASSES = ("crow", "dog", "rain")
URBAN_CLASSES = ("air_conditioner", "dog_bark")


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


def write_sound(path: Path, pitch: float, seed: int, sample_rate: int = 44_100, channels: int = CHANNELS) -> None:
    """Half a second of a tone in noise, in the format that the name's ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(sample_rate // 2) / sample_rate
    random = np.random.default_rng(seed)
    tone = np.sin(2 * np.pi * pitch * time)[:, None] * 0.3 + 0.1 * random.standard_normal((len(time), channels))
    soundfile.write(path, tone.clip(-1, 1), sample_rate)


def write_table(path: Path, header: str, rows: Sequence[Sequence[object]]) -> None:
    """A CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(rows)


def write_esc50(root: Path, recordings: int = 2, classes: Sequence[str] = ESC50_CLASSES) -> Path:
    """ESC-50 with three classes; of each, in each of the five folds, some recordings of two clips."""
    rows = []
    for fold in range(1, 6):
        for target, category in enumerate(classes):
            for recording in range(recordings):
                source = 1000 * fold + 100 * target + recording
                for take in "AB":
                    name = f"{fold}-{source}-{take}-{target}.wav"
                    write_sound(root / "audio" / name, 300 * (target + 1), seed=source + ord(take))
                    rows.append((name, fold, target, category, target < 2, source, take))
    write_table(root / "meta" / "esc50.csv", "filename,fold,target,category,esc10,src_file,take", rows)
    return root


def write_urbansound8k(root: Path) -> Path:
    """UrbanSound8K with two classes, at several rates; in each of the ten folds a recording of two slices for each."""
    rows = []
    for fold in range(1, 11):
        for number, category in enumerate(URBAN_CLASSES):
            source = 100 * fold + number
            for part in range(2):
                name = f"{source}-{number}-0-{part}.wav"
                rate = (11_024, 22_050, 48_000)[fold % 3]
                write_sound(root / "audio" / f"fold{fold}" / name, 400 * (number + 1), source + part, rate)
                rows.append((name, source, 0.0, 0.5, 1, fold, number, category))
    write_table(root / "metadata" / "UrbanSound8K.csv", "slice_file_name,fsID,start,end,salience,fold,classID,class", rows)
    return root
