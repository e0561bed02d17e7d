"""Pieces: features of some clips in one file, the unit of work that survives an interrupted preparation."""

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from acl.config import SELF_SUPERVISED, Mode
from acl.data.audio import read_mono
from acl.data.clips import Clip
from acl.features import LogMel
from acl.front_ends import BANDS, FORMAT_VERSION
from acl.system.errors import CorpusError
from acl.system.files import flush_to_disk

CLIPS_PER_PIECE = 32  # on average
UNFINISHED = ".unfinished"
_DAMAGE = (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)  # what numpy raises


@dataclass(frozen=True)
class Piece:
    """Clips whose features go into the file `path`."""

    front_end: Mode
    path: Path
    clips: tuple[Clip, ...]


def log_mel(front_end: Mode) -> LogMel:
    """The recipe's feature extractor of a front end."""
    return LogMel.ssl() if front_end == SELF_SUPERVISED else LogMel.supervised()


def audio_state(clip: Clip) -> list[Any]:
    """What tells a changed audio file from the same one without reading it: name, bytes, time of change in ns.

    Times are only compared with each other, so a clock that was wrong does no harm. A file that another of the same size and time
    replaces passes for the same (`touch` it). Permissions are no part of it: see `compute_piece`.
    """
    try:
        status = clip.path.stat()
    except OSError:  # a link to nothing, which reading it will name
        return [clip.split, clip.name, 0, None]
    return [clip.split, clip.name, status.st_size, status.st_mtime_ns]


def fingerprint(front_end: Mode, content: Any) -> str:
    """SHA-256 of JSON-able `content` together with the store's format and all numbers of the front end."""
    text = json.dumps([FORMAT_VERSION, log_mel(front_end).parameters, content])
    return hashlib.sha256(text.encode()).hexdigest()


