"""Pieces: features of some clips in one file, the unit of work that survives an interrupted preparation."""

import hashlib
import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from acl.config import SELF_SUPERVISED, SUPERVISED, Mode
from acl.data.audio import read_samples
from acl.data.clips import Clip
from acl.features import BANDS, LogMel

FRONT_ENDS: tuple[Mode, ...] = (SELF_SUPERVISED, SUPERVISED)
FORMAT_VERSION = 2
CLIPS_PER_PIECE = 32  # on average


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
    """What tells a changed audio file from the same one without reading it: name, bytes, time of change in ns."""
    status = clip.path.stat()
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


def compute_piece(piece: Piece) -> int:
    """Write the file of a piece and return its number of clips.

    It holds `frames` `[total, 96]` float32, and `counts` and `audio_sha256` `[clips]`.

    Raises:
        CorpusError: a clip's audio is unusable.
    """
    extract = log_mel(piece.front_end)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # one process per core; and sums do not depend on the number of cores
    try:
        features = [extract(*read_samples(clip)).numpy() for clip in piece.clips]
    finally:
        torch.set_num_threads(threads)
    unfinished = piece.path.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        np.savez(
            file,
            frames=np.concatenate(features),
            counts=np.array([len(frames) for frames in features], dtype=np.int64),
            audio_sha256=np.array([hashlib.sha256(clip.path.read_bytes()).hexdigest() for clip in piece.clips]),
        )
    flush_to_disk(unfinished)
    unfinished.replace(piece.path)
    return len(piece.clips)


def join_pieces(pieces: Sequence[Piece], path: Path) -> dict[str, tuple[int, int]]:
    """Write the frames of all pieces into one .npy file; returns clip name -> (first frame, number of frames)."""
    extents: dict[str, tuple[int, int]] = {}
    total = 0
    for piece in pieces:
        for clip, count in zip(piece.clips, _load(piece, "counts").tolist(), strict=True):
            extents[clip.name] = (total, count)
            total += count
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (total, BANDS)}
        np.lib.format.write_array_header_1_0(file, header)
        for piece in pieces:
            file.write(_load(piece, "frames").tobytes())
    return extents


def corpus_digest(pieces: Sequence[Piece]) -> str:
    """SHA-256 over what a corpus is: all that is known of every clip, and its audio bytes, whatever their order and place."""
    clips = [
        [clip.split, clip.name, clip.label, clip.manually_verified, clip.noisy_small, audio, *clip.grouping]
        for piece in pieces
        for clip, audio in zip(piece.clips, _load(piece, "audio_sha256").tolist(), strict=True)
    ]
    return hashlib.sha256(json.dumps(sorted(clips)).encode()).hexdigest()


def _load(piece: Piece, name: str) -> np.ndarray:
    with np.load(piece.path) as arrays:
        loaded: np.ndarray = arrays[name]
    return loaded


def bytes_of(pieces: Sequence[Piece]) -> int:
    """Size of the features of pieces, estimated from the size of their files as if these were 16-bit audio at 44.1 kHz."""
    frames = 0.0
    for piece in pieces:
        extract = log_mel(piece.front_end)
        for clip in piece.clips:
            seconds = clip.path.stat().st_size / (2 * 44_100)
            frames += 1 + max(extract.min_samples, seconds * extract.sample_rate) / extract.hop_samples
    return round(frames * BANDS * np.dtype(np.float32).itemsize)


def flush_to_disk(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
