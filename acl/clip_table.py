"""The table of clips of a feature store: who each is, where its frames start and how many it has."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from acl.data.clips import Corpus

COLUMNS = ("clip", "split", "label", "class_id", "manually_verified", "noisy_small", "start_frame", "frames")
GROUPING_COLUMNS = ("fold", "group")  # only of corpora that have one of them
NO_CLASS = -1  # class id of foreign clips


def write_table(path: Path, corpus: Corpus, extents: Mapping[str, tuple[int, int]]) -> None:
    """Write a row for each clip; `extents` are its first frame and its number of frames, by its name."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        is_grouped = any(clip.grouping for clip in corpus.clips)
        writer.writerow(COLUMNS + (GROUPING_COLUMNS if is_grouped else ()))
        for clip in corpus.clips:
            class_id = NO_CLASS if clip.split == "foreign" else corpus.classes.index(clip.label)
            flags = (int(clip.manually_verified), int(clip.noisy_small))
            grouping = (clip.fold, clip.group) if is_grouped else ()
            writer.writerow([clip.name, clip.split, clip.label, class_id, *flags, *extents[clip.name], *grouping])


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
        "fold": np.array([row.get("fold", 0) for row in rows], dtype=np.int64),
        "group": _group_ids([row.get("group", "") for row in rows]),
    }


def _group_ids(groups: Sequence[str]) -> np.ndarray:
    """A number for each group `[clips]`; a clip without one is a group of its own."""
    first: dict[str, int] = {}
    return np.array([first.setdefault(group, place) if group else place for place, group in enumerate(groups)], dtype=np.int64)
