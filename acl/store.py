"""The feature store: log-mels of every clip of a corpus, one memory-mapped array per front end.

    ROOT/features/<front end>/logmel.npy   float32 [total frames, 96]
                              clips.csv    one row a clip: who it is, where its frames start and how many it has
                              store.json   front-end parameters, corpus, classes, fingerprint of inputs, digests of content

Preparing works in `ROOT/features/.partial-<front end>/`, takes over what an interrupted run left there if clips and front end are
unchanged, and puts the finished folder in place in one rename.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acl.clip_table import checked_classes, read_frames, read_table, write_table
from acl.config import Mode
from acl.data.clips import Corpus, in_subset
from acl.data.fsdnoisy18k import read_corpus
from acl.data.parallel import each_result
from acl.data.pieces import (
    FORMAT_VERSION,
    FRONT_ENDS,
    Piece,
    audio_state,
    bytes_of,
    compute_piece,
    corpus_digest,
    divide,
    fingerprint,
    flush_to_disk,
    join_pieces,
    log_mel,
)
from acl.json_text import parse_json

_copies: dict[tuple[str, Mode], str] = {}  # of this process: corpus folder that settings name, front end -> where it is here


class StoreError(ValueError):
    """A feature store is missing, damaged or cannot be made; the message is one line with the remedy."""


@dataclass(frozen=True)
class FeatureStore:
    """Features of a corpus for one front end; processes that open the same store share its memory.

    Attributes:
        frames: `[total frames, 96]` float32, log-mels of all clips, read-only memory map.
        names: `[clips]` file names.
        split: `[clips]` "train" or "test".
        labels: `[clips]` class names.
        class_ids: `[clips]` int64, position of the label in `classes`.
        manually_verified: `[clips]` bool.
        noisy_small: `[clips]` bool.
        start_frame: `[clips]` int64, first row of the clip in `frames`.
        frame_count: `[clips]` int64, rows of the clip.
        classes: labels in alphabetical order.
        metadata: content of store.json.
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
    classes: tuple[str, ...]
    metadata: dict[str, Any]

    @classmethod
    def open(cls, root: str | Path, front_end: Mode) -> "FeatureStore":
        """Open what `prepare` made.

        Raises:
            StoreError: the store is missing, of another format, or its files do not fit together.
        """
        folder = _store_folder(_copies.get((str(root), front_end), root), front_end)
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
            table = read_table(folder / "clips.csv", classes)
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
            metadata = parse_json((_store_folder(root, front_end) / "store.json").read_bytes())
            return str(metadata["content_sha256"])
        except (OSError, KeyError, TypeError, ValueError):
            return None

    def select(self, subset: str) -> np.ndarray:
        """Indices `[n]` int64 of the training clips in a subset: all, clean, noisy or noisy_small."""
        return np.flatnonzero(in_subset(self, subset))

    def test_clips(self) -> np.ndarray:
        """Indices `[n]` int64 of the test clips."""
        return np.flatnonzero(self.split == "test")


def prepare(
    root: str | Path,
    front_ends: Sequence[Mode] = FRONT_ENDS,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Compute the features of every clip of a corpus; what is already there and unchanged is not computed again.

    Args:
        root: corpus folder in FSDnoisy18k layout.
        front_ends: which stores to make.
        workers: processes; None takes all available cores.
        progress: called with (clips done, clips in total), a clip counting once per front end.

    Returns the folders of the stores, in the order of `front_ends`.

    Raises:
        CorpusError: the corpus or an audio file is unusable; work done so far is kept.
        StoreError: the disk has too little room.
    """
    root = Path(root)
    corpus = read_corpus(root)
    audio = [audio_state(clip) for clip in corpus.clips]
    manifest = [
        corpus.description,
        corpus.is_synthetic,
        [[clip.label, clip.manually_verified, clip.noisy_small] for clip in corpus.clips],
    ]
    fingerprints = {front_end: fingerprint(front_end, [manifest, audio]) for front_end in front_ends}
    outdated = [front_end for front_end in front_ends if _stored_fingerprint(root, front_end) != fingerprints[front_end]]
    pieces = {front_end: divide(corpus.clips, front_end, _partial_folder(root, front_end)) for front_end in outdated}
    missing = [piece for front_end in outdated for piece in pieces[front_end] if not piece.path.exists()]
    _check_disk_space(root, bytes_of(missing) + bytes_of([piece for front_end in outdated for piece in pieces[front_end]]))
    for front_end in outdated:
        _partial_folder(root, front_end).mkdir(parents=True, exist_ok=True)
    total = len(corpus.clips) * len(front_ends)
    done = total - sum(len(piece.clips) for piece in missing)
    report = progress or (lambda done, total: None)
    report(done, total)
    for clips in each_result(compute_piece, missing, workers):
        done += clips
        report(done, total)
    for front_end in outdated:
        _assemble(corpus, front_end, pieces[front_end], fingerprints[front_end])
    return [_store_folder(root, front_end) for front_end in front_ends]


def content_digest(folder: Path) -> str:
    """SHA-256 over the bytes of logmel.npy and clips.csv."""
    digest = hashlib.sha256()
    for name in ("logmel.npy", "clips.csv"):
        with (folder / name).open("rb") as file:
            while block := file.read(1 << 24):
                digest.update(block)
    return digest.hexdigest()


def _store_folder(root: str | Path, front_end: Mode) -> Path:
    if front_end not in FRONT_ENDS:
        raise StoreError(f"front end must be one of {', '.join(FRONT_ENDS)}, got {front_end!r}")
    return Path(root) / "features" / front_end


def _partial_folder(root: Path, front_end: Mode) -> Path:
    return root / "features" / f".partial-{front_end}"


def _stored_fingerprint(root: Path, front_end: Mode) -> str | None:
    """Fingerprint of the inputs of the store that is there; None if there is none or it is damaged."""
    try:
        return str(FeatureStore.open(root, front_end).metadata.get("fingerprint"))
    except StoreError:
        return None


def _check_disk_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StoreError(f"preparing needs up to {needed / 1e9:.1f} GB in {folder}, {free / 1e9:.1f} GB are free; free some space")


def _assemble(corpus: Corpus, front_end: Mode, pieces: Sequence[Piece], inputs: str) -> None:
    """Join the pieces to a store and put it in place of the old one."""
    partial = _partial_folder(corpus.root, front_end)
    folder, replaced = partial / "complete", partial / "replaced"
    for leftover in (folder, replaced):
        shutil.rmtree(leftover, ignore_errors=True)
    folder.mkdir()
    extents = join_pieces(pieces, folder / "logmel.npy")
    write_table(folder / "clips.csv", corpus, extents)
    metadata = {
        "format": FORMAT_VERSION,
        "front_end": front_end,
        "parameters": log_mel(front_end).parameters,
        "corpus": corpus.description,
        "is_synthetic": corpus.is_synthetic,
        "classes": corpus.classes,
        "fingerprint": inputs,
        "corpus_sha256": corpus_digest(pieces),
        "content_sha256": content_digest(folder),
    }
    (folder / "store.json").write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
    for path in (*folder.iterdir(), folder):
        flush_to_disk(path)
    target = _store_folder(corpus.root, front_end)
    if target.exists():
        target.rename(replaced)
    folder.rename(target)
    flush_to_disk(target.parent)
    shutil.rmtree(partial)
