"""Another sampling rate for a waveform, by one fixed low-pass filter."""

import math
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from acl.system.memory import chunks
from acl.torchaudio_import import torchaudio

# The Kaiser-windowed sinc known as "kaiser_best", with which the published features were resampled. From 44.1 kHz, noise, tones
# and a chirp up to 9.5 kHz differ from a float64 sinc of 1024 zero crossings by at most -148 dB RMS and -143 dB at the peak.
# Log-mels move by 3e-4 at most (in quiet bands) and 2e-6 on average, float32's rounding of the STFT included. Above, the filter
# falls off, by 0.1 dB at 10 kHz and 6 dB at 10.45 kHz, which lowers the top mel band of white noise by 0.1. Measured by
# benchmarks/resampling_error.py.
RESAMPLING: dict[str, Any] = {
    "resampling_method": "sinc_interp_kaiser",
    "lowpass_filter_width": 64,
    "rolloff": 0.9475937167399596,
    "beta": 14.769656459379492,
}

_BLOCK = 1 << 14  # samples of one FFT; four of them stay in a core's cache
_BLOCKS_AT_ONCE = 4
_LARGEST_FACTOR = 16  # whose filter is much shorter than a block
_LARGEST_BANK = 40_000_000  # taps of all phases of a filter: some 15 s and 1.5 GB to make it, for each clip anew


def resample(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Waveform `[n]`, float64, at `new_rate` Hz, ceil(n * new_rate / rate) samples.

    From a small multiple of the new rate (44.1 to 22.05 kHz) the filter is applied by FFTs of overlapping blocks (overlap-save), in
    float64. Other rates go through torchaudio's convolution, in float32: in float64 it takes a path that is 60 times slower and
    needs gigabytes for a clip of 30 s. That rounding, 1e-5 of the peak from 48 kHz, moves log-mels by less than 1e-3.

    Raises:
        ValueError: the rates have so few factors in common (44 101 and 22 050 have none) that the filter would take gigabytes.
    """
    if rate % new_rate == 0 and rate // new_rate <= _LARGEST_FACTOR:
        return _decimated(samples, rate // new_rate)
    phases, step = new_rate // math.gcd(rate, new_rate), rate // math.gcd(rate, new_rate)
    if phases * step > _LARGEST_BANK:
        raise ValueError(f"has {rate} samples a second, which is no simple ratio to {new_rate}; convert it to {new_rate} Hz")
    converted = torchaudio.functional.resample(torch.from_numpy(samples).float(), rate, new_rate, **RESAMPLING)
    return np.asarray(converted.double())


def _decimated(samples: np.ndarray, factor: int) -> np.ndarray:
    reach, spectrum = _low_pass(factor)
    hop = (_BLOCK - 2 * reach) // factor * factor  # samples of a block that its neighbours do not reach into
    count = -(-len(samples) // hop)
    padded = torch.zeros(count * hop + _BLOCK, dtype=torch.float64)
    padded[reach : reach + len(samples)] = torch.from_numpy(samples)
    blocks = padded.unfold(0, _BLOCK, hop)
    kept = torch.empty(count, hop // factor, dtype=torch.float64)
    for part in chunks(count, _BLOCKS_AT_ONCE):
        filtered = torch.fft.irfft(torch.fft.rfft(blocks[part]) * spectrum)
        kept[part] = filtered[:, 2 * reach : 2 * reach + hop : factor]
    return kept.flatten()[: -(-len(samples) // factor)].numpy()


@cache
def _low_pass(factor: int) -> tuple[int, Tensor]:
    """How many samples torchaudio's filter reaches to each side, and its spectrum in an FFT of a block.

    Output m of that filter is Σ_n h[factor * m - n] x[n]: impulses at `factor` neighbouring places show all of h.
    """
    reach = factor * math.ceil(RESAMPLING["lowpass_filter_width"] / RESAMPLING["rolloff"] + 1)
    impulses = torch.zeros(factor, 2 * reach + 1, dtype=torch.float64)
    impulses[:, reach : reach + factor] = torch.eye(factor)
    responses = np.asarray(torchaudio.functional.resample(impulses, factor, 1, **RESAMPLING))
    taps = np.zeros(2 * reach + 1)
    for shift, response in enumerate(responses):
        lag = factor * np.arange(len(response)) - reach - shift
        within = np.abs(lag) <= reach
        taps[lag[within] + reach] = response[within]
    return reach, torch.fft.rfft(torch.from_numpy(taps), _BLOCK)
