"""The table of clips of a feature store: who each is, where its frames start and how many it has."""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from acl.data.clips import Corpus

COLUMNS = ("clip", "split", "label", "class_id", "manually_verified", "noisy_small", "start_frame", "frames")


def write_table(path: Path, corpus: Corpus, extents: Mapping[str, tuple[int, int]]) -> None:
    """Write a row for each clip; `extents` are its first frame and its number of frames, by its name."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for clip in corpus.clips:
            class_id = corpus.classes.index(clip.label)
            flags = (int(clip.manually_verified), int(clip.noisy_small))
            writer.writerow([clip.name, clip.split, clip.label, class_id, *flags, *extents[clip.name]])


def read_table(path: Path) -> dict[str, np.ndarray]:
    """Columns `[clips]` as `FeatureStore` has them.

    Raises:
        OSError, KeyError, ValueError: it is missing or damaged.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        "names": np.array([row["clip"] for row in rows]),
        "split": np.array([row["split"] for row in rows]),
        "labels": np.array([row["label"] for row in rows]),
        "class_ids": np.array([row["class_id"] for row in rows], dtype=np.int64),
        "manually_verified": np.array([row["manually_verified"] == "1" for row in rows]),
        "noisy_small": np.array([row["noisy_small"] == "1" for row in rows]),
        "start_frame": np.array([row["start_frame"] for row in rows], dtype=np.int64),
        "frame_count": np.array([row["frames"] for row in rows], dtype=np.int64),
    }
