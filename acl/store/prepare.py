"""Preparing a corpus: from audio files to the feature stores of its clips, by several processes, interrupted or not.

It works in `ROOT/features/.partial-<front end>/`, takes over what an interrupted run left there if clips and front end are the
same, and puts the finished folder in place in one rename. One process at a time does so; others wait for it.
"""

import errno
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from acl.config import Mode
from acl.data.clip_rows import notes_on
from acl.data.clips import Clip, Corpus
from acl.data.corpus import read_corpus
from acl.front_ends import FORMAT_VERSION, FRONT_ENDS
from acl.store.clip_table import write_table
from acl.store.digest import content_digest
from acl.store.feature_store import FeatureStore, store_folder
from acl.store.pieces import (
    UNFINISHED,
    Piece,
    audio_state,
    bytes_of,
    clip_features,
    clips_in_work,
    compute_piece,
    corpus_digest,
    divide,
    fingerprint,
    join_pieces,
    log_mel,
    problems_of,
    unusable,
)
from acl.store.problems import BadAudioError, lines, printable, shown_lines
from acl.system.errors import CorpusError, StoreError, WorkerError
from acl.system.files import flush_to_disk
from acl.system.locks import only_process
from acl.system.processes import each_result
from acl.system.text import format_size


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
        say: told, in a line each, which clips are left out, what this process waits for, and notes on the clips.

    Returns the folders of the stores, in the order of `front_ends`.

    Raises:
        CorpusError: the corpus is unusable, or audio files are (BadAudioError); work done so far is kept.
        StoreError: the disk has too little room, or cannot be written; work done so far is kept.
        WorkerError: a worker process was killed, and on which clips it may have been at work; work done so far is kept.
    """
    root = Path(root)
    corpus = read_corpus(root)
    for note in notes_on(corpus.clips):
        say(f"note: {note}")
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
    folders = [store_folder(root, front_end) for front_end in front_ends]
    every = listing if listing.exists() else folders[0] / "store.json"
    if bad and not skip_bad:
        raise BadAudioError(bad, len(corpus.clips), every)
    _say_left_out(bad, len(corpus.clips), every, say)
    return folders


def _say_left_out(bad: dict[Clip, str], clips: int, every: Path, say: Callable[[str], None]) -> None:
    for line in shown_lines(bad, every):
        say(f"left out: {line}")
    if bad:
        say(f"{len(bad)} of {clips} clips are left out")


def _look(corpus: Corpus, manifest: Any, front_ends: Sequence[Mode]) -> tuple[list[Mode], dict[Clip, str]]:
    """Front ends whose store is not that of the corpus as it is, and what is still wrong with clips that the other stores lack."""
    outdated: list[Mode] = []
    bad: dict[Clip, str] = {}
    for front_end in front_ends:
        try:
            stored = FeatureStore.open(corpus.root, front_end).metadata
            FeatureStore.verify(corpus.root, front_end)
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
    try:
        for clips in each_result(compute_piece, missing, workers):
            done += clips
            progress(done, total)
    except WorkerError as error:
        in_work = [f"{printable(clip.name)} ({format_size(audio_state(clip)[2], 'MB')})" for clip in clips_in_work(missing)]
        raise WorkerError(f"{error}; it was at work on {' or '.join(in_work)}" if in_work else str(error)) from None
    problems = {front_end: unusable(pieces[front_end]) for front_end in outdated}
    for found in problems.values():
        bad |= found
    if skip_bad or not bad:
        for front_end, left_out in problems.items():
            inputs = inputs_of(front_end, manifest, left_out)
            assemble(corpus, front_end, pieces[front_end], inputs, left_out, store_folder(corpus.root, front_end))
    return bad


def _partial_folder(root: Path, front_end: Mode) -> Path:
    return root / "features" / f".partial-{front_end}"


def manifest_of(corpus: Corpus) -> list[Any]:
    """What features of a corpus come from: tables, and the state of its audio files at this moment."""
    manifest = [
        corpus.description,
        corpus.is_synthetic,
        [[clip.label, clip.manually_verified, clip.noisy_small, *clip.grouping] for clip in corpus.clips],
    ]
    return [manifest, [audio_state(clip) for clip in corpus.clips]]


def inputs_of(front_end: Mode, manifest: Sequence[Any], left_out: Collection[Clip]) -> str:
    """Fingerprint of what a store comes from: `manifest_of` its corpus, the front end, and clips that it leaves out."""
    return fingerprint(front_end, [*manifest, sorted(clip.name for clip in left_out)] if left_out else [*manifest])


def assemble(
    corpus: Corpus, front_end: Mode, pieces: Sequence[Piece], inputs: str, left_out: Mapping[Clip, str], target: Path
) -> None:
    """Join pieces to a store and put it in place of the old one; the folder of the pieces is removed.

    Killed at any moment, it leaves the old store, the new one, or none and the pieces, of which the next call makes it.

    Args:
        corpus: all clips of the pieces.
        front_end: of the features.
        pieces: in one folder, on the disk of `target`.
        inputs: fingerprint of what the features come from.
        left_out: clips of the corpus that have no features, and why.
        target: folder of the store.

    Raises:
        CorpusError: without what is left out, the corpus can serve no training or test.
        OSError: the disk is full, or the folder cannot be written.
    """
    kept = _without(corpus, left_out)
    partial = pieces[0].path.parent
    folder, replaced = partial / "complete", partial / "replaced"
    for leftover in (folder, replaced):
        shutil.rmtree(leftover, ignore_errors=True)
    folder.mkdir()
    extents = join_pieces(pieces, folder / "logmel.npy")
    write_table(folder / "clips.csv", kept, extents)
    metadata = {
        "format": FORMAT_VERSION,
        "front_end": front_end,
        "parameters": log_mel(front_end).parameters,
        "corpus": kept.description,
        "is_synthetic": corpus.is_synthetic,
        "classes": corpus.classes,
        "has_parts": corpus.has_parts,
        "left_out": [{"clip": clip.name, "why": left_out[clip]} for clip in sorted(left_out, key=lambda clip: clip.name)],
        "fingerprint": inputs,
        "corpus_sha256": corpus_digest(pieces),
        "content_sha256": content_digest(folder),
    }
    (folder / "store.json").write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
    for path in (*folder.iterdir(), folder):
        flush_to_disk(path)
    if target.exists():
        target.rename(replaced)
    folder.rename(target)
    flush_to_disk(target.parent)
    shutil.rmtree(partial)


def _without(corpus: Corpus, left_out: Mapping[Clip, str]) -> Corpus:
    """The other clips of a corpus, which says in its description that some are missing."""
    if not left_out:
        return corpus
    clips = tuple(clip for clip in corpus.clips if clip not in left_out)
    untrained = sorted(_trained(corpus.clips) - _trained(clips))
    if untrained:
        raise CorpusError(f"--skip-bad would leave the class {untrained[0]!r} without training clips; restore one of its files")
    empty = {clip.split for clip in corpus.clips} - {clip.split for clip in clips}
    if empty:
        raise CorpusError(f"--skip-bad would leave no {min(empty)} clips; restore one of their files")
    number = f"{len(left_out)} {'clip' if len(left_out) == 1 else 'clips'}"
    return replace(corpus, clips=clips, description=f"{corpus.description}, {number} left out")


def _trained(clips: Sequence[Clip]) -> set[str]:
    return {clip.label for clip in clips if clip.split in ("train", "fold")}


def check_disk_space(folder: Path, needed: int) -> None:
    """Raises StoreError where fewer bytes than `needed` are free."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        wanted, has = format_size(needed, "GB"), format_size(free, "GB")
        raise StoreError(f"preparing needs up to {wanted} in {folder}, {has} are free; free some space")


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """Write to the features folder of a corpus folder.

    Raises:
        StoreError: in the place of an OSError, with the remedy.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            remedy = "free some space and run it again"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            remedy = f"make it writable, or prepare a folder of yours with links to what lies in {root}"
        else:
            remedy = "run it again"
        raise StoreError(f"{root / 'features'} cannot be written ({error.strerror}); {remedy}; what is done is kept") from None
