"""From pieces to a feature store in its place."""

import errno
import hashlib
import json
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from acl.clip_table import write_table
from acl.config import Mode
from acl.data.clips import Clip, Corpus, CorpusError
from acl.data.pieces import Piece, audio_state, corpus_digest, fingerprint, flush_to_disk, join_pieces, log_mel
from acl.data.problems import StoreError
from acl.front_ends import FORMAT_VERSION


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


def content_digest(folder: Path) -> str:
    """SHA-256 over the bytes of logmel.npy and clips.csv."""
    digest = hashlib.sha256()
    for name in ("logmel.npy", "clips.csv"):
        with (folder / name).open("rb") as file:
            while block := file.read(1 << 24):
                digest.update(block)
    return digest.hexdigest()


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
        raise StoreError(f"preparing needs up to {needed / 1e9:.1f} GB in {folder}, {free / 1e9:.1f} GB are free; free some space")


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
