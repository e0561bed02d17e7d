"""Reading audio files: what is taken as it is, and what is a problem that is named.

    taken                    how
    any sampling rate        the front end resamples it (8 to 192 kHz; see `acl.resampling` for what it refuses)
    any format of soundfile  wav, flac, ogg, mp3 and others, told by content, whatever the name ends in
    any width                8 to 32 bits, float, double
    several channels         their mean
    silence                  log-mels of silence
    clipping, any level      as it is; the front end scales it
    short, e.g. 0.05 s       the front end repeats it up to one patch
    long                     while features are computed, ten minutes take 0.8 GB of memory at 44.1 kHz, 3 GB at 192 kHz
    odd names                spaces, brackets, commas, accents, leading dashes: names are never parsed

    a problem                the sentence about it
    no permission, gone      cannot be read (Permission denied)
    a folder named x.wav     cannot be read (Is a directory)
    a pipe, a device         is no regular file
    0 bytes                  is empty
    not audio                cannot be read as audio (Format not recognised)
    damaged                  cannot be read as audio (… the decoder's words)
    cut off                  is cut off: its header announces 8820 bytes of audio, 4388 are there
    0 samples                has 0 samples
    NaN, infinity, > 3.4e38  has 2 samples that are not finite

A file that was cut off shows this in the sizes in its header (wav, aiff, au, w64, rf64), in frames that cannot be decoded (flac,
mp3), or in its last page (ogg); in other formats, and in mp3 without a header of its own, it goes unnoticed.
"""

import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import reduce
from pathlib import Path

import numpy as np
import soundfile

from acl.system.errors import AudioError

_BLOCK_SAMPLES = 1 << 20
# What libsndfile notes about a file while it opens it. RIFF's own size is often wrong in files that are whole.
_CUT_SIZE = re.compile(r"^\s*(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_CUT_OGG = ("End-Of-Stream flag", "lacks an end-of-stream bit", "Junk after the last page")
_STREAMED = 0x7FFF0000  # sizes from here on stand for "unknown", which recorders write that cannot go back


def read_audio(path: Path) -> tuple[np.ndarray, int]:
    """Samples `[n, channels]` of a file, float32, full scale at -1 and 1, and their rate in Hz.

    Up to 24 bits and float are exact; 32-bit integers and double are rounded.

    Raises:
        AudioError: the file is one of the problems above.
    """
    with _opened(path) as file:
        return _joined(_blocks(file)), file.samplerate


def read_mono(path: Path) -> tuple[np.ndarray, int]:
    """Samples `[n]` of a file, float32, the mean over its channels, and their rate in Hz. Raises as `read_audio`."""
    with _opened(path) as file:
        return _joined(_mean(block) for block in _blocks(file)), file.samplerate


def _joined(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """Mostly there is one, which needs no copy."""
    first, *others = blocks
    return np.concatenate([first, *others]) if others else first


def _mean(block: np.ndarray) -> np.ndarray:
    """Over the channels. numpy's own mean over an axis that is so short takes longer than all else that reading does."""
    return block[:, 0] if block.shape[1] == 1 else np.asarray(reduce(np.add, block.T) / block.shape[1])


@contextmanager
def _opened(path: Path) -> Iterator[soundfile.SoundFile]:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):  # to open a pipe is to wait for its other end
            raise AudioError("is no regular file")
        if status.st_size == 0:
            raise AudioError("is empty")
        with path.open("rb") as file, soundfile.SoundFile(file.fileno(), closefd=False) as audio:  # which judges no names
            yield audio
    except OSError as error:
        raise AudioError(f"cannot be read ({error.strerror})") from None
    except soundfile.LibsndfileError as error:
        raise AudioError(f"cannot be read as audio ({error.error_string.rstrip('.')})") from None


def _blocks(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    """All samples in blocks `[n, channels]`, so that no more than one of them has all channels.

    Raises:
        AudioError: the file is cut off, has no samples, or such that are not finite.
    """
    _check_whole(file)
    read = unusable = 0
    is_short = file.subtype == "PCM_16"  # which libsndfile converts in four times the time, to the same numbers
    while len(block := file.read(_BLOCK_SAMPLES, dtype="int16" if is_short else "float32", always_2d=True)):
        read += len(block)
        if is_short:
            yield np.multiply(block, np.float32(1 / (1 << 15)), dtype=np.float32)
        elif unusable_here := block.size - int(np.isfinite(block).sum()):
            unusable += unusable_here
        else:
            yield block
    if read < file.frames:
        raise AudioError(f"is cut off: its header announces {file.frames} samples, {read} can be decoded")
    if read == 0:
        raise AudioError("has 0 samples")
    if unusable:
        raise AudioError(f"has {unusable} samples that are not finite")


def _check_whole(file: soundfile.SoundFile) -> None:
    notes = file.extra_info
    for announced, there in _CUT_SIZE.findall(notes):
        if int(there) < int(announced) < _STREAMED:
            raise AudioError(f"is cut off: its header announces {announced} bytes of audio, {there} are there")
    if file.format == "OGG" and any(note in notes for note in _CUT_OGG):
        raise AudioError("is cut off: it does not end with its last page")