def divide(clips: Sequence[Clip], front_end: Mode, folder: Path) -> list[Piece]:
    """Pieces of about 32 clips in `folder`, each named after the fingerprint of its clips.

    A clip's name decides its piece, so that removing or adding some clips leaves most pieces as they were.
    """
    count = 1 << max(0, (len(clips) // CLIPS_PER_PIECE).bit_length() - 1)
    members: dict[int, list[Clip]] = {}
    for clip in clips:
        members.setdefault(zlib.crc32(clip.name.encode()) % count, []).append(clip)
    return [
        Piece(front_end, folder / f"{fingerprint(front_end, [audio_state(clip) for clip in part])[:32]}.npz", tuple(part))
        for _, part in sorted(members.items())
    ]


@dataclass(frozen=True)
class ClipFeatures:
    """What is computed from the audio file of a clip.

    Attributes:
        frames: `[n, 96]` float32; n is 0 where there is a problem.
        audio_sha256: of the file; empty where there is a problem.
        problem: why the clip has no features, as a sentence without its subject; empty where it has.
    """

    frames: np.ndarray
    audio_sha256: str = ""
    problem: str = ""


def clip_features(clip: Clip, extract: LogMel) -> ClipFeatures:
    """Read a clip and compute its features; an unusable file is no error here."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            frames = extract(*read_mono(clip.path)).numpy()
        digest = hashlib.sha256(clip.path.read_bytes()).hexdigest()
        problem = "" if np.isfinite(frames).all() else "has samples so large that its log-mels are not finite"
    except ValueError as error:  # AudioError, or that of the front end
        problem = str(error)
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    except (MemoryError, RuntimeError) as error:  # numpy's and torch's
        if not isinstance(error, MemoryError) and "can't allocate memory" not in str(error):
            raise
        problem = "takes more memory than there is; cut it into shorter clips, or use fewer workers"
    return ClipFeatures(np.empty((0, BANDS), np.float32), problem=problem) if problem else ClipFeatures(frames, digest)


def compute_piece(piece: Piece) -> int:
    """Write the file of a piece and return its number of clips.

    It holds `frames` `[total, 96]` float32, and `counts`, `audio_sha256` and `problems` `[clips]`, as `ClipFeatures` has them. Of
    a file that is there, only clips with problems are read again: a repair (of permissions) need not have changed `audio_state`.
    """
    extract = log_mel(piece.front_end)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # one process per core; and sums do not depend on the number of cores
    unfinished = piece.path.with_suffix(f".{os.getpid()}{UNFINISHED}")  # a worker of a killed process may still write its own
    try:
        with unfinished.open("wb") as file:
            kept = _content(piece) if problems_of(piece) is not None else [None] * len(piece.clips)
            features = []
            for clip, known in zip(piece.clips, kept, strict=True):
                if known and not known.problem:
                    features.append(known)
                    continue
                _overwrite(file, clip.name)  # for `clips_in_work`
                features.append(clip_features(clip, extract))
            _overwrite(file, "")
            np.savez(
                file,
                frames=np.concatenate([each.frames for each in features]),
                counts=np.array([len(each.frames) for each in features], dtype=np.int64),
                audio_sha256=np.array([each.audio_sha256 for each in features]),
                problems=np.array([each.problem for each in features]),
            )
        flush_to_disk(unfinished)
        unfinished.replace(piece.path)
    finally:
        torch.set_num_threads(threads)
        unfinished.unlink(missing_ok=True)
    return len(piece.clips)


def _overwrite(file: BinaryIO, text: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(text.encode())
    file.flush()


def clips_in_work(pieces: Iterable[Piece]) -> list[Clip]:
    """Clips whose features killed processes were computing, the largest files first."""
    clips = {clip.name: clip for piece in pieces for clip in piece.clips}
    folders = {piece.path.parent for piece in pieces}
    names = [path.read_bytes().decode(errors="replace") for folder in folders for path in folder.glob(f"*{UNFINISHED}")]
    return sorted({clips[name] for name in names if name in clips}, key=lambda clip: -audio_state(clip)[2])


def problems_of(piece: Piece) -> dict[Clip, str] | None:
    """The clips of a piece that have no features, and why; None where the piece has no file, or none of this version."""
    try:
        with np.load(piece.path) as arrays:
            problems = arrays["problems"].tolist()
        return {clip: problem for clip, problem in zip(piece.clips, problems, strict=True) if problem}
    except (OSError, *_DAMAGE):
        return None


def unusable(pieces: Iterable[Piece]) -> dict[Clip, str]:
    """The clips of computed pieces that have no features, and why."""
    return {clip: problem for piece in pieces for clip, problem in (problems_of(piece) or {}).items()}


def join_pieces(pieces: Sequence[Piece], path: Path) -> dict[str, tuple[int, int]]:
    """Write the frames of all pieces into one .npy file; returns clip name -> (first frame, number of frames).

    Clips with problems are not among them.
    """
    extents: dict[str, tuple[int, int]] = {}
    total = 0
    for piece in pieces:
        for clip, count in zip(piece.clips, _load(piece, "counts").tolist(), strict=True):
            if count:
                extents[clip.name] = (total, count)
            total += count
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (total, BANDS)}
        np.lib.format.write_array_header_1_0(file, header)
        for piece in pieces:
            file.write(_load(piece, "frames").tobytes())
    return extents


def corpus_digest(pieces: Sequence[Piece]) -> str:
    """SHA-256 over what a corpus is: all that is known of every clip, and its audio bytes, whatever their order and place.

    Clips with problems are part of it without audio, so a corpus with them is another than one that never had them.
    """
    clips = [
        [clip.split, clip.name, clip.label, clip.manually_verified, clip.noisy_small, audio, *clip.grouping]
        for piece in pieces
        for clip, audio in zip(piece.clips, _load(piece, "audio_sha256").tolist(), strict=True)
    ]
    return hashlib.sha256(json.dumps(sorted(clips)).encode()).hexdigest()


def _content(piece: Piece) -> list[ClipFeatures]:
    counts = _load(piece, "counts")
    frames = np.split(_load(piece, "frames"), np.cumsum(counts)[:-1])
    digests, problems = (_load(piece, name).tolist() for name in ("audio_sha256", "problems"))
    return [ClipFeatures(*each) for each in zip(frames, digests, problems, strict=True)]


def _load(piece: Piece, name: str) -> np.ndarray:
    """An array of a piece's file.

    Raises:
        CorpusError: it is damaged; it is removed, so that it is computed again.
    """
    try:
        with np.load(piece.path) as arrays:
            loaded: np.ndarray = arrays[name]
    except _DAMAGE as error:
        piece.path.unlink(missing_ok=True)
        raise CorpusError(f"{piece.path} was damaged ({error}) and is removed; run it again, which computes it anew") from None
    return loaded


def bytes_of(pieces: Sequence[Piece]) -> int:
    """Size of the features of pieces, estimated from the size of their files as if these were 16-bit audio at 44.1 kHz."""
    frames = 0.0
    for piece in pieces:
        extract = log_mel(piece.front_end)
        for clip in piece.clips:
            seconds = audio_state(clip)[2] / (2 * 44_100)
            frames += 1 + max(extract.min_samples, seconds * extract.sample_rate) / extract.hop_samples
    return round(frames * BANDS * np.dtype(np.float32).itemsize)
