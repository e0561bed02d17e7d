"""Reading audio files."""

from pathlib import Path

import numpy as np
import soundfile

from acl.data.clips import Clip, CorpusError


class AudioError(ValueError):
    """An audio file is unusable; the message is a sentence without its subject, the file."""


def read_audio(path: Path) -> tuple[np.ndarray, int]:
    """Samples `[n, channels]` of a file, float64 in -1..1, and their rate in Hz.

    Raises:
        AudioError: the file cannot be read, is empty, or holds values that are not finite.
    """
    try:
        samples, sample_rate = soundfile.read(path, dtype="float64", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise AudioError(f"cannot be read as audio ({error})") from None
    if len(samples) == 0:
        raise AudioError("has 0 samples")
    if not np.isfinite(samples).all():
        raise AudioError(f"has {np.sum(~np.isfinite(samples))} samples that are not finite")
    return samples, sample_rate


def read_mono(path: Path) -> tuple[np.ndarray, int]:
    """Samples `[n]` of a file, the mean over its channels, and their rate in Hz. Raises as `read_audio`."""
    samples, sample_rate = read_audio(path)
    return samples.mean(axis=1), sample_rate


def read_samples(clip: Clip) -> tuple[np.ndarray, int]:
    """Samples `[n]` of a clip of a corpus, float64 in -1..1, and their rate in Hz.

    Raises:
        CorpusError: the file is unusable, or has several channels.
    """
    remedy = f"restore the file or remove it from {clip.split}.csv"
    try:
        samples, sample_rate = read_audio(clip.path)
    except AudioError as error:
        raise CorpusError(f"{clip.name} {error}; {remedy}") from None
    if samples.shape[1] != 1:
        raise CorpusError(f"{clip.name} has {samples.shape[1]} channels; mix it down to one or remove it from {clip.split}.csv")
    return samples[:, 0], sample_rate
