"""Reading a clip's samples."""

import numpy as np
import soundfile

from acl.data.clips import Clip, CorpusError


def read_samples(clip: Clip) -> tuple[np.ndarray, int]:
    """Samples `[n]` of a clip, float64 in -1..1, and their rate in Hz.

    Raises:
        CorpusError: the file cannot be read, is empty, has several channels, or holds values that are not finite.
    """
    remedy = f"restore the file or remove it from {clip.split}.csv"
    try:
        samples, sample_rate = soundfile.read(clip.path, dtype="float64", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise CorpusError(f"{clip.name} cannot be read as audio ({error}); {remedy}") from None
    if len(samples) == 0:
        raise CorpusError(f"{clip.name} has 0 samples; {remedy}")
    if samples.shape[1] != 1:
        raise CorpusError(f"{clip.name} has {samples.shape[1]} channels; mix it down to one or remove it from {clip.split}.csv")
    if not np.isfinite(samples).all():
        raise CorpusError(f"{clip.name} has {np.sum(~np.isfinite(samples))} samples that are not finite; {remedy}")
    return samples[:, 0], sample_rate
