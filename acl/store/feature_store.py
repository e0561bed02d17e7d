"""The feature store: log-mels of every clip of a corpus, one memory-mapped array per front end. `acl.store.prepare` makes it.

The files:

    ROOT/features/<front end>/logmel.npy   float32 [total frames, 96]
                              clips.csv    one row a clip: who it is, where its frames start and how many it has
                              store.json   front-end parameters, corpus, classes, clips that were left out and why,
                                           fingerprint of inputs, digests of content
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acl.config import Mode
from acl.data.clips import in_subset
from acl.front_ends import FORMAT_VERSION, FRONT_ENDS
from acl.store.clip_table import checked_classes, read_frames, read_table
from acl.store.digest import current_digest
from acl.system.errors import StoreError
from acl.system.text import parse_json

_copies: dict[tuple[str, Mode], str] = {}  # of this process: corpus folder that settings name, front end -> where it is here


@dataclass(frozen=True)
class FeatureStore:
    """Features of a corpus for one front end; processes that open the same store share its memory.

    Attributes:
        frames: `[total frames, 96]` float32, log-mels of all clips, read-only memory map.
        names: `[clips]` file names.
        split: `[clips]` "train" or "test", of some corpora "fold" or "foreign" (`acl.data.clips.Clip`).
        labels: `[clips]` class names.
        class_ids: `[clips]` int64, position of the label in `classes`; -1 of foreign clips.
        manually_verified: `[clips]` bool.
        noisy_small: `[clips]` bool.
        start_frame: `[clips]` int64, first row of the clip in `frames`.
        frame_count: `[clips]` int64, rows of the clip.
        fold: `[clips]` int64, from 1; 0 without folds.
        group: `[clips]` int64, the first clip of the recording that the clip was cut from; itself where nothing is known.
        classes: labels in alphabetical order.
        metadata: content of store.json.
        noisy_clips: how many clips a run has injected label noise into.
    """

    frames: np.ndarray
    names: np.ndarray
    split: np.ndarray
    labels: np.ndarray
    class_ids: np.ndarray
    manually_verified: np.ndarray
    noisy_small: np.ndarray
    start_frame: np.ndarray
    frame_count: np.ndarray
    fold: np.ndarray
    group: np.ndarray
    classes: tuple[str, ...]
    metadata: dict[str, Any]
    noisy_clips: int = 0

    @classmethod
    def open(cls, root: str | Path, front_end: Mode) -> "FeatureStore":
        """Open what `prepare` made.

        Raises:
            StoreError: the store is missing, of another format, or its files do not fit together.
        """
        folder = store_folder(_copies.get((str(root), front_end), root), front_end)
        remedy = f"run `acl-study data prepare {root}`"
        if not folder.parents[1].exists():
            raise StoreError(f"{root} does not exist; name a corpus folder that `acl-study data prepare` has prepared")
        if not (folder / "store.json").exists():
            raise StoreError(f"{root} has no {front_end} features; {remedy}")
        try:
            metadata = parse_json((folder / "store.json").read_bytes())
            found = metadata["format"]
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise StoreError(f"{folder} is damaged ({error!r}); {remedy}") from None
        if found != FORMAT_VERSION:
            raise StoreError(f"{folder} has format {found!r}, this version reads {FORMAT_VERSION}; {remedy}")
        try:
            classes = checked_classes(metadata)
            table: dict[str, Any] = read_table(folder / "clips.csv", classes)
            frames = read_frames(folder / "logmel.npy", table["frame_count"])
        except (OSError, ValueError) as error:
            raise StoreError(f"{folder} is damaged ({error}); {remedy}") from None
        return cls(frames=frames, **table, classes=classes, metadata=metadata)

    @staticmethod
    def use_copy(root: str | Path, front_end: Mode, copy: str | Path) -> None:
        """Have `open` of this process find the features of `root` in the corpus folder `copy`.

        Settings, and with them checkpoints and records, go on naming `root`, which other machines see.
        """
        _copies[str(root), front_end] = str(copy)

    @staticmethod
    def digest_at(root: str | Path, front_end: Mode) -> str | None:
        """`content_sha256` of the store at `root`, without opening its features; None where there is no store that can be read."""
        try:
            metadata = parse_json((store_folder(root, front_end) / "store.json").read_bytes())
            return str(metadata["content_sha256"])
        except (OSError, KeyError, TypeError, ValueError):
            return None

    @staticmethod
    def verify(root: str | Path, front_end: Mode) -> str:
        """SHA-256 of the bytes of the store that `open` finds, which are those that were prepared.

        Raises:
            StoreError: there is no such store, or its bytes are others.
        """
        stated = FeatureStore.open(root, front_end).metadata["content_sha256"]
        folder = store_folder(_copies.get((str(root), front_end), root), front_end)
        try:
            found = current_digest(folder)
        except OSError as error:
            raise StoreError(f"{folder} cannot be read ({error.strerror}); make it readable, or prepare it anew") from None
        if found != stated:
            raise StoreError(
                f"the features in {folder} have changed since they were prepared: they are {found[:12]}, not {stated[:12]}; run "
                f"`acl-study data prepare {root}`, which computes them anew"
            )
        return found

    @property
    def subsets(self) -> tuple[str, ...]:
        """Training subsets that the corpus has: `all`, and those that its flags tell apart."""
        if not self.metadata.get("has_parts", True):
            return ("all",)
        trainable = np.isin(self.split, ("train", "fold"))
        verified = self.manually_verified[trainable]
        exists = {
            "noisy": not verified.all(),
            "noisy_small": bool((self.noisy_small[trainable] & ~verified).any()),
            "clean": bool(verified.any()),
        }
        return ("all", *(subset for subset, is_there in exists.items() if is_there))

    def recordings(self, clips: np.ndarray) -> list[str]:
        """First clip of the recording of each of some clips (indices `[n]`); empty where it is the recording's only one."""
        several = np.bincount(self.group, minlength=len(self.group)) > 1
        return [str(self.names[group]) if several[group] else "" for group in self.group[clips]]

    def select(self, subset: str) -> np.ndarray:
        """Indices `[n]` int64 of the training clips in a subset: all, clean, noisy or noisy_small."""
        return np.flatnonzero(in_subset(self, subset))

    def test_clips(self) -> np.ndarray:
        """Indices `[n]` int64 of the test clips."""
        return np.flatnonzero(self.split == "test")


def store_folder(root: str | Path, front_end: Mode) -> Path:
    """Where the store of a corpus lies."""
    if front_end not in FRONT_ENDS:
        raise StoreError(f"front end must be one of {', '.join(FRONT_ENDS)}, got {front_end!r}")
    return Path(root) / "features" / front_end
