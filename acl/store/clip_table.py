"""The table of clips of a feature store: who each is, where its frames start and how many it has."""

import csv
import tokenize
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from acl.data.clips import Corpus
from acl.front_ends import BANDS

SPLITS = ("train", "test", "fold", "foreign")
MOST_FRAMES = 1 << 32  # of a clip, so that sums of them are exact
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


def checked_classes(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """Classes that store.json names.

    Raises:
        ValueError: an entry that others rely on is missing or of another kind.
    """
    texts = ("corpus", "fingerprint", "corpus_sha256", "content_sha256")
    wrong = [name for name in texts if not isinstance(metadata.get(name), str)]
    classes = metadata.get("classes")
    if not isinstance(classes, list) or not classes or not all(isinstance(name, str) for name in classes):
        wrong.append("classes")
    if not isinstance(metadata.get("is_synthetic"), bool):
        wrong.append("is_synthetic")
    if wrong:
        raise ValueError(f"store.json lacks {wrong[0]}")
    return tuple(metadata["classes"])


def read_frames(path: Path, frame_count: np.ndarray) -> np.ndarray:
    """Log-mels `[total frames, 96]` float32 as a read-only memory map; never a pickle.

    Args:
        path: of the .npy file.
        frame_count: `[clips]`, which together are all frames.

    Raises:
        OSError, ValueError: it is missing or damaged.
    """
    expected = (int(frame_count.sum()), BANDS)
    try:
        frames = np.lib.format.open_memmap(path, mode="r")
    except (SyntaxError, tokenize.TokenError, TypeError, EOFError, OverflowError, RecursionError, MemoryError):  # of the header
        raise ValueError(f"{path.name} has no header of an array") from None
    if frames.shape != expected or frames.dtype != np.dtype("<f4"):
        raise ValueError(f"{path.name} is {frames.dtype} {frames.shape}, expected float32 {expected}")
    return frames


def read_table(path: Path, classes: Sequence[str]) -> dict[str, np.ndarray]:
    """Columns `[clips]` as `FeatureStore` has them.

    Raises:
        OSError, ValueError: it is missing or damaged, or its rows do not fit each other or `classes`.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            table = _columns(list(csv.DictReader(file)))
    except (csv.Error, KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"{path.name}: {error!r}") from None
    if not len(table["names"]):
        raise ValueError(f"{path.name} lists no clips")
    starts, counts, ids = table["start_frame"], table["frame_count"], table["class_ids"]
    of_class = np.array(classes)[np.clip(ids, 0, len(classes) - 1)]
    rules = {
        "is listed twice": ~np.isin(np.arange(len(ids)), np.unique(table["names"], return_index=True)[1]),
        "is of no split": ~np.isin(table["split"], SPLITS),
        "has a class_id that is not its label's": np.where(
            table["split"] == "foreign", ids != NO_CLASS, (ids < 0) | (ids >= len(classes)) | (of_class != table["labels"])
        ),
        "has no fold": (table["split"] == "fold") != (table["fold"] > 0),
        "has no frames": (counts < 1) | (counts > MOST_FRAMES),
    }
    for rule, breaks in rules.items():
        if breaks.any():
            raise ValueError(f"{path.name}: {table['names'][breaks.argmax()]} {rule}")
    order = np.argsort(starts)
    if (starts[order] != np.cumsum(counts[order]) - counts[order]).any():
        raise ValueError(f"{path.name}: the frames of its clips overlap or leave gaps")
    return table


def _columns(rows: list[dict[str, str]]) -> dict[str, np.ndarray]:
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
