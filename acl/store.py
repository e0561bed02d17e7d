"""The feature store: log-mels of every clip of a corpus, one memory-mapped array per front end.

    ROOT/features/<front end>/logmel.npy   float32 [total frames, 96]
                              clips.csv    one row a clip: who it is, where its frames start and how many it has
                              store.json   front-end parameters, corpus, classes, clips that were left out and why,
                                           fingerprint of inputs, digests of content

Preparing works in `ROOT/features/.partial-<front end>/`, takes over what an interrupted run left there if clips and front end are
unchanged, and puts the finished folder in place in one rename. One process at a time does so; others wait for it.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acl.assembly import assemble, check_disk_space, inputs_of, manifest_of, writing
from acl.clip_table import checked_classes, read_frames, read_table
from acl.config import Mode
from acl.data.clips import Clip, Corpus, in_subset
from acl.data.corpus import read_corpus
from acl.data.exclusive import only_process
from acl.data.parallel import each_result
from acl.data.pieces import (
    FORMAT_VERSION,
    FRONT_ENDS,
    UNFINISHED,
    bytes_of,
    clip_features,
    compute_piece,
    divide,
    log_mel,
    problems_of,
    unusable,
)
from acl.data.problems import BadAudioError, StoreError, lines, shown_lines
from acl.json_text import parse_json

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
        group: `[clips]` int64, the same for clips of one recording.
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
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    skip_bad: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> list[Path]:
    """Compute the features of every clip of a corpus; what is already there and unchanged is not computed again.

    An unusable audio file stops nothing: all others are computed first. While another process prepares the corpus, this one waits.

    Args:
        root: corpus folder.
        front_ends: which stores to make.
        workers: processes; None takes all available cores.
        progress: called with (clips done, clips in total), a clip counting once per front end.
        skip_bad: make the stores without clips whose audio is unusable; they say so.
        say: told, in a line each, which clips are left out, and what this process waits for.

    Returns the folders of the stores, in the order of `front_ends`.

    Raises:
        CorpusError: the corpus is unusable, or audio files are (BadAudioError); work done so far is kept.
        StoreError: the disk has too little room, or cannot be written; work done so far is kept.
        WorkerError: a worker process was killed; work done so far is kept.
    """
    root = Path(root)
    corpus = read_corpus(root)
    folder = root / "features"
    listing = folder / "bad-audio.txt"
    outdated, bad = _look(corpus, manifest_of(corpus), front_ends)
    untidy = os.access(folder, os.W_OK) and any(_partial_folder(root, front_end).exists() for front_end in front_ends)
    if outdated or untidy:
        with writing(root):
            folder.mkdir(exist_ok=True)
            with only_process(folder / ".lock", say):
                bad = _update(corpus, front_ends, workers, progress, skip_bad)
                if bad and not skip_bad:
                    listing.write_text("".join(f"{line}\n" for line in lines(bad)), encoding="utf-8")
                else:
                    listing.unlink(missing_ok=True)
    else:
        progress(len(corpus.clips) * len(front_ends), len(corpus.clips) * len(front_ends))
    folders = [_store_folder(root, front_end) for front_end in front_ends]
    every = listing if listing.exists() else folders[0] / "store.json"
    if bad and not skip_bad:
        raise BadAudioError(bad, len(corpus.clips), every)
    for line in shown_lines(bad, every):
        say(f"left out: {line}")
    if bad:
        say(f"{len(bad)} of {len(corpus.clips)} clips are left out")
    return folders


def _look(corpus: Corpus, manifest: Any, front_ends: Sequence[Mode]) -> tuple[list[Mode], dict[Clip, str]]:
    """Front ends whose store is not that of the corpus as it is, and what is still wrong with clips that the other stores lack."""
    outdated: list[Mode] = []
    bad: dict[Clip, str] = {}
    for front_end in front_ends:
        try:
            stored = FeatureStore.open(corpus.root, front_end).metadata
            names = {left["clip"] for left in stored.get("left_out", [])}
        except (StoreError, KeyError, TypeError):
            stored, names = {}, set()
        extract = log_mel(front_end)
        problems = {clip: clip_features(clip, extract).problem for clip in corpus.clips if clip.name in names}
        still_bad = {clip: problem for clip, problem in problems.items() if problem}
        if stored.get("fingerprint") == inputs_of(front_end, manifest, still_bad):
            bad |= still_bad
        else:
            outdated.append(front_end)
    return outdated, bad


def _update(
    corpus: Corpus, front_ends: Sequence[Mode], workers: int | None, progress: Callable[[int, int], None], skip_bad: bool
) -> dict[Clip, str]:
    """Make the stores that are outdated, unless clips are unusable and may not be left out; returns these with their problems."""
    manifest = manifest_of(corpus)
    outdated, bad = _look(corpus, manifest, front_ends)  # another process may have been at work meanwhile
    for front_end in {*front_ends} - {*outdated}:  # left by a process that was killed when the store was in place
        shutil.rmtree(_partial_folder(corpus.root, front_end), ignore_errors=True)
    pieces = {front_end: divide(corpus.clips, front_end, _partial_folder(corpus.root, front_end)) for front_end in outdated}
    every = [piece for front_end in outdated for piece in pieces[front_end]]
    missing = [piece for piece in every if problems_of(piece) != {}]
    check_disk_space(corpus.root / "features", bytes_of(missing) + bytes_of(every))
    for front_end in outdated:
        _partial_folder(corpus.root, front_end).mkdir(exist_ok=True)
        for leftover in _partial_folder(corpus.root, front_end).glob(f"*{UNFINISHED}"):
            leftover.unlink()
    total = len(corpus.clips) * len(front_ends)
    done = total - sum(len(piece.clips) for piece in missing)
    progress(done, total)
    for clips in each_result(compute_piece, missing, workers):
        done += clips
        progress(done, total)
    problems = {front_end: unusable(pieces[front_end]) for front_end in outdated}
    for found in problems.values():
        bad |= found
    if skip_bad or not bad:
        for front_end, left_out in problems.items():
            inputs = inputs_of(front_end, manifest, left_out)
            assemble(corpus, front_end, pieces[front_end], inputs, left_out, _store_folder(corpus.root, front_end))
    return bad


def _store_folder(root: str | Path, front_end: Mode) -> Path:
    if front_end not in FRONT_ENDS:
        raise StoreError(f"front end must be one of {', '.join(FRONT_ENDS)}, got {front_end!r}")
    return Path(root) / "features" / front_end


def _partial_folder(root: Path, front_end: Mode) -> Path:
    return root / "features" / f".partial-{front_end}"
