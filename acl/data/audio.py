"""Reading audio files: what is taken as it is, and what is a problem that is named.

    taken                    how
    8 to 192 kHz             the front end resamples any rate between these
    any format of soundfile  wav, flac, ogg, mp3 and others, told by content, whatever the name ends in
    any width                8 to 32 bits, float, double
    several channels         their mean
    silence                  log-mels of silence
    clipping, any level      as it is; the front end scales it
    short, e.g. 0.05 s       the front end repeats it up to one patch
    up to 30 minutes         while features are computed, ten minutes take 0.4 GB of memory at 44.1 kHz, 1.6 GB at 192 kHz
    odd names                spaces, brackets, commas, accents, leading dashes: names are never parsed

    a problem                the sentence about it
    no permission, gone      cannot be read (Permission denied)
    a folder named x.wav     cannot be read (Is a directory)
    a pipe, a device         is no regular file
    0 bytes                  is empty
    not audio, damaged       cannot be read as audio (Format not recognised); restore it or convert it to WAV or FLAC
    cut off                  is cut off: its header announces 8820 bytes of audio, 4388 are there
    another rate             has 1 samples a second, 8000 to 192000 are read; correct its header or convert it
    too long                 lasts 200 h, clips of up to 30 minutes are read; cut it into shorter ones
    too long for memory      lasts 25 minutes, which takes 1.5 GB of memory, 800.0 MB are free; cut it, or use fewer workers
    0 samples                has 0 samples
    NaN, infinity, > 3.4e38  has 2 samples that are not finite

Rate and length are judged by the header, before any sample is read. A file that was cut off shows this in the sizes in its header
(wav, aiff, au, w64, rf64), in frames that cannot be decoded (flac, mp3), or in its last page (ogg). In other formats it goes
unnoticed, and so do whole frames that are missing from an mp3 without a count of frames. Of such an mp3 the decoder only estimates
the length, so what can be decoded counts.
"""

import io
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import reduce
from pathlib import Path

import numpy as np
import soundfile

from acl.system.errors import AudioError
from acl.system.memory import available_memory
from acl.system.text import format_size

LOWEST_RATE, HIGHEST_RATE = 8_000, 192_000  # samples a second
LONGEST_MINUTES = 30
_FRONT_END_RATE = 44_100  # of the front end with the larger one
_FRONT_END_BYTES = 22  # a sample at the larger of the two rates, samples and features together (see LOG.md)
_LITTLE_BYTES = 100_000_000
_BLOCK_SAMPLES = 1 << 20  # of all channels together
# What libsndfile notes about a file while it opens it. RIFF's own size is often wrong in files that are whole.
_CUT_SIZE = re.compile(r"^\s*(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_CUT_OGG = ("End-Of-Stream flag", "lacks an end-of-stream bit", "Junk after the last page")
_ENDLESS = 1 << 44  # bytes
_UNKNOWN = 1 << 40  # samples; a decoder that knows no length says more than these
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
        with path.open("rb") as file:
            source = _WithoutEnd(file.fileno(), closefd=False) if _is_uncounted_mp3(file) else file.fileno()
            with soundfile.SoundFile(source, closefd=False) as audio:  # an open file, since libsndfile judges names
                yield audio
    except OSError as error:
        raise AudioError(f"cannot be read ({error.strerror})") from None
    except soundfile.LibsndfileError as error:
        words = error.error_string.rstrip(".") or "its decoder gives no reason"
        raise AudioError(f"cannot be read as audio ({words}); restore it or convert it to WAV or FLAC") from None


def _blocks(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    """All samples in blocks `[n, channels]`, so that no more than one of them has all channels.

    Raises:
        AudioError: the file is cut off or too long, has another rate, no samples, or such that are not finite.
    """
    _check_whole(file)
    announced = file.frames if file.frames < _UNKNOWN else None
    _check_cost(file.samplerate, announced)
    read = unusable = 0
    is_short = file.subtype == "PCM_16"  # which libsndfile converts in four times the time, to the same numbers
    size = max(1, _BLOCK_SAMPLES // file.channels)
    while len(block := file.read(size, dtype="int16" if is_short else "float32", always_2d=True)):
        read += len(block)
        _check_cost(file.samplerate, read)
        if is_short:
            yield np.multiply(block, np.float32(1 / (1 << 15)), dtype=np.float32)
        elif unusable_here := block.size - int(np.isfinite(block).sum()):
            unusable += unusable_here
        else:
            yield block
    if announced is not None and read < announced:
        raise AudioError(f"is cut off: its header announces {announced} samples, {read} can be decoded")
    if read == 0:
        raise AudioError("has 0 samples")
    if unusable:
        raise AudioError(f"has {unusable} samples that are not finite")


def _check_cost(rate: int, samples: int | None) -> None:
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise AudioError(f"has {rate} samples a second, {LOWEST_RATE} to {HIGHEST_RATE} are read; correct its header or convert it")
    if samples is None:
        return
    minutes = samples / rate / 60
    lasts = f"lasts {minutes / 60:.3g} h" if minutes > 90 else f"lasts {minutes:.3g} minutes"
    if minutes > LONGEST_MINUTES:
        raise AudioError(f"{lasts}, clips of up to {LONGEST_MINUTES} minutes are read; cut it into shorter ones")
    needed = 60 * minutes * max(rate, _FRONT_END_RATE) * _FRONT_END_BYTES
    if needed > _LITTLE_BYTES and needed > (free := available_memory()):
        sizes = [format_size(count, "MB", "GB") for count in (needed, free)]
        raise AudioError(f"{lasts}, which takes {sizes[0]} of memory, {sizes[1]} are free; cut it, or use fewer workers")


def _check_whole(file: soundfile.SoundFile) -> None:
    notes = file.extra_info
    for announced, there in _CUT_SIZE.findall(notes):
        if int(there) < int(announced) < _STREAMED:
            raise AudioError(f"is cut off: its header announces {announced} bytes of audio, {there} are there")
    if file.format == "OGG" and any(note in notes for note in _CUT_OGG):
        raise AudioError("is cut off: it does not end with its last page")


class _WithoutEnd(io.FileIO):
    """A file that claims to be endless.

    Where an mp3 does not count its frames, the decoder estimates their number from the sizes of the file and of the first frame. It
    stops there and drops most of a clip whose first frame is larger than the others. Here it goes on to the end of the file.
    """

    _is_at_end = False

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._is_at_end = whence == os.SEEK_END
        return super().seek(offset, whence)

    def tell(self) -> int:
        return _ENDLESS if self._is_at_end else super().tell()


def _is_uncounted_mp3(file: io.BufferedReader) -> bool:
    """Whether a file is an mp3 whose first frame does not tell the number of frames."""
    tag = os.pread(file.fileno(), 10, 0)
    size = reduce(lambda total, byte: total << 7 | byte, tag[6:], 0)  # of a tag ID3v2, seven bits a byte
    frame = os.pread(file.fileno(), 64, len(tag) + size if tag.startswith(b"ID3") else 0)
    is_mp3 = len(frame) > 2 and frame[0] == 0xFF and frame[1] >> 5 == 0b111
    return is_mp3 and not any(name in frame for name in (b"Xing", b"Info", b"VBRI"))
