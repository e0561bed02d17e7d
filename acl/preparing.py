"""Preparing a corpus: from audio files to the feature stores of its clips, by several processes, interrupted or not.

It works in `ROOT/features/.partial-<front end>/`, takes over what an interrupted run left there if clips and front end are the
same, and puts the finished folder in place in one rename. One process at a time does so; others wait for it.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from acl.assembly import assemble, check_disk_space, inputs_of, manifest_of, writing
from acl.config import Mode
from acl.data.clips import Clip, Corpus
from acl.data.corpus import read_corpus
from acl.data.exclusive import only_process
from acl.data.parallel import each_result
from acl.data.pieces import UNFINISHED, bytes_of, clip_features, compute_piece, divide, log_mel, problems_of, unusable
from acl.data.problems import BadAudioError, StoreError, lines, shown_lines
from acl.front_ends import FRONT_ENDS
from acl.store import FeatureStore, store_folder


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
            assemble(corpus, front_end, pieces[front_end], inputs, left_out, store_folder(corpus.root, front_end))
    return bad


def _partial_folder(root: Path, front_end: Mode) -> Path:
    return root / "features" / f".partial-{front_end}"
