"""A feature store of the real corpus' shape, with random content: for benchmarks of what does not depend on what is heard.

    python benchmarks/paper_store.py FOLDER [SHARE]

FSDnoisy18k has 15 813 noisy (38.7 h), 1 772 clean (2.4 h) and 947 test clips (1.4 h) of 0.3 to 30 s. SHARE of them are written, by
default all: 5.9 GB of self-supervised and 2.9 GB of supervised features.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np

from acl.config import SELF_SUPERVISED, Mode
from acl.front_ends import BANDS, FORMAT_VERSION, FRONT_ENDS
from acl.store.clip_table import COLUMNS
from acl.store.pieces import log_mel

PARTS = {"noisy": (15_813, 38.7), "clean": (1_772, 2.4), "test": (947, 1.4)}  # clips, hours
SHORTEST, LONGEST = 0.3, 30.0  # s
CLASSES = 20
BLOCK = 1 << 16  # frames of random content, which repeat


def durations(clips: int, hours: float, generator: np.random.Generator) -> np.ndarray:
    """Seconds of each clip: log-normal within the corpus' limits, scaled to the hours."""
    drawn = generator.lognormal(0.0, 0.9, clips)
    low, high = 0.01, 100.0
    for _ in range(60):
        factor = (low * high) ** 0.5
        low, high = (factor, high) if np.clip(factor * drawn, SHORTEST, LONGEST).sum() < 3600 * hours else (low, factor)
    return np.clip(factor * drawn, SHORTEST, LONGEST)


def write_store(root: Path, front_end: Mode = SELF_SUPERVISED, share: float = 1.0) -> None:
    """Write the store of one front end under `root`."""
    generator = np.random.default_rng(0)
    front = log_mel(front_end)
    folder = root / "features" / front_end
    folder.mkdir(parents=True, exist_ok=True)
    rows, start = [], 0
    for part, (clips, hours) in PARTS.items():
        for number, seconds in enumerate(durations(round(share * clips), share * hours, generator)):
            frames = 1 + max(round(seconds * front.sample_rate), front.min_samples) // front.hop_samples
            label = int(generator.integers(CLASSES))
            clean, small = int(part == "clean"), int(part == "noisy" and number % 16 == 0)
            split = "test" if part == "test" else "train"
            rows.append([f"{part}{number}.wav", split, f"class {label:02d}", label, clean, small, start, frames])
            start += frames
    with (folder / "clips.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    content = np.lib.format.open_memmap(folder / "logmel.npy", "w+", np.float32, (start, BANDS))
    block = generator.normal(-1.4, 1.4, (BLOCK, BANDS)).astype(np.float32)
    for first in range(0, start, BLOCK):
        content[first : first + BLOCK] = block[: start - first]
    content.flush()
    about = {
        "format": FORMAT_VERSION,
        "front_end": front_end,
        "corpus": f"random content, {share:g} of FSDnoisy18k",
        "is_synthetic": True,
        "classes": [f"class {label:02d}" for label in range(CLASSES)],
        "corpus_sha256": f"random {share}",
        "content_sha256": f"random {front_end} {share}",
        "fingerprint": f"random {front_end} {share}",
    }
    (folder / "store.json").write_text(json.dumps(about), encoding="utf-8")


if __name__ == "__main__":
    for front_end in FRONT_ENDS:
        write_store(Path(sys.argv[1]), front_end, float((sys.argv[2:] or ["1"])[0]))
